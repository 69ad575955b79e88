"""A project in git: what is read of it, and how git and any other command is run there."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ProjectError
from . import extraction, steps

# What is read of git must not depend on the settings of whoever asks, nor on replaced objects.
PLAIN = {"DVC_NO_ANALYTICS": "1", "LC_ALL": "C.UTF-8", "GIT_NO_REPLACE_OBJECTS": "1"}
GIT_SETTINGS = ("-c", "log.showSignature=false", "-c", "core.quotePath=false")

Blobs = dict[str, str]


class RepositoryError(ProjectError):
    """Git or DVC is missing, or did not do what it was asked."""


@dataclass(frozen=True)
class Repository:
    """The project in the folder `root`, as git has it: by default, the one that a command runs in.

    `root` may lie below the top of what git has: paths are those from `root`.
    """

    root: Path = Path()

    def commit(self, paths: Sequence[Path] = ()) -> str | None:
        """Return the last commit (that changed one of `paths`); None before it or outside git.

        Raises RepositoryError where a shallow clone is cut off before that: git then names the
        first commit that it has, as if that had brought every file.
        """
        try:
            named = [str(path) for path in paths]
            found = self.git("log", "-1", "--format=%H", "--", *named).strip() or None
        except RepositoryError:
            return None
        if found and named and found in self._cut():
            raise RepositoryError(
                "this clone has only the end of the history, which does not say what commit last "
                "changed the inputs: fetch the rest (`git fetch --unshallow`)"
            )
        return found

    def _cut(self) -> list[str]:
        """Return the commits of a shallow clone whose parents it lacks; none of a whole one."""
        place = self.git_path("shallow")
        return place.read_text(encoding="ascii").split() if place.is_file() else []

    def is_clean(self, paths: Sequence[Path] = ()) -> bool:
        """Say whether git has these paths (or everything) exactly as they are now."""
        if self.commit() is None:
            return False
        named = [str(path) for path in paths]
        if self.git("status", "--porcelain", "--", *named).strip():
            return False
        return len(self.git("ls-files", "--", *named).split("\n")) > len(named)

    def is_shallow(self) -> bool:
        """Say whether this clone has only the end of the history."""
        return self.git("rev-parse", "--is-shallow-repository").strip() == "true"

    def commit_of(self, ref: str) -> str:
        """Return the hash of the commit that a branch, tag or hash names."""
        try:
            named = f"{ref}^{{commit}}"
            return self.git("rev-parse", "--verify", "--end-of-options", named).strip()
        except RepositoryError as error:
            raise RepositoryError(
                f"git knows no commit {ref!r}: fetch it (`git fetch`), or correct the name"
            ) from error

    def is_ancestor(self, commit: str, of: str = "HEAD") -> bool:
        """Say whether a commit is `of` or before it; a commit that git does not know is not."""
        try:
            self.git("merge-base", "--is-ancestor", "--end-of-options", commit, of)
        except RepositoryError:
            return False
        return True

    def parent(self, commit: str) -> str | None:
        """Return the first parent: what the branch was before; None for the first commit."""
        told = self.git("rev-list", "--parents", "--max-count=1", commit).split()
        return told[1] if len(told) > 1 else None

    def line(self, commit: str) -> list[str]:
        """Return the commit and all that the branch was before it, newest first.

        Only first parents count.
        """
        return self.git("rev-list", "--first-parent", commit).split()

    def merge_base(self, one: str, other: str) -> str:
        """Return the commit in which two histories part."""
        try:
            return self.git("merge-base", one, other).strip()
        except RepositoryError as error:
            raise RepositoryError(
                f"git finds no commit that {one[:12]} and {other[:12]} share: fetch the whole "
                "history (`git fetch --unshallow`)"
            ) from error

    def changed(self, commit: str, paths: Sequence[str]) -> list[steps.Step]:
        """Return the commits that changed one of the files on this branch itself, newest first.

        A merge counts as one, with everything it brought.
        """
        layout = f"--format={steps.LAYOUT}"
        told = self.git("log", "--first-parent", layout, commit, "--", *paths)
        return list(steps.parsed(told))

    def last_author(self, commit: str, paths: Sequence[str]) -> str:
        """Return who made the last commit that changed the files, also where a merge brought it."""
        return self.git("log", "-1", "--format=%an <%ae>", commit, "--", *paths).strip()

    def blobs(self, commit: str, paths: Sequence[str]) -> Blobs:
        """Return the object of each of the files that a commit has, by the file's path."""
        told = self.git("ls-tree", "-z", commit, "--", *paths)
        entries = [line.partition("\t") for line in told.split("\0") if line]
        return {path: head.split()[2] for head, _, path in entries}

    def text_at(self, commit: str, path: str) -> str | None:
        """Return what a file of the project holds in a commit; None where it has none."""
        if not self.git("ls-tree", "--name-only", commit, "--", path).strip():
            return None
        # Not `git show`, which has a setting of git turn what it shows (diff.*.textconv).
        return self.git("cat-file", "blob", f"{commit}:./{path}")

    def extract(self, commit: str, paths: Sequence[str], out: Path) -> None:
        """Write those of the project's files and folders that a commit has to the folder `out`."""
        try:
            extraction.extract(commit, paths, out, self.root)
        except extraction.ExtractionError as error:
            raise RepositoryError(str(error)) from error

    def git_path(self, name: str) -> Path:
        """Return where git keeps something of this working tree."""
        told = self.git("rev-parse", "--git-path", name).strip()
        return Path(os.path.abspath(self.root / told))

    def git(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run git and return what it prints, as `run` does."""
        return self.run("git", *arguments, environment=environment)

    def run(
        self,
        command: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        shown: str = "",
    ) -> str:
        """Run a command there and return what it prints, or raise with the end of its complaint.

        `environment` is added to this process's own; `shown` is what the complaint calls the
        command.
        """
        own = {**os.environ, **PLAIN, **(environment or {})}
        settings = GIT_SETTINGS if command == "git" else ()
        try:
            done = subprocess.run(
                [_executable(command), *settings, *arguments],
                cwd=self.root,
                env=own,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                close_fds=False,  # Python's own are not inherited; a lock that is meant to be, is
            )
        except OSError as error:
            raise RepositoryError(
                f"{command} cannot be started ({error}): install it again"
            ) from error
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            # DVC draws its progress above the error, and hints below it.
            said = next((li for li in lines if li.startswith(("ERROR: ", "fatal: "))), lines[-1])
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
