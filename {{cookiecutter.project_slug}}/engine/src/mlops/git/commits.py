"""Commits, made without touching index and working tree."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .extraction import PLAIN
from .repository import Entry, Repository, RepositoryError

Content = str | Entry  # a text to be written, or what git has already


def made(repository: Repository, onto: str, files: Mapping[str, str], message: str) -> str:
    """Return a new commit after `onto` with the texts of some files; no branch has it yet."""
    before = repository.prefix()
    written = tree(repository, {f"{before}{path}": text for path, text in files.items()}, onto)
    signed = ["-S"] if _signs(repository) else []
    return committed(repository, written, message, [*signed, "-p", onto])


def tree(repository: Repository, files: Mapping[str, Content], onto: str | None = None) -> str:
    """Return a tree with the contents of files, by their paths from the top, over `onto`'s."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder, "index").resolve())}
        repository.git("read-tree", onto or "--empty", environment=index)
        entries = {path: _entry(repository, content) for path, content in files.items()}
        stage(repository, entries, index)
        return repository.git("write-tree", environment=index).strip()


def stage(repository: Repository, entries: Mapping[str, Entry], index: Mapping[str, str]) -> None:
    """Put entries, by their paths from the top, into the index that the environment names."""
    told = "".join(f"{entry.mode} {entry.object}\t{path}\0" for path, entry in entries.items())
    repository.git("update-index", "-z", "--index-info", text=told, environment=index)


def _entry(repository: Repository, content: Content) -> Entry:
    if not isinstance(content, str):
        return content
    written = repository.git("hash-object", "-w", "--no-filters", "--stdin", text=content)
    return Entry(PLAIN, written.strip())


def committed(
    repository: Repository,
    written: str,
    message: str,
    options: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return a commit of a tree, as `git commit-tree` makes it with these options."""
    told = ("commit-tree", *options, "-F", "-", written)
    return repository.git(*told, text=message, environment=environment).strip()


def _signs(repository: Repository) -> bool:
    """Say whether the user has git sign every commit, which plumbing leaves to its caller."""
    try:
        told = repository.git("config", "--type=bool", "--get", "commit.gpgsign")
    except RepositoryError:
        return False
    return told.strip() == "true"
