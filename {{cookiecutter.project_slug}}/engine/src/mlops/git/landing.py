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
from .commits import stage
from .placement import top
from .repository import Repository, RepositoryError

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
def serial(repository: Repository) -> Iterator[list[str]]:
    """Wait for others in this working tree, and have later ones wait.

    Yields the files that a killed `land` had not brought along, and that now are: none outside
    git.
    """
    try:
        place = repository.git_path(SERIAL)
    except RepositoryError:
        yield []
        return
    with place.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield _settled(repository)


def check_ready(repository: Repository) -> None:
    """Raise RepositoryError where no commit can be made: nobody's name, or another at work."""
    for name, what in UNDER_WAY.items():
        if repository.git_path(name).exists():
            raise RepositoryError(f"a {what} is under way here: end or abort it first")
    for who in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
        try:
            repository.git("var", who)
        except RepositoryError as error:
            raise RepositoryError(
                "git does not know who commits: `git config user.name NAME` and "
                "`git config user.email ADDRESS`"
            ) from error


def touched(repository: Repository, paths: Sequence[str]) -> list[str]:
    """Return those of the files that index or working tree hold otherwise than HEAD.

    File by file: `git status` believes an index that has been told not to look.
    """
    held = repository.blobs("HEAD", paths)
    told = repository.git("ls-files", "--stage", "-z", "--", *paths)
    staged = {line.partition("\t")[2]: line.split()[1] for line in told.split("\0") if line}
    there = set(repository.differing([Path(path) for path in paths]))
    return [path for path in paths if path in there or held.get(path) != staged.get(path)]


def land(repository: Repository, new: str, old: str, paths: Sequence[str], reason: str) -> None:
    """Move HEAD and its branch from `old` to `new`, then have index and files follow; or nothing.

    Meanwhile nobody else can commit, who would take back with the old index what HEAD has new.
    Killed in between, the next `serial` does the rest, also that of another project in the same
    repository: what is noted are paths from its top. To be called inside `serial`.
    """
    before = repository.prefix()
    repository, paths = top(repository), [f"{before}{path}" for path in paths]
    note = repository.git_path(UNFINISHED)
    write_text(note, json.dumps({"commit": new, "paths": list(paths)}))
    try:
        _lock_index(repository, note)
        _write_index(repository, new, paths)
        try:
            repository.git("update-ref", "-m", reason, "HEAD", new, old)
        except RepositoryError as error:
            raise RepositoryError(f"HEAD moved meanwhile, so nothing changed ({error})") from error
    except RepositoryError:
        _unlock_index(repository, note)
        note.unlink()
        raise
    _follow(repository, new, paths, note)


def _settled(repository: Repository) -> list[str]:
    """Do what a killed `land` did not, and return its files.

    Where HEAD had not moved yet, or somebody has moved it since, everything stays as it is.
    """
    note = repository.git_path(UNFINISHED)
    if not note.exists():
        return []
    repository = top(repository)
    left = json.loads(note.read_text(encoding="utf-8"))
    commit, paths = left["commit"], left["paths"]
    if commit != repository.commit_of("HEAD"):
        _unlock_index(repository, note)
        note.unlink()
        return []
    if not _is_mine(repository, note):
        _lock_index(repository, note)
    _write_index(repository, commit, paths)
    _follow(repository, commit, paths, note)
    return list(paths)


def _is_mine(repository: Repository, note: Path) -> bool:
    lock = repository.git_path("index.lock")
    return lock.exists() and os.path.samefile(lock, note)


def _lock_index(repository: Repository, note: Path) -> None:
    """Lock the index as git does, with a file that is the note: so it is known whose lock it is."""
    lock = repository.git_path("index.lock")
    for _ in range(WAITS):
        try:
            return os.link(note, lock)
        except FileExistsError:
            time.sleep(WAIT)
    raise RepositoryError(
        f"git is at work here, or was killed ({lock} exists): wait for it, or remove that file"
    )


def _unlock_index(repository: Repository, note: Path) -> None:
    if _is_mine(repository, note):
        repository.git_path("index.lock").unlink()


def _write_index(repository: Repository, commit: str, paths: Sequence[str]) -> None:
    """Write beside the index what it will be: these files as the commit has them, all else kept."""
    index, copy = repository.git_path("index"), repository.git_path(INDEX)
    copy.unlink(missing_ok=True)
    if index.exists():
        shutil.copyfile(index, copy)
    entries = repository.entries(commit, paths)
    stage(repository, entries, {"GIT_INDEX_FILE": str(copy)})


def _follow(repository: Repository, commit: str, paths: Sequence[str], note: Path) -> None:
    for path in paths:
        write_text(repository.root / path, repository.text_at(commit, path) or "")
    os.replace(repository.git_path(INDEX), repository.git_path("index"))
    _unlock_index(repository, note)
    note.unlink()
