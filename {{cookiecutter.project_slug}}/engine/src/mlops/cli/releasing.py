"""What is done about what a commit declares: released, and kept so."""

import argparse
import datetime
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .verb import Arguments, Verb

if TYPE_CHECKING:
    from ..git.repository import Repository


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(release, "bring what a commit declares to registry, MLflow and env/ branches")
    _released(add)

    add = verb(refresh, "open the pull request of a candidate of new rows; exit 1: not now")
    add.add_argument("--because", metavar="FILE", type=Path, help="the report: monitor.json")
    add.add_argument("--at", metavar="DATE", type=_day, help="the day that it is (today, UTC)")
    add.add_argument(
        "--every", metavar="DAYS", type=int, help="also where the last is so long ago; 0: now"
    )

    add = verb(reconcile, "repair what differs from what a commit declares")
    _released(add)
    add.add_argument("--check", action="store_true", help="repair nothing: exit 1 if it differs")


def release(arguments: Arguments) -> None:
    from ..git.repository import Repository
    from ..release import job_summary, releasing

    repository = Repository()
    done = []
    for name in _environments(repository, arguments):
        one = releasing.release(repository, name, arguments.commit, _step(name), arguments.base)
        done += [one] if one else []
    job_summary.tell(job_summary.outputs(done), job_summary.page(done))
    for one in done:
        print(f"{one.record.environment} runs {one.record.name} as {one.record.pinned}")
    if not done:
        print("nothing is declared: nothing to release")


def refresh(arguments: Arguments) -> int:
    from ..git.repository import Repository
    from ..release import job_summary
    from ..release.refresh import NotNowError, refresh

    at = arguments.at or datetime.datetime.now(datetime.UTC).date()
    try:
        found = refresh(Repository(), arguments.because, at, arguments.every)
    except NotNowError as error:
        print(f"mlops refresh: {error}", file=sys.stderr)
        job_summary.tell({}, f"## Refresh\n\nNot now: {error}.\n")
        return 1
    print(found.said)
    job_summary.tell({"branch": found.branch or ""}, f"## Refresh\n\n{found.said}.\n")
    return 0


def reconcile(arguments: Arguments) -> int:
    from ..git.repository import Repository
    from ..release import job_summary, reconciliation

    repository = Repository()
    found = [
        reconciliation.reconcile(
            repository, name, arguments.commit, not arguments.check, _step(name), arguments.base
        )
        for name in _environments(repository, arguments)
    ]
    for one in found:
        for difference in one.differences:
            print(f"{one.environment}: {difference}")
    if not any(one.differences for one in found):
        print("registry, MLflow and branches are as declared")
    repaired = all(one.settled for one in found)
    text = job_summary.differences(found, repaired and not arguments.check)
    job_summary.tell({"settled": str(repaired).lower()}, text)
    return 0 if repaired else 1


def _released(add: argparse.ArgumentParser) -> None:
    add.add_argument("--environment", metavar="E", help="only this one (default: all)")
    add.add_argument("--commit", default="HEAD", help="what declares (default: HEAD)")
    add.add_argument(
        "--base",
        metavar="IMAGE",
        default=os.environ.get("MLOPS_BASE") or None,
        help="in place of the image that deploy/Dockerfile starts from ($MLOPS_BASE)",
    )


def _day(text: str) -> datetime.date:
    """Read a day like 2026-01-31."""
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("must be a day like 2026-01-31") from error


def _environments(repository: "Repository", arguments: Arguments) -> list[str]:
    from ..release.environments import order, previous

    commit = repository.commit_of(arguments.commit)
    if arguments.environment is None:
        return order(repository, commit)
    previous(repository, arguments.environment, commit)  # refuses one that there is not
    return [arguments.environment]


def _step(environment: str) -> Callable[[str, str], None]:
    return lambda step, text: print(f"{environment}: {step:7} {text}", file=sys.stderr, flush=True)
