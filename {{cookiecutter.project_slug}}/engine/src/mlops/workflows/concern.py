"""Whether a change concerns a project among several: `python3 -P -m mlops.workflows.concern`.

Git compares what the project's folder is in two commits, whatever its size: its own workflows at
the top count as well, and its part of the code owners. Runs with Python alone.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import ProjectError
from ..git.placement import Placement, placement, top
from ..git.repository import Repository, RepositoryError
from . import owners
from .copies import FOLDER, GITLAB


def concern(repository: Repository, since: str) -> str | None:
    """Return what of a project HEAD has otherwise than `since`; None for nothing.

    What cannot be compared counts as changed: a new branch, a commit that is not here.
    """
    whole = top(repository)
    if not since.strip("0"):
        return "there is nothing to compare with"
    try:
        before = whole.commit_of(since)
    except RepositoryError:
        return f"{since[:12]} is not here to compare with"
    return differing(whole, placement(repository), before, whole.commit_of("HEAD"))


def differing(whole: Repository, place: Placement, before: str, now: str) -> str | None:
    """Return what of a project two commits have otherwise; None for nothing."""
    if _object(whole, before, place.folder) != _object(whole, now, place.folder):
        return place.folder or "the repository"
    sources = whole.entries(now, [place.path(FOLDER)])
    files = [f"{FOLDER}/{place.workflow(Path(path).name)}" for path in sources]
    files.append(f"{GITLAB}/{place.name}.yml")
    held, has = (whole.blobs(commit, files) for commit in (before, now))
    if edited := sorted(path for path in {*held, *has} if held.get(path) != has.get(path)):
        return edited[0]
    parts = [_part(whole, commit, place) for commit in (before, now)]
    return None if parts[0] == parts[1] else owners.SOURCE


def _object(whole: Repository, commit: str, folder: str) -> str:
    """Return the object of a folder in a commit, which stands for all that is in it."""
    told = whole.git("ls-tree", "-z", commit, "--", folder) if folder else commit
    return told.partition("\t")[0]


def _part(whole: Repository, commit: str, place: Placement) -> str:
    """Return the project's part of the code owners in a commit."""
    texts = (whole.text_at(commit, path) for path in owners.PLACES)
    return owners.part(next((text for text in texts if text is not None), ""), place.name)


def main(argv: Sequence[str] | None = None) -> int:
    """Print `changed=yes` or `changed=no` for a workflow, and why for people."""
    parser = argparse.ArgumentParser(prog="mlops.workflows.concern", description=__doc__)
    parser.add_argument("--since", required=True, metavar="REF")
    given = parser.parse_args(argv)
    try:
        repository = Repository()
        what, name = concern(repository, given.since), placement(repository).name
    except ProjectError as error:
        print(f"changed: {error}", file=sys.stderr)
        return 2
    said = f"{name} is concerned: {what}" if what else f"nothing of {name} changed"
    print(said, file=sys.stderr)
    print(f"changed={'yes' if what else 'no'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
