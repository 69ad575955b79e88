"""The pull request of an upgrade: one branch, made anew from main by each run.

The commit comes from a job that ran the template's code, and is data here: this runs with Python
and git alone, as main has it (`python3 -P -m mlops.release.upgraded FOLDER --onto SHA`).
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import ProjectError
from ..git.placement import placement
from ..git.repository import Repository, RepositoryError
from . import pulls
from .branch import move, tip
from .standing_branch import check_own

MAIN = "main"
REF = "refs/handover/upgrade"
BUNDLE, REPORT = "commits.bundle", "upgrade.md"
TRAILER = re.compile(r"^Template-Upgrade: ", re.MULTILINE)
WORKFLOWS = ".github/workflows/"
STARTS = "STARTS"  # set where the token may change workflows, and starts them itself
INTRODUCTION = (
    "What `make upgrade` made of main: the workflows `model` and `check` judge it as any other "
    "pull request. Each run of the workflow `upgrade` writes this branch anew until it is merged; "
    "close it, and leave the branch, to have that version left out until the next."
)


class UpgradedError(ProjectError):
    """The upgrade cannot be proposed."""


def propose(repository: Repository, folder: Path, onto: str) -> str:
    """Push the commit that a folder has a bundle of, open or edit its pull request; say where.

    Raises UpgradedError for what is no upgrade of `onto`, StandingBranchError where somebody else
    pushed.
    """
    commit = _accepted(repository, folder / BUNDLE, onto)
    place = placement(repository)
    name = place.branch("upgrade", "template")
    starts = bool(os.environ.get(STARTS))
    changed = repository.git("diff", "--name-only", "--no-renames", onto, commit).splitlines()
    if not starts and any(path.startswith(WORKFLOWS) for path in changed):
        raise UpgradedError(
            "this upgrade changes workflows, which GitHub lets no run's own token push: set the "
            "secret UPGRADE_TOKEN (engine/docs/upgrading.md), or `make upgrade` in a clone"
        )
    before = tip(repository, name)
    title = _title(repository, commit)
    if before is not None:
        check_own(repository, name, before, onto)
    opened = pulls.of(name)
    closed = any(one.state == "CLOSED" and one.commit == before for one in opened)
    if before is not None and closed and _title(repository, before) == title:
        return f"{title}: its pull request was closed, and is not opened again"
    if before is None or not _is_same(repository, before, commit):
        move(repository, name, commit, before)
    if not starts:
        for workflow in ("model.yml", "check.yml"):
            pulls.start(place.workflow(workflow), name)
    body = f"{INTRODUCTION}\n\n{(folder / REPORT).read_text(encoding='utf-8', errors='replace')}"
    pull = next((one for one in opened if one.state == "OPEN"), None)
    if pull is None:
        return f"{pulls.create(name, title, body)} is open"
    pulls.edit(pull.number, title, body)
    return f"{pull.url} has the upgrade"


def _accepted(repository: Repository, bundle: Path, onto: str) -> str:
    """Return the one commit of a bundle, which follows `onto` and says that it is an upgrade."""
    if not re.fullmatch(r"[0-9a-f]{40}", onto):
        raise UpgradedError(f"{onto!r} is no commit: give the hash that main had")
    quiet = ("--quiet", "--no-tags", "--no-write-fetch-head")
    checked = ("-c", "fetch.fsckObjects=true")
    repository.git(*checked, "fetch", *quiet, str(bundle.resolve()), f"+HEAD:{REF}")
    commit = repository.commit_of(REF)
    if repository.parent(commit) != onto or not TRAILER.search(repository.message(commit)):
        raise UpgradedError(f"{commit[:12]} is no upgrade of {onto[:12]}: not accepted")
    return commit


def _is_same(repository: Repository, one: str, other: str) -> bool:
    """Say whether two commits have the same files and follow the same commit."""
    trees = {repository.git("rev-parse", f"{commit}^{{tree}}") for commit in (one, other)}
    return len(trees) == 1 and repository.parent(one) == repository.parent(other)


def _title(repository: Repository, commit: str) -> str:
    return repository.message(commit).partition("\n")[0]


def main(argv: Sequence[str] | None = None) -> int:
    """Propose what the job before this one handed over."""
    parser = argparse.ArgumentParser(prog="mlops.release.upgraded", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--onto", required=True)
    given = parser.parse_args(argv)
    try:
        print(propose(Repository(), given.folder, given.onto))
    except (ProjectError, RepositoryError) as error:
        print(f"upgraded: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
