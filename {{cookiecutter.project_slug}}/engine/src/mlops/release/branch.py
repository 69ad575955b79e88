"""A branch that is written without ever being checked out, at the remote where there is one."""

from collections.abc import Mapping

from ..git import commits
from ..git.commits import Content
from ..git.repository import Entry, Repository, RepositoryError, parsed

ORIGIN = "origin"
NOTHING = "0" * 40


def tip(repository: Repository, name: str) -> str | None:
    """Return the commit of a branch, fetched from the remote; None where there is no branch."""
    ref = f"refs/heads/{name}"
    if not _has_remote(repository):
        return repository.git("for-each-ref", "--format=%(objectname)", ref).strip() or None
    # By its whole name: to git `a/refs/heads/main` is a branch that ends like this one.
    told = (line.split("\t") for line in repository.git("ls-remote", ORIGIN, ref).splitlines())
    found = next((commit for commit, named in told if named == ref), None)
    if found is not None:
        fetch(repository, found, ref)
    return found


def fetch(repository: Repository, commit: str, ref: str | None = None) -> None:
    """Have a commit with all it needs, by the `ref` that leads to it or by itself."""
    try:
        # Not the commit alone: a fetch that is at work, or was killed, has that before its files.
        repository.git("rev-list", "--objects", "--quiet", commit, "--not", "--all")
    except RepositoryError:
        # No ref follows: another fetch may be at work in this clone.
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=")
        repository.git("fetch", *quiet, ORIGIN, ref or commit)


def entries(repository: Repository, commit: str) -> dict[str, Entry]:
    """Return every file of a commit, by its path from the top."""
    return parsed(repository.git("ls-tree", "-r", "-z", "--full-tree", commit))


def text(repository: Repository, commit: str, path: str) -> str | None:
    """Return a file of a commit by its path from the top; None where there is none."""
    told = repository.git("ls-tree", "-z", "--full-tree", commit, "--", path)
    entry = parsed(told).get(path)
    return None if entry is None else repository.text(entry, f"{path} of {commit[:12]}")


def made(
    repository: Repository, files: Mapping[str, Content], message: str, cause: str, onto: str | None
) -> str:
    """Return a new commit with these files and no others; no branch has it yet.

    It is by whoever made the commit `cause`: in automation nobody else is known.
    """
    tree = commits.tree(repository, files)
    after = ["-p", onto] if onto else []
    return commits.committed(repository, tree, message, after, _who(repository, cause))


def move(repository: Repository, name: str, new: str, old: str | None) -> None:
    """Move a branch from `old` to `new` in one step, or not at all."""
    ref = f"refs/heads/{name}"
    if _has_remote(repository):
        lease = f"--force-with-lease={ref}:{old or ''}"
        repository.git("push", "--quiet", lease, ORIGIN, f"{new}:{ref}")
    else:
        repository.git("update-ref", ref, new, old or NOTHING)


def address(repository: Repository) -> str:
    """Return where the repository is for people to see, without a password; or nothing."""
    if not _has_remote(repository):
        return ""
    told = repository.git("remote", "get-url", ORIGIN).strip()
    scheme, found, rest = told.partition("://")
    if not found or scheme not in ("http", "https", "ssh"):
        return ""
    return f"https://{rest.rpartition('@')[2].removesuffix('.git')}"


def _who(repository: Repository, commit: str) -> dict[str, str]:
    name, address = repository.author(commit)
    kinds = ("AUTHOR", "COMMITTER")
    return {f"GIT_{k}_NAME": name for k in kinds} | {f"GIT_{k}_EMAIL": address for k in kinds}


def _has_remote(repository: Repository) -> bool:
    return ORIGIN in repository.git("remote").split()
