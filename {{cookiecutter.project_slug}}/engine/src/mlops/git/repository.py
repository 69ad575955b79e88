"""Git, called as the command that the user has, and how any command of the project is run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import ProjectError
from . import extraction

# What is read of git must not depend on the settings of whoever asks, nor on replaced objects.
PLAIN = {"DVC_NO_ANALYTICS": "1", "LC_ALL": "C.UTF-8", "GIT_NO_REPLACE_OBJECTS": "1"}
GIT_SETTINGS = ("-c", "log.showSignature=false", "-c", "core.quotePath=false")


class RepositoryError(ProjectError):
    """Git or DVC is missing, or did not do what it was asked."""


def commit(paths: Sequence[Path] = (), root: Path = Path()) -> str | None:
    """Return the last commit (that changed one of `paths`); None before it or outside git."""
    try:
        named = [str(path) for path in paths]
        return run("git", "log", "-1", "--format=%H", "--", *named, root=root).strip() or None
    except RepositoryError:
        return None


def is_clean(paths: Sequence[Path] = (), root: Path = Path()) -> bool:
    """Say whether git has these paths (or everything) exactly as they are now."""
    if commit(root=root) is None:
        return False
    named = [str(path) for path in paths]
    if run("git", "status", "--porcelain", "--", *named, root=root).strip():
        return False
    return len(run("git", "ls-files", "--", *named, root=root).split("\n")) > len(named)


def commit_of(ref: str, root: Path = Path()) -> str:
    """Return the hash of the commit that a branch, tag or hash names."""
    try:
        return run(
            "git", "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}", root=root
        ).strip()
    except RepositoryError as error:
        raise RepositoryError(
            f"git knows no commit {ref!r}: fetch it (`git fetch`), or correct the name"
        ) from error


def is_ancestor(commit: str, root: Path = Path(), of: str = "HEAD") -> bool:
    """Say whether a commit is `of` or before it; a commit that git does not know is not."""
    try:
        run("git", "merge-base", "--is-ancestor", "--end-of-options", commit, of, root=root)
    except RepositoryError:
        return False
    return True


def extract(commit: str, paths: Sequence[str], out: Path, root: Path = Path()) -> None:
    """Write those of the project's files and folders that a commit has to the folder `out`."""
    try:
        extraction.extract(commit, paths, out, root)
    except extraction.ExtractionError as error:
        raise RepositoryError(str(error)) from error


def text_at(commit: str, path: str, root: Path = Path()) -> str | None:
    """Return what a file of the project holds in a commit; None where it has none."""
    if not run("git", "ls-tree", "--name-only", commit, "--", path, root=root).strip():
        return None
    # Not `git show`, which has a setting of git turn what it shows (diff.*.textconv).
    return run("git", "cat-file", "blob", f"{commit}:./{path}", root=root)


def run(
    command: str,
    *arguments: str,
    root: Path,
    environment: Mapping[str, str] | None = None,
    shown: str = "",
) -> str:
    """Run a command in `root` and return what it prints, or raise with the end of its complaint.

    `environment` is added to this process's own; `shown` is what the complaint calls the command.
    """
    own = {**os.environ, **PLAIN, **(environment or {})}
    settings = GIT_SETTINGS if command == "git" else ()
    try:
        done = subprocess.run(
            [_executable(command), *settings, *arguments],
            cwd=root,
            env=own,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            close_fds=False,  # Python's own are not inherited; a lock that is meant to be, is
        )
    except OSError as error:
        raise RepositoryError(f"{command} cannot be started ({error}): install it again") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        # DVC draws its progress above the error, and hints below it.
        said = next((line for line in lines if line.startswith(("ERROR: ", "fatal: "))), lines[-1])
        said = said.removeprefix("ERROR: ").removeprefix("fatal: ")
        shown = shown or " ".join((command, *arguments))
        raise RepositoryError(f"`{shown}` failed ({said}): mend that and try again")
    return done.stdout


def _executable(command: str) -> str:
    """Return the command beside this Python, or else the first on PATH."""
    beside = Path(sys.executable).with_name(command)
    found = str(beside) if beside.is_file() else shutil.which(command)
    if found is None:
        raise RepositoryError(f"{command} is not installed: run `make setup`, or install it")
    return found
