"""A project in git: what is read of it, and how git and any other command is run there."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import ProjectError
from . import extraction, steps

PLAIN = {"DVC_NO_ANALYTICS": "1"}

Blobs = dict[str, str]


class Entry(NamedTuple):
    """What git has at a path: the mode, and the object that holds the content."""

    mode: str
    object: str


class RepositoryError(ProjectError):
    """Git or DVC is missing, or did not do what it was asked."""


class UnreadableError(RepositoryError):
    """What a commit has at a path is no text."""


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
            found = next(iter(self.commits(named, most=1)), None)
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

    def commits(self, paths: Sequence[str], most: int = -1, of: str = "HEAD") -> list[str]:
        """Return the commits of `of` (`--all` for every line) that changed a file, newest first."""
        return self.git("rev-list", f"--max-count={most}", of, "--", *paths).split()

    def differing(self, paths: Sequence[Path]) -> list[str]:
        """Return the files, of these and in these folders, that HEAD has otherwise than they are.

        To the byte and file by file: `git status` leaves out what somebody's settings ignore, or
        an index has been told not to look at. Bytecode aside. Without a HEAD, all of them.
        """
        there = {path.relative_to(self.root).as_posix(): path for path in self._present(paths)}
        try:
            held = self.entries("HEAD", [str(path) for path in paths])
        except RepositoryError:
            return sorted(there)
        changed = (
            name
            for name, path in there.items()
            if name not in held or not self._is(path, held[name], paths)
        )
        return sorted({*changed, *(held.keys() - there.keys())})

    def is_clean(self, paths: Sequence[Path]) -> bool:
        """Say whether HEAD has these files, and all in these folders, exactly as they are now."""
        return self.commit(paths) is not None and not self.differing(paths)

    def _present(self, paths: Sequence[Path]) -> Iterator[Path]:
        for path in (self.root / one for one in paths):
            found = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
            for file in found:
                if file.is_symlink() or (file.is_file() and "__pycache__" not in file.parts):
                    yield file

    def _is(self, file: Path, entry: Entry, paths: Sequence[Path]) -> bool:
        """Say whether git has a file so; of a link out of `paths` it does not have the target."""
        if not file.is_symlink():
            return entry.mode != extraction.LINK and entry.object == named(
                file.read_bytes(), entry.object
            )
        target = file.resolve()
        inside = any(target.is_relative_to((self.root / path).resolve()) for path in paths)
        return inside and entry.object == named(os.fsencode(os.readlink(file)), entry.object)

    def is_shallow(self) -> bool:
        """Say whether this clone has only the end of the history."""
        return self.git("rev-parse", "--is-shallow-repository").strip() == "true"

    def commit_of(self, ref: str) -> str:
        """Return the hash of the commit that a branch, tag or hash names.

        Raises RepositoryError where the name is that of two: whoever may push could put a tag
        called `origin/main` in front of the branch.
        """
        try:
            asked = f"{ref}^{{commit}}"
            found = self.git("rev-parse", "--verify", "--end-of-options", asked).strip()
        except RepositoryError as error:
            raise RepositoryError(
                f"git knows no commit {ref!r}: fetch it (`git fetch`), or correct the name"
            ) from error
        if ref in ("HEAD", found):
            return found
        wholes = [f"refs/{kind}{ref}" for kind in ("", "tags/", "heads/", "remotes/")]
        told = self.git("for-each-ref", "--format=%(refname)", *wholes).splitlines()
        if len(known := [name for name in told if name in wholes]) > 1:
            raise RepositoryError(
                f"{ref} is {' and '.join(known)}: give the whole name of the one that you mean, "
                "and remove the other"
            )
        return found

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
        return list(steps.parsed(self._told(steps.LAYOUT, "--first-parent", commit, "--", *paths)))

    def last_author(self, commit: str, paths: Sequence[str]) -> str:
        """Return who made the last commit that changed the files, also where a merge brought it."""
        return self._told("%an <%ae>", "--max-count=1", commit, "--", *paths).strip()

    def author(self, commit: str) -> tuple[str, str]:
        """Return name and address of whoever made a commit."""
        name, _, address = self._told("%an%x00%ae", "--max-count=1", commit).partition("\0")
        return name, address.removesuffix("\n")

    def message(self, commit: str) -> str:
        """Return what a commit says of itself, as it was written."""
        return self.git("cat-file", "commit", commit).partition("\n\n")[2]

    def titles(self, since: str, of: str = "HEAD") -> list[tuple[str, str]]:
        """Return hash and first line of the commits of `of` that `since` has not, oldest first."""
        told = self._told("%H%x00%s%x00", "--reverse", f"{since}..{of}").split("\0")[:-1]
        return [(one.strip(), title) for one, title in zip(told[::2], told[1::2], strict=True)]

    def _told(self, layout: str, *arguments: str) -> str:
        """Return what git tells of commits: as plumbing, which follows nobody's `log.*`."""
        return self.git("rev-list", "--no-commit-header", f"--format={layout}", *arguments)

    def blobs(self, commit: str, paths: Sequence[str]) -> Blobs:
        """Return the object of each of the files that a commit has, by the file's path."""
        found = parsed(self.git("ls-tree", "-z", commit, "--", *paths))
        return {path: entry.object for path, entry in found.items()}

    def text_at(self, commit: str, path: str) -> str | None:
        """Return what a file of the project holds in a commit, to the byte; None for no file.

        Raises UnreadableError for a link, and for what is no UTF-8.
        """
        entry = parsed(self.git("ls-tree", "-z", commit, "--", path)).get(path)
        return None if entry is None else self.text(entry, f"{path} of {commit[:12]}")

    def text(self, entry: Entry, name: str) -> str | None:
        """Return the text that an entry stands for; None for a folder."""
        if entry.mode not in (extraction.PLAIN, extraction.EXECUTABLE, extraction.LINK):
            return None
        # Not `git show`, which has a setting of git turn what it shows (diff.*.textconv).
        content = self._bytes("git", "cat-file", "blob", entry.object)
        try:
            if entry.mode != extraction.LINK:
                return content.decode()
            what = "is a link"
        except UnicodeDecodeError:
            what = "is no UTF-8"
        raise UnreadableError(f"{name} {what}: put the text itself there")

    def entries(self, commit: str, paths: Sequence[str]) -> dict[str, Entry]:
        """Return what a commit has at these paths and below them, by the path of each file."""
        return parsed(self.git("ls-tree", "-r", "-z", commit, "--", *paths))

    def extract(self, commit: str, paths: Sequence[str], out: Path) -> None:
        """Write those of the project's files and folders that a commit has to the folder `out`."""
        try:
            extraction.extract(commit, paths, out, self.root)
        except extraction.ExtractionError as error:
            raise RepositoryError(str(error)) from error

    def prefix(self) -> str:
        """Return what its paths begin with from the top of git's tree: nothing, or `folder/`."""
        return self.git("rev-parse", "--show-prefix").removesuffix("\n")

    def git_path(self, name: str) -> Path:
        """Return where git keeps something of this working tree."""
        told = self.git("rev-parse", "--git-path", name).strip()
        return Path(os.path.abspath(self.root / told))

    def git(
        self, *arguments: str, text: str = "", environment: Mapping[str, str] | None = None
    ) -> str:
        """Run git on `text` and return what it prints, as `run` does."""
        told = self._bytes("git", *arguments, text=text, environment=environment)
        return told.decode(errors="replace")

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
        told = self._bytes(command, *arguments, environment=environment, shown=shown)
        return told.decode(errors="replace")

    def _bytes(
        self,
        command: str,
        *arguments: str,
        text: str = "",
        environment: Mapping[str, str] | None = None,
        shown: str = "",
    ) -> bytes:
        own = {**extraction.neutral(), **PLAIN, **(environment or {})}
        settings = extraction.OPTIONS if command == "git" else ()
        try:
            done = subprocess.run(
                [_executable(command), *settings, *arguments],
                cwd=self.root,
                env=own,
                input=text.encode(errors="surrogateescape"),
                capture_output=True,
                close_fds=False,  # Python's own are not inherited; a lock that is meant to be, is
            )
        except OSError as error:
            raise RepositoryError(
                f"{command} cannot be started ({error}): install it again"
            ) from error
        if done.returncode:
            complaint = (done.stderr or done.stdout).decode(errors="replace")
            lines = complaint.strip().splitlines() or ["no reason given"]
            # DVC draws its progress above the error, and hints below it.
            said = next((li for li in lines if li.startswith(("ERROR: ", "fatal: "))), lines[-1])
            said = said.removeprefix("ERROR: ").removeprefix("fatal: ")
            shown = shown or " ".join((command, *arguments))
            raise RepositoryError(f"`{shown}` failed ({said}): mend that and try again")
        return done.stdout


def short(ref: str) -> str:
    """Return what people call a branch of a remote that is named in whole."""
    return ref.removeprefix("refs/remotes/")


def named(content: bytes, like: str) -> str:
    """Return the name that git gives to the content of a file, of the kind that `like` is."""
    kind = hashlib.sha1 if len(like) == 40 else hashlib.sha256
    return kind(b"blob %d\0" % len(content) + content).hexdigest()


def parsed(listing: str) -> dict[str, Entry]:
    """Return what `git ls-tree -z` lists, by path."""
    lines = (line.partition("\t") for line in listing.split("\0") if line)
    heads = ((head.split(), path) for head, _, path in lines)
    return {path: Entry(mode, name) for (mode, _, name), path in heads}


def _executable(command: str) -> str:
    """Return the command beside this Python, or else the first on PATH."""
    beside = Path(sys.executable).with_name(command)
    found = str(beside) if beside.is_file() else shutil.which(command)
    if found is None:
        raise RepositoryError(f"{command} is not installed: run `make setup`, or install it")
    return found
