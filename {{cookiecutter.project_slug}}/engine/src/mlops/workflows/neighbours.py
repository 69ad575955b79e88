"""What is required of neighbours, reported on a commit that automation pushed.

Such a commit starts no workflow. Its own project's are started on it; those of a project of which
it changes nothing would find that out, so that it is said here, for all of them at once. Runs with
Python alone, of the code of main: `python3 -P -m mlops.workflows.neighbours --commit SHA`.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..errors import ProjectError
from ..git.placement import Placement, name_of, placement, top
from ..git.repository import Repository
from .concern import differing
from .copies import neighbours, required

MAIN = "refs/remotes/origin/main"


class NeighboursError(ProjectError):
    """GitHub does not take what is reported."""


class Idle(NamedTuple):
    """A neighbour of which a commit changes nothing, and what is required of it."""

    name: str
    contexts: list[str]


def idle(repository: Repository, commit: str, main: str = MAIN) -> Iterator[Idle]:
    """Yield the neighbours of which a branch that ends in `commit` changes nothing."""
    whole = top(repository)
    base = whole.merge_base(whole.commit_of(main), whole.commit_of(commit))
    for folder in neighbours(whole.root, placement(repository)):
        root = whole.root / folder
        place = Placement(folder, name_of(root))
        if differing(whole, place, base, commit) is None:
            yield Idle(place.name, required(root, place))


def _report(commit: str, context: str, name: str) -> None:
    path = f"repos/{os.environ['GITHUB_REPOSITORY']}/statuses/{commit}"
    told = ["-f", "state=success", "-f", f"context={context}"]
    command = ["gh", "api", "--silent", "--method", "POST", path, *told]
    command += ["-f", f"description=Nothing of {name} changed."]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise NeighboursError(f"`gh` cannot be started ({error}): install it") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise NeighboursError(
            f"GitHub refuses to hear of {context} ({said[-1]}): the job needs `statuses: write`"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Report for each neighbour of which nothing changed."""
    parser = argparse.ArgumentParser(prog="mlops.workflows.neighbours", description=__doc__)
    parser.add_argument("--commit", required=True, metavar="SHA")
    given = parser.parse_args(argv)
    try:
        for one in idle(Repository(), given.commit):
            for context in one.contexts:
                _report(given.commit, context, one.name)
            print(f"nothing of {one.name} changed: {', '.join(one.contexts)}")
    except ProjectError as error:
        print(f"neighbours: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
