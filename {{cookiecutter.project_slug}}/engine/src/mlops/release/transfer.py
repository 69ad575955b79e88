"""What one job of automation hands over to the next: commits, and what they may touch.

The job that runs a branch's code has no right to push. It leaves its commits as a git bundle; the
job that may push runs this module as the base has it, with Python alone, and nothing of the
branch: `python3 -P -m mlops.release.transfer BUNDLE --onto SHA --branch NAME`.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import ProjectError
from ..git import extraction

# What the pipeline and `mlops promote` commit.
WRITTEN = re.compile(
    r"dvc\.lock|resolved\.yaml|reports/[\w.-]+\.json"
    r"|deploy/[a-z][a-z0-9-]*/(champion\.dvc|release\.yaml|gate\.json)"
)
REF = "refs/handover/commits"
MOST = 5  # commits: one of results, one for each promotion


class TransferError(ProjectError):
    """What was handed over is not what automation writes."""


def accepted(bundle: Path, onto: str, root: Path) -> str:
    """Return the last commit of a bundle whose commits follow `onto` and write what they may."""
    if not re.fullmatch(r"[0-9a-f]{40}", onto):
        raise TransferError(f"{onto!r} is no commit: give the hash that the branch had")
    _git("-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head",
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
    """Raise where a commit does more than add or change plain files at the paths that are known."""
    told = _git(
        *("diff-tree", "-r", "--raw", "-z", "--no-renames", "--ignore-submodules=none"),
        *("--no-commit-id", commit),
        root=root,
    )
    fields = told.split("\0")[:-1]
    for entry, path in zip(fields[::2], fields[1::2], strict=True):
        _, mode, _, _, kind = entry.split()
        if mode != "100644" or kind not in ("A", "M") or not WRITTEN.fullmatch(path):
            raise TransferError(
                f"{commit[:12]} changes {path!r} ({kind}, mode {mode}), which no pipeline and no "
                "promotion writes: not accepted"
            )


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
    """Accept a bundle, push it, and print the commit."""
    parser = argparse.ArgumentParser(prog="mlops.release.transfer", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--onto", required=True)
    parser.add_argument("--branch", required=True)
    given = parser.parse_args(argv)
    try:
        commit = accepted(given.bundle, given.onto, Path())
        push(commit, given.branch, Path())
    except ProjectError as error:
        print(f"handover: {error}", file=sys.stderr)
        return 2
    print(commit)
    return 0


def _git(*arguments: str, root: Path) -> str:
    command = ["git", *extraction.OPTIONS, *arguments]
    done = subprocess.run(command, cwd=root, env=extraction.neutral(), capture_output=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise TransferError(f"`git {arguments[0]}` failed: {said[-1]}")
    return done.stdout.decode(errors="surrogateescape")


if __name__ == "__main__":
    sys.exit(main())
