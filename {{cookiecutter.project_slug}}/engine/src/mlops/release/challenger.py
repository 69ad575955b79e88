"""The challenger that a commit declares: which bundle, in which experiment, and on what evidence.

It is served to people as the champion is, so it passed the same gate: the report of that stands
beside its pointer.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from ..bundle import contents, verdict
from ..git import dvc
from ..git.repository import Repository, RepositoryError, UnreadableError
from ..rollout import declaration as rollout
from ..rollout.declaration import Experiment, ExperimentError
from . import evidence
from .declaration import DEPLOY, DeclarationError, Pointer, report_text

NAME = "challenger"
POINTER, REPORT = f"{NAME}.dvc", f"{NAME}.gate.json"
ENDED = "experiments"  # beside them: what those that ended came to
WINS = ("better", "passed")
REMEDY = "take the file as an earlier commit has it, or end it by `mlops experiment stop`"
SETTLE = (
    "`mlops gate --rederive` against the base, then `mlops promote`; the workflow `model` does both"
)


class ChallengerError(DeclarationError):
    """An experiment names a challenger that cannot be served."""


class Challenged(NamedTuple):
    """What an environment declares of an experiment, parsed."""

    environment: str
    experiment: Experiment
    pointer: Pointer
    report: dict[str, Any]

    @property
    def pending(self) -> list[str]:
        """What is still to come of the verdict on the challenger."""
        return list(self.report.get("pending", []))


def paths(environment: str) -> list[str]:
    """Return the paths of declaration, pointer and report."""
    return [f"{DEPLOY}/{environment}/{name}" for name in (rollout.NAME, POINTER, REPORT)]


def challenged(repository: Repository, commit: str, environment: str) -> Challenged | None:
    """Return the experiment of a commit; None where it declares none, or one of another champion.

    A pointer without an experiment is nobody's. Raises ChallengerError.
    """
    places = paths(environment)
    where = f"{places[0]} of {commit[:12]}"
    try:
        told, pointer, report = (repository.text_at(commit, path) for path in places)
        if told is None:
            return None
        experiment = rollout.parse(told.encode(), where)
        found = Pointer.read(pointer or "", NAME)
        content = json.loads(report or "null")
    except (UnreadableError, ExperimentError, ValueError, RecursionError) as error:
        raise ChallengerError(f"{error}: {REMEDY}") from error
    if found is None or not isinstance(content, dict):
        lacks = places[1] if found is None else places[2]
        raise ChallengerError(f"{where} has no {lacks} as `start` writes it: {REMEDY}")
    return Challenged(environment, experiment, found, content)


def beside(
    repository: Repository, commit: str, environment: str, champion: str
) -> Challenged | None:
    """Return the experiment of a commit if it is of the champion that is served.

    Of another one, as after a revert, nobody meets the challenger: servers say so.
    """
    one = challenged(repository, commit, environment)
    return one if one is not None and one.experiment.champion == champion else None


def check(repository: Repository, one: Challenged, base: str | None, own: str) -> None:
    """Raise a ProjectError where the gate's report does not vouch for a challenger.

    `base` is the commit whose policy and code count, `own` the one that declares.
    """
    try:
        task, holdout = one.report["candidate"]["task"], one.report["holdout"]["sha256"]
    except (LookupError, TypeError) as error:
        raise verdict.VerdictError(evidence.SHAPELESS) from error
    now = {
        "candidate": one.experiment.challenger,
        "champion": one.experiment.champion,
        "policy": evidence.policy(repository, base, own, task),
        "holdout": holdout,
    }
    evidence.confirmed(one.report, now)
    evidence.check_judge(repository, one.report, base)


def verify(
    repository: Repository, one: Challenged, commit: str, out: Path, base: str | None = None
) -> None:
    """Verify a challenger and bring its bundle to `out`; raises a ProjectError.

    What counts are policy and code of `base`: if not given, of what was before its report came.
    """
    if base is None:
        steps = repository.changed(commit, paths(one.environment)[1:])
        base = repository.parent(steps[0].commit)
    check(repository, one, base, commit)
    if one.pending:
        raise verdict.VerdictError(
            f"the challenger {one.experiment.challenger[:12]} of {one.environment} rests on a "
            f"verdict of which {', '.join(one.pending)} is still to come: {SETTLE}"
        )
    bring(repository, one, out)


def bring(repository: Repository, one: Challenged, out: Path) -> None:
    """Fetch the bundle of a challenger to `out` and hash it."""
    try:
        dvc.fetch(repository, one.pointer.text(NAME), NAME, out)
    except RepositoryError as error:
        raise ChallengerError(
            f"{one.experiment.challenger[:12]} cannot be fetched from DVC cache or remote "
            f"({error}); where it is whole, `dvc push` it"
        ) from error
    found, _, _ = contents.read(out)
    if Pointer.of(out) != one.pointer or found != one.experiment.challenger:
        raise ChallengerError(
            f"{POINTER} of {one.environment} brings {found[:12]}, and its experiment is of "
            f"{one.experiment.challenger[:12]}: {REMEDY}"
        )


def text(report: dict[str, Any]) -> str:
    """Return a report of the gate as it stands beside the pointer."""
    return report_text(report)


def ended(
    repository: Repository, commit: str, environment: str
) -> list[tuple[str, dict[str, Any]]]:
    """Return what experiments came to, each with its path, the newest first.

    Files that are no report are left out: nothing rests on them.
    """
    folder = f"{DEPLOY}/{environment}/{ENDED}"
    found = []
    for path in sorted(repository.blobs(commit, [f"{folder}/"]), reverse=True):
        try:
            content = json.loads(repository.text_at(commit, path) or "")
            if verdict.digest(content) == content["digest"] and content["challenger"]:
                found.append((path, content))
        except (UnreadableError, ValueError, LookupError, TypeError, RecursionError):
            continue
    return found


def lost(
    repository: Repository, commit: str, environment: str, champion: str, challenger: str
) -> str | None:
    """Return the path of the experiment in which a bundle did not win against a champion.

    The bundle is named by its digest, or by that of its pointer. None where there was none, or
    where it won one later.
    """
    for path, content in ended(repository, commit, environment):
        named = (content["challenger"], content.get("pointer"))
        if content["champion"] == champion and challenger in named:
            return None if content["verdict"] in WINS else path
    return None
