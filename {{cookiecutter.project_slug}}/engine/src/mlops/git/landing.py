"""A new commit for HEAD, and index and working tree brought along: whole, wherever it is killed."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..files import write_text
from .commits import FILE, blobs, git_path
from .repository import RepositoryError, commit_of, run

UNDER_WAY = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "BISECT_LOG": "bisect",
}
# In git's own folder: promotions wait for each other; what a killed one was about; its index.
SERIAL, UNFINISHED, INDEX = "mlops-serial.lock", "mlops-unfinished", "mlops-index"
WAIT, WAITS = 0.1, 50  # for whoever holds git's index: editors look at it all the time


@contextmanager
def serial(root: Path = Path()) -> Iterator[list[str]]:
    """Wait for others in this working tree, and have later ones wait.

    Yields the files that a killed `land` had not brought along, and that now are: none outside
    git.
    """
    try:
        place = git_path(SERIAL, root)
    except RepositoryError:
        yield []
        return
    with place.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield _settled(root)


def check_ready(root: Path = Path()) -> None:
    """Raise RepositoryError where no commit can be made: nobody's name, or another at work."""
    for name, what in UNDER_WAY.items():
        if git_path(name, root).exists():
            raise RepositoryError(f"a {what} is under way here: end or abort it first")
    for who in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
        try:
            run("git", "var", who, root=root)
        except RepositoryError as error:
            raise RepositoryError(
                "git does not know who commits: `git config user.name NAME` and "
                "`git config user.email ADDRESS`"
            ) from error


def touched(paths: Sequence[str], root: Path = Path()) -> list[str]:
    """Return those of the files that index or working tree hold otherwise than HEAD."""
    told = run("git", "status", "--porcelain", "-z", "-uall", "--", *paths, root=root)
    return [entry[3:] for entry in told.split("\0") if entry]


def land(new: str, old: str, paths: Sequence[str], reason: str, root: Path = Path()) -> None:
    """Move HEAD and its branch from `old` to `new`, then have index and files follow; or nothing.

    Meanwhile nobody else can commit, who would take back with the old index what HEAD has new.
    Killed in between, the next `serial` does the rest. To be called inside `serial`.
    """
    note = git_path(UNFINISHED, root)
    write_text(note, json.dumps({"commit": new, "paths": list(paths)}))
    try:
        _lock_index(note, root)
        _write_index(new, paths, root)
        try:
            run("git", "update-ref", "-m", reason, "HEAD", new, old, root=root)
        except RepositoryError as error:
            raise RepositoryError(f"HEAD moved meanwhile, so nothing changed ({error})") from error
    except RepositoryError:
        _unlock_index(note, root)
        note.unlink()
        raise
    _follow(new, paths, note, root)


def _settled(root: Path) -> list[str]:
    """Do what a killed `land` did not, and return its files.

    Where HEAD had not moved yet, or somebody has moved it since, everything stays as it is.
    """
    note = git_path(UNFINISHED, root)
    if not note.exists():
        return []
    left = json.loads(note.read_text(encoding="utf-8"))
    commit, paths = left["commit"], left["paths"]
    if commit != commit_of("HEAD", root):
        _unlock_index(note, root)
        note.unlink()
        return []
    if not _is_mine(note, root):
        _lock_index(note, root)
    _write_index(commit, paths, root)
    _follow(commit, paths, note, root)
    return list(paths)


def _is_mine(note: Path, root: Path) -> bool:
    lock = git_path("index.lock", root)
    return lock.exists() and os.path.samefile(lock, note)


def _lock_index(note: Path, root: Path) -> None:
    """Lock the index as git does, with a file that is the note: so it is known whose lock it is."""
    lock = git_path("index.lock", root)
    for _ in range(WAITS):
        try:
            return os.link(note, lock)
        except FileExistsError:
            time.sleep(WAIT)
    raise RepositoryError(
        f"git is at work here, or was killed ({lock} exists): wait for it, or remove that file"
    )


def _unlock_index(note: Path, root: Path) -> None:
    if _is_mine(note, root):
        git_path("index.lock", root).unlink()


def _write_index(commit: str, paths: Sequence[str], root: Path) -> None:
    """Write beside the index what it will be: these files as the commit has them, all else kept."""
    index, copy = git_path("index", root), git_path(INDEX, root)
    copy.unlink(missing_ok=True)
    if index.exists():
        shutil.copyfile(index, copy)
    before = run("git", "rev-parse", "--show-prefix", root=root).strip()
    entries = []
    for path, blob in blobs(commit, paths, root).items():
        entries += ["--cacheinfo", f"{FILE},{blob},{before}{path}"]
    own = {"GIT_INDEX_FILE": str(copy)}
    run("git", "update-index", "--add", *entries, root=root, environment=own)


def _follow(commit: str, paths: Sequence[str], note: Path, root: Path) -> None:
    for path in paths:
        write_text(root / path, run("git", "show", f"{commit}:./{path}", root=root))
    os.replace(git_path(INDEX, root), git_path("index", root))
    _unlock_index(note, root)
    note.unlink()
