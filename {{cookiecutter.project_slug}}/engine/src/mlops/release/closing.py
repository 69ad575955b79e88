"""The pull request of a refresh after its judgment: told, and closed where it is no better.

That of ingested data is told alone.

Runs with Python alone, of the code of main: `python3 -P -m mlops.release.closing`. It touches what
automation opened itself, from a branch of this repository, and as long as nobody else pushed there.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import ProjectError
from ..git.placement import placement
from ..git.repository import Repository, RepositoryError
from . import pulls

DAY = re.compile(r"\d{4}-\d\d-\d\d")
PAGE, REPORT = "proposal.md", "gate.json"
NO_BETTER = (
    "## No better than what is served\n\nThe gate rejected this refresh, so it is closed and its "
    "branch deleted; what is served stays. The next one comes after the cool-down.\n\n"
)


def told(folder: Path, branch: str, commit: str, repository: Repository) -> str:
    """Comment on the pull request of a refresh, close it where it was rejected, and say so."""
    place = placement(repository)
    # The next run of `ingest` writes its branch anew, whatever became of the last.
    stays = branch == place.branch("ingest", "data")
    kind = place.branch("refresh")
    if not stays and not (branch.startswith(kind) and DAY.fullmatch(branch.removeprefix(kind))):
        return f"{branch} is no branch of a refresh: nothing to do"
    own = [one for one in pulls.of(branch) if one.author == pulls.AUTOMATION]
    if not own:
        return f"automation has no pull request from {branch}: nothing to do"
    last = max(own)
    rejected = not stays and _verdict(folder / REPORT) == "rejected"
    if last.state == "OPEN":
        if rejected and last.commit != commit:
            return f"{last.url} has got other commits meanwhile: their own run tells of them"
        page = (folder / PAGE).read_text(encoding="utf-8")
        pulls.comment(last.number, NO_BETTER * rejected + page)
        if not rejected:
            return f"{last.url} has the report"
        pulls.close(last.number)
    elif last.state == "MERGED" or not rejected:
        return f"{last.url} is {last.state.lower()}: nothing to do"
    return f"{last.url} is closed, since the gate rejected it{_deleted(repository, branch, commit)}"


def _verdict(report: Path) -> object:
    """Return what the gate said; None where it has not judged."""
    try:
        return json.loads(report.read_text(encoding="utf-8"))["verdict"]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _deleted(repository: Repository, branch: str, commit: str) -> str:
    """Delete the branch where it is still what was judged; say what became of it."""
    ref = f"refs/heads/{branch}"
    try:
        repository.git("push", "--quiet", f"--force-with-lease={ref}:{commit}", "origin", f":{ref}")
    except RepositoryError:
        return f"; {branch} is gone already, or somebody pushed to it"
    return f", and {branch} is deleted"


def main(argv: Sequence[str] | None = None) -> int:
    """Do that for the report of a run."""
    parser = argparse.ArgumentParser(prog="mlops.release.closing", description=__doc__)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--branch", required=True)
    parser.add_argument("--commit", required=True)
    given = parser.parse_args(argv)
    try:
        print(told(given.report, given.branch, given.commit, Repository()))
    except (ProjectError, OSError) as error:
        print(f"refresh: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
