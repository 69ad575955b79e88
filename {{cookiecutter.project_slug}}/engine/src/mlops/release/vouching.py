"""Promote, where the candidate is the challenger of an experiment: the gate's report beside it.

Its bundle stands under its pointer already, and people decide whether it becomes the champion.
"""

from pathlib import Path
from typing import Any, NamedTuple

from ..bundle import verdict
from ..errors import ProjectError
from ..git import commits, landing
from ..git.repository import Repository
from . import challenger
from .challenger import Challenged
from .declaration import declared


class Held(NamedTuple):
    """Why a candidate is not promoted: a sentence; with a commit where its report was renewed."""

    why: str
    commit: str | None = None


def held(
    repository: Repository, environment: str, head: str, candidate: str, report: Path, base: str
) -> Held | None:
    """Return why a candidate is not promoted; None where it may be.

    It is compared with the champion now, or was and did not win. The report of the gate that
    `report` holds replaces the one beside a challenger where it vouches for more.
    """
    standing = declared(repository, head, environment)
    if standing is None:
        return None
    champion = standing.declaration.bundle_digest
    one = challenger.beside(repository, head, environment, champion)
    if one is not None and one.experiment.challenger == candidate:
        commit = _renewed(repository, one, head, report, base)
        why = f"is the challenger of {environment}, and its experiment decides"
        return Held(why, commit)
    if path := challenger.lost(repository, head, environment, champion, candidate):
        return Held(
            f"did not win against the champion ({path}): make another candidate, or remove that "
            "file in a pull request that says why"
        )
    return None


def _renewed(
    repository: Repository, one: Challenged, head: str, report: Path, base: str
) -> str | None:
    """Commit a newer report on a challenger; None where the one that stands is as good."""
    if not one.pending and _holds(repository, one, base, head):
        return None
    content = _passed(report, one)
    if content is None:
        return None
    newer = one._replace(report=content)
    if newer.pending and _holds(repository, one, base, head):
        return None
    challenger.check(repository, newer, base, head)
    path = challenger.paths(one.environment)[2]
    digest = one.experiment.challenger[:12]
    message = (
        f"The gate's report on the challenger {digest} of {one.environment}\n\n"
        f"Verdict {content['digest']}.\n"
    )
    new = commits.made(repository, head, {path: challenger.text(content)}, message)
    landing.land(repository, new, head, [path], "mlops promote")
    return new


def _holds(repository: Repository, one: Challenged, base: str, head: str) -> bool:
    try:
        challenger.check(repository, one, base, head)
    except ProjectError:
        return False
    return True


def _passed(report: Path, one: Challenged) -> dict[str, Any] | None:
    try:
        content = verdict.read(report)
    except verdict.VerdictError:
        return None
    same = content["candidate"]["sha256"] == one.experiment.challenger
    return content if same and content["verdict"] == "passed" else None
