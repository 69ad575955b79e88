"""Commits, read and made without touching index and working tree."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .repository import RepositoryError, run

FILE = "100644"
FIELDS = ("%H", "%P", "%cI", "%an", "%ae", "%cn", "%s")
TRAILERS = ("Reviewed-by", "Approved-by")
BETWEEN, END = "\x1f", "\x1e"

Blobs = dict[str, str]


class Step(NamedTuple):
    """A commit of a branch: when it came there, by whom, with whose approval."""

    commit: str
    parents: tuple[str, ...]
    when: str
    author: str
    email: str
    committer: str
    subject: str
    approved: tuple[str, ...]
    body: str


def blobs(commit: str, paths: Sequence[str], root: Path = Path()) -> Blobs:
    """Return the object of each of the files that a commit has, by the file's path."""
    told = run("git", "ls-tree", "-z", commit, "--", *paths, root=root)
    entries = [line.partition("\t") for line in told.split("\0") if line]
    return {path: head.split()[2] for head, _, path in entries}


def parent(commit: str, root: Path = Path()) -> str | None:
    """Return the first parent: what the branch was before; None for the first commit."""
    told = run("git", "rev-list", "--parents", "--max-count=1", commit, root=root).split()
    return told[1] if len(told) > 1 else None


def line(commit: str, root: Path = Path()) -> list[str]:
    """Return the commit and all that the branch was before it, by first parents, newest first."""
    return run("git", "rev-list", "--first-parent", commit, root=root).split()


def merge_base(one: str, other: str, root: Path = Path()) -> str:
    """Return the commit in which two histories part."""
    try:
        return run("git", "merge-base", one, other, root=root).strip()
    except RepositoryError as error:
        raise RepositoryError(
            f"git finds no commit that {one[:12]} and {other[:12]} share: fetch the whole history "
            "(`git fetch --unshallow`)"
        ) from error


def is_shallow(root: Path = Path()) -> bool:
    """Say whether this clone has only the end of the history."""
    return run("git", "rev-parse", "--is-shallow-repository", root=root).strip() == "true"


def changed(commit: str, paths: Sequence[str], root: Path = Path()) -> list[Step]:
    """Return the commits that changed one of the files on this branch itself, the newest first.

    A merge counts as one, with everything it brought.
    """
    trailers = (f"%(trailers:key={key},valueonly,separator=%x1d)" for key in TRAILERS)
    layout = "%x1f".join((*FIELDS, *trailers, "%b")) + "%x1e"
    told = run(
        "git", "log", "--first-parent", f"--format={layout}", commit, "--", *paths, root=root
    )
    return list(_steps(told))


def last_author(commit: str, paths: Sequence[str], root: Path = Path()) -> str:
    """Return who made the last commit that changed the files, also where a merge brought it."""
    layout = "--format=%an <%ae>"
    return run("git", "log", "-1", layout, commit, "--", *paths, root=root).strip()


def _steps(told: str) -> Iterator[Step]:
    for record in told.split(END)[:-1]:
        commit, parents, when, author, email, committer, subject, *rest = record.lstrip("\n").split(
            BETWEEN
        )
        given = rest[: len(TRAILERS)]
        approved = tuple(name.strip() for one in given for name in one.split("\x1d") if name)
        body = BETWEEN.join(rest[len(TRAILERS) :])
        known = tuple(parents.split())
        yield Step(commit, known, when, author, email, committer, subject, approved, body)


def made(onto: str, files: Mapping[str, str], message: str, root: Path = Path()) -> str:
    """Return a new commit after `onto` with the texts of some files; no branch has it yet."""
    before = run("git", "rev-parse", "--show-prefix", root=root).strip()
    written = tree({f"{before}{path}": text for path, text in files.items()}, onto, root)
    signed = ["-S"] if _signs(root) else []
    return committed(written, message, [*signed, "-p", onto], root)


def tree(files: Mapping[str, str], onto: str | None = None, root: Path = Path()) -> str:
    """Return a tree with the texts of files, by their paths from the top, over those of `onto`."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder, "index").resolve())}
        run("git", "read-tree", onto or "--empty", root=root, environment=index)
        entries = []
        for path, text in files.items():
            place = Path(folder, "content")
            place.write_bytes(text.encode())
            blob = run("git", "hash-object", "-w", "--no-filters", str(place), root=root).strip()
            entries += ["--cacheinfo", f"{FILE},{blob},{path}"]
        run("git", "update-index", "--add", *entries, root=root, environment=index)
        return run("git", "write-tree", root=root, environment=index).strip()


def committed(
    written: str,
    message: str,
    options: Sequence[str],
    root: Path = Path(),
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return a commit of a tree, as `git commit-tree` makes it with these options."""
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder, "message").resolve()
        note.write_text(message, encoding="utf-8")
        told = ("commit-tree", *options, "-F", str(note), written)
        return run("git", *told, root=root, environment=environment or {}).strip()


def _signs(root: Path) -> bool:
    """Say whether the user has git sign every commit, which plumbing leaves to its caller."""
    try:
        told = run("git", "config", "--type=bool", "--get", "commit.gpgsign", root=root)
    except RepositoryError:
        return False
    return told.strip() == "true"


def git_path(name: str, root: Path = Path()) -> Path:
    """Return where git keeps something of this working tree."""
    told = run("git", "rev-parse", "--git-path", name, root=root).strip()
    return Path(os.path.abspath(root / told))
