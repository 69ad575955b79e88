"""Commits, made without touching index and working tree."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .repository import Repository, RepositoryError

FILE = "100644"


def made(repository: Repository, onto: str, files: Mapping[str, str], message: str) -> str:
    """Return a new commit after `onto` with the texts of some files; no branch has it yet."""
    before = repository.git("rev-parse", "--show-prefix").strip()
    written = tree(repository, {f"{before}{path}": text for path, text in files.items()}, onto)
    signed = ["-S"] if _signs(repository) else []
    return committed(repository, written, message, [*signed, "-p", onto])


def tree(repository: Repository, files: Mapping[str, str], onto: str | None = None) -> str:
    """Return a tree with the texts of files, by their paths from the top, over those of `onto`."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder, "index").resolve())}
        repository.git("read-tree", onto or "--empty", environment=index)
        entries = []
        for path, text in files.items():
            place = Path(folder, "content")
            place.write_bytes(text.encode())
            blob = repository.git("hash-object", "-w", "--no-filters", str(place)).strip()
            entries += ["--cacheinfo", f"{FILE},{blob},{path}"]
        repository.git("update-index", "--add", *entries, environment=index)
        return repository.git("write-tree", environment=index).strip()


def committed(
    repository: Repository,
    written: str,
    message: str,
    options: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return a commit of a tree, as `git commit-tree` makes it with these options."""
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder, "message").resolve()
        note.write_text(message, encoding="utf-8")
        told = ("commit-tree", *options, "-F", str(note), written)
        return repository.git(*told, environment=environment).strip()


def _signs(repository: Repository) -> bool:
    """Say whether the user has git sign every commit, which plumbing leaves to its caller."""
    try:
        told = repository.git("config", "--type=bool", "--get", "commit.gpgsign")
    except RepositoryError:
        return False
    return told.strip() == "true"
