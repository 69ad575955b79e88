"""A branch that is written without ever being checked out, at the remote where there is one."""

from collections.abc import Mapping
from pathlib import Path

from ..git import commits
from ..git.repository import RepositoryError, run

ORIGIN = "origin"
NOTHING = "0" * 40


def tip(name: str, root: Path = Path()) -> str | None:
    """Return the commit of a branch, fetched from the remote; None where there is no branch."""
    ref = f"refs/heads/{name}"
    if not _has_remote(root):
        return run("git", "for-each-ref", "--format=%(objectname)", ref, root=root).strip() or None
    told = run("git", "ls-remote", ORIGIN, ref, root=root).split()
    if told:
        fetch(told[0], root, ref)
    return told[0] if told else None


def fetch(commit: str, root: Path = Path(), ref: str | None = None) -> None:
    """Have a commit, by the `ref` that leads to it or by itself."""
    try:
        run("git", "cat-file", "-e", f"{commit}^{{commit}}", root=root)
    except RepositoryError:
        # No ref follows: another fetch may be at work in this clone.
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=")
        run("git", "fetch", *quiet, ORIGIN, ref or commit, root=root)


def texts(commit: str, root: Path = Path()) -> dict[str, str]:
    """Return every file of a commit."""
    told = run("git", "ls-tree", "-r", "-z", "--full-tree", "--name-only", commit, root=root)
    return {path: text(commit, path, root) or "" for path in told.split("\0") if path}


def text(commit: str, path: str, root: Path = Path()) -> str | None:
    """Return a file of a commit by its path from the top; None where there is none."""
    if not run("git", "ls-tree", "--full-tree", commit, "--", path, root=root):
        return None
    return run("git", "show", f"{commit}:{path}", root=root)


def made(
    files: Mapping[str, str], message: str, cause: str, onto: str | None, root: Path = Path()
) -> str:
    """Return a new commit with these files and no others; no branch has it yet.

    It is by whoever made the commit `cause`: in automation nobody else is known.
    """
    tree = commits.tree(files, None, root)
    after = ["-p", onto] if onto else []
    return commits.committed(tree, message, after, root, _who(cause, root))


def move(name: str, new: str, old: str | None, root: Path = Path()) -> None:
    """Move a branch from `old` to `new` in one step, or not at all."""
    ref = f"refs/heads/{name}"
    if _has_remote(root):
        lease = f"--force-with-lease={ref}:{old or ''}"
        run("git", "push", "--quiet", lease, ORIGIN, f"{new}:{ref}", root=root)
    else:
        run("git", "update-ref", ref, new, old or NOTHING, root=root)


def address(root: Path = Path()) -> str:
    """Return where the repository is for people to see, without a password; or nothing."""
    if not _has_remote(root):
        return ""
    told = run("git", "remote", "get-url", ORIGIN, root=root).strip()
    scheme, found, rest = told.partition("://")
    if not found or scheme not in ("http", "https", "ssh"):
        return ""
    return f"https://{rest.rpartition('@')[2].removesuffix('.git')}"


def _who(commit: str, root: Path) -> dict[str, str]:
    told = run("git", "show", "--no-patch", "--format=%an%x1f%ae", commit, root=root)
    name, _, address = told.strip().partition("\x1f")
    kinds = ("AUTHOR", "COMMITTER")
    return {f"GIT_{k}_NAME": name for k in kinds} | {f"GIT_{k}_EMAIL": address for k in kinds}


def _has_remote(root: Path) -> bool:
    return ORIGIN in run("git", "remote", root=root).split()
