"""What one job of automation hands over to the next: commits, and what they may touch.

The job that runs a branch's code has no right to push. It leaves its commits as a git bundle; the
job that may push runs this module as the base has it, with Python alone, and nothing of the
branch: `python3 -P -m mlops.release.transfer BUNDLE --onto SHA --branch NAME`. What the first
one commits of the pipeline's results, it commits with this module too (`--results MESSAGE`).
"""

import argparse
import re
import stat
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import ProjectError
from ..git import extraction

# What the pipeline writes and git keeps: `make candidate` commits it, and so it is accepted. Of
# reports/ that is whatever a stage leaves there, but no name that git or an editor heeds.
RESULTS = re.compile(r"dvc\.lock|resolved\.yaml|reports(/[^./\x00-\x1f\x7f][^/\x00-\x1f\x7f]*)+")
PLACES = ("dvc.lock", "resolved.yaml", "reports")
PROMOTED = re.compile(
    r"deploy/[a-z][a-z0-9-]*/(champion\.dvc|release\.yaml|gate\.json|challenger\.gate\.json)"
)
REF = "refs/handover/commits"
MOST = 5  # commits: one of results, one for each promotion


class TransferError(ProjectError):
    """What was handed over is not what automation writes."""


def accepted(bundle: Path, onto: str, root: Path) -> str:
    """Return the last commit of a bundle whose commits follow `onto` and write what they may."""
    if not re.fullmatch(r"[0-9a-f]{40}", onto):
        raise TransferError(f"{onto!r} is no commit: give the hash that the branch had")
    _git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head",
         str(bundle.resolve()), f"+HEAD:{REF}", root=root)  # fmt: skip
    new = _git("rev-parse", "--verify", f"{REF}^{{commit}}", root=root).strip()
    line = _git("rev-list", "--parents", "--reverse", f"{onto}..{new}", root=root).splitlines()
    before = onto
    for commit, *parents in map(str.split, line):
        if parents != [before]:
            raise TransferError(f"{commit[:12]} does not follow {before[:12]}: not accepted")
        _check(commit, root)
        before = commit
    if before != new or not 0 < len(line) <= MOST:
        raise TransferError(f"{len(line)} commits follow {onto[:12]}: 1 to {MOST} are accepted")
    return new


def _check(commit: str, root: Path) -> None:
    """Raise where a commit does more than add or change plain files at the paths that are known.

    Those are of the project in `root`: what lies elsewhere in its repository is another's.
    """
    above = _git("rev-parse", "--show-prefix", root=root).removesuffix("\n")
    for change in _changes("diff-tree", "-r", "--no-commit-id", commit, root=root):
        own = change._replace(path=change.path.removeprefix(above))
        inside = change.path.startswith(above)
        if not (inside and (own.is_result or (own.is_plain and PROMOTED.fullmatch(own.path)))):
            raise TransferError(
                f"{commit[:12]} changes {change}, which no pipeline and no promotion writes: not "
                "accepted"
            )


class Change(NamedTuple):
    """A file that a commit or the working tree has otherwise: its mode then, and A, M, D or T."""

    path: str
    mode: str
    kind: str

    def __str__(self) -> str:
        return f"{self.path!r} ({self.kind}, mode {self.mode})"

    @property
    def is_plain(self) -> bool:
        """Whether it is a plain file, added or changed."""
        return self.mode == extraction.PLAIN and self.kind in ("A", "M")

    @property
    def is_result(self) -> bool:
        """Whether the pipeline may have written it for git to keep."""
        return self.is_plain and RESULTS.fullmatch(self.path) is not None


def _changes(*command: str, root: Path) -> list[Change]:
    verb, *arguments = command
    options = ("--raw", "-z", "--no-renames", "--ignore-submodules=none")
    fields = _git(verb, *options, *arguments, root=root).split("\0")[:-1]
    heads = (head.split() for head in fields[::2])
    return [
        Change(path, mode, kind)
        for (_, mode, _, _, kind), path in zip(heads, fields[1::2], strict=True)
    ]


def commit_results(message: str, root: Path) -> list[Change]:
    """Commit what the pipeline has written, if anything; return what is left as it is.

    It is what `accepted` takes: another list here would be commits that nobody can push.
    """
    changed = _changed(root)
    results = [one.path for one in changed if one.is_result]
    if results:
        _git("add", "--", *results, root=root)
        _git("commit", "--quiet", "-m", message, "--", *results, root=root)
    return [one for one in changed if not one.is_result]


def _changed(root: Path) -> list[Change]:
    """Return what differs from HEAD where the pipeline writes, but for what git ignores."""
    told = _git("ls-files", "--others", "--exclude-standard", "-z", "--", *PLACES, root=root)
    new = [Change(path, _mode(root / path), "A") for path in told.split("\0") if path]
    with suppress(TransferError):  # which it raises where a file needs an update
        _git("update-index", "-q", "--refresh", root=root)
    return new + _changes("diff-index", "--relative", "HEAD", "--", *PLACES, root=root)


def _mode(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return extraction.LINK
    return extraction.EXECUTABLE if mode & stat.S_IXUSR else extraction.PLAIN


def push(commit: str, branch: str, root: Path) -> None:
    """Push a commit to a branch that is where the commit's line left it, or has it already."""
    try:
        _git("push", "--quiet", "origin", f"{commit}:refs/heads/{branch}", root=root)
    except TransferError as error:
        raise TransferError(
            f"{branch} did not take {commit[:12]} ({error}): where it moved on meanwhile, the run "
            "of its new commit takes over"
        ) from error


def main(argv: Sequence[str] | None = None) -> int:
    """Accept a bundle, push it, and print the commit; or commit the results to hand over."""
    parser = argparse.ArgumentParser(prog="mlops.release.transfer", description=__doc__)
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--onto")
    parser.add_argument("--branch")
    parser.add_argument("--results", metavar="MESSAGE", help="commit what the pipeline wrote")
    given = parser.parse_args(argv)
    try:
        if given.results is not None:
            for change in commit_results(given.results, Path()):
                print(f"handover: not committed: {change}", file=sys.stderr)
            return 0
        if not (given.bundle and given.onto and given.branch):
            parser.error("a bundle needs --onto and --branch")
        commit = accepted(given.bundle, given.onto, Path())
        push(commit, given.branch, Path())
    except ProjectError as error:
        print(f"handover: {error}", file=sys.stderr)
        return 2
    print(commit)
    return 0


def _git(*arguments: str, root: Path) -> str:
    command = ["git", *extraction.OPTIONS, "-c", "fetch.fsckObjects=true", *arguments]
    done = subprocess.run(command, cwd=root, env=extraction.neutral(), capture_output=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise TransferError(f"`git {arguments[0]}` failed: {said[-1]}")
    return done.stdout.decode(errors="surrogateescape")


if __name__ == "__main__":
    sys.exit(main())
