"""Reconcile: where registry, MLflow or deployment branch differ from what main declares."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from ..git.repository import Repository
from . import deployment, releasing
from .containers import engine
from .records import MAIN
from .releasing import OUT, Plan, ReleaseError, Say


class Difference(NamedTuple):
    """One thing that is not as declared: where, what it should be, and what it is."""

    place: str
    declared: str
    found: str

    def __str__(self) -> str:
        return f"{self.place} is {self.found}, declared is {self.declared}"


class Reconciled(NamedTuple):
    """What an environment declares, what differed from it, and whether it does no more."""

    environment: str
    bundle_digest: str | None
    differences: list[Difference]
    settled: bool


def reconcile(
    repository: Repository,
    environment: str,
    commit: str,
    repair: bool,
    say: Say,
    base: str | None = None,
) -> Reconciled:
    """Compare what a commit declares with its mirrors, and with `repair` release it again.

    What is declared is never changed: that is main's to do.
    """
    commit = repository.commit_of(commit)
    (repository.root / OUT).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=repository.root / OUT) as folder:
        plan = releasing.planned(repository, environment, commit, Path(folder, "bundle"), base)
        if plan is None:
            left = _undeclared(repository, environment)
            return Reconciled(environment, None, left, not left)
        _check_current(plan, say)
        found = differences(plan)
        if found and repair:
            releasing.released(plan, say)
        return Reconciled(environment, plan.image.bundle_digest, found, repair or not found)


def _check_current(plan: Plan, say: Say) -> None:
    now = deployment.deployed(plan.repository, plan.environment)
    if releasing.overtaken(plan, now, say):
        raise ReleaseError(
            f"{plan.branch} follows a later commit than "
            f"{plan.commit[:12]}: check out what main is now"
        )


def differences(plan: Plan) -> list[Difference]:
    """Return what is not as declared, in the order in which a release would mend it."""
    found = []
    pushed = releasing.found(plan, engine())
    if pushed.digest is None:
        held = pushed.doubt or "not there"
        found.append(Difference(f"image {plan.image.name}", "in the registry", held))
    if releasing.mirrors():
        found += _mirrored(plan)
    return found + _deployment(plan, pushed.digest)


def _mirrored(plan: Plan) -> list[Difference]:
    from ..tracking import registry

    name, alias = releasing.project(plan), releasing.alias(plan)
    held = registry.mirrored(name, alias, plan.repository.root.resolve())
    declared = plan.image.bundle_digest
    if held == declared:
        return []
    return [Difference(f"MLflow alias {name}@{alias}", _shown(declared), _shown(held))]


def _deployment(plan: Plan, pushed: str | None) -> list[Difference]:
    place = f"branch {plan.branch}"
    declared = plan.image.bundle_digest
    now = deployment.deployed(plan.repository, plan.environment)
    if now is None or now.record is None:
        held = "nothing" if now is None else "no record of a release"
        return [Difference(place, _shown(declared), held)]
    if now.record.bundle_digest != declared:
        return [Difference(place, _shown(declared), _shown(now.record.bundle_digest))]
    digest = pushed or now.record.digest
    said = deployment.record(plan.commit, plan.environment, plan.said.name, plan.image, digest)
    if deployment.stands(plan.repository, now, said):
        return []
    if now.record.digest != digest:
        return [Difference(place, digest, now.record.digest)]
    if now.record.commit not in plan.repository.line(plan.commit):
        held = f"that of {now.record.commit[:12]}"
        return [Difference(place, f"the record of a commit of {MAIN}", held)]
    return [Difference(place, "the files of this commit", "others")]


def _undeclared(repository: Repository, environment: str) -> list[Difference]:
    now = deployment.deployed(repository, environment)
    if now is None:
        return []
    held = _shown(now.record.bundle_digest) if now.record else "no record of a release"
    return [Difference(f"branch {deployment.name(repository, environment)}", "nothing", held)]


def _shown(bundle_digest: str | None) -> str:
    return bundle_digest[:12] if bundle_digest else "nothing"
