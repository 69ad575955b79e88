"""Release: what main declares, brought to registry, MLflow and deployment branch, step by step.

Each step looks first whether its result stands, so that a release that failed or was killed goes
on when it is run again, and one that is done changes nothing. The branch comes last: until then,
what was declared before is what runs.
"""

import json
import os
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..bundle import manifest
from ..errors import ProjectError
from ..files import write_text
from ..git.repository import Repository
from . import branch, challenger, deployment, environments, evidence, image, records, sbom, smoke
from .containers import Engine, engine
from .declaration import Declaration
from .deployment import Deployed, Record
from .evidence import PRODUCTION
from .image import Image
from .records import MAIN

OUT = Path(".mlops/release")
CHAMPION = "champion"
BILL = "sbom.cdx.json"

Say = Callable[[str, str], None]  # step, and what came of it


class ReleaseError(ProjectError):
    """What is declared cannot be released."""


class Released(NamedTuple):
    """What an environment runs after a release, and what the release had to do for it."""

    record: Record
    sbom: Path | None  # None where a later commit is released already
    built: bool
    deployed: str | None


class Plan(NamedTuple):
    """A verified declaration on its way: its commit, its bundle in `folder`, its image.

    `runtime` is what its model runs in, which decides the lock; `second` has the bundle that an
    experiment compares it with, if there is one.
    """

    repository: Repository
    commit: str
    said: Declaration
    folder: Path
    runtime: str
    image: Image
    base: str
    second: Path | None = None

    @property
    def environment(self) -> str:
        """The environment that declares it."""
        return self.said.environment

    @property
    def branch(self) -> str:
        """The branch that its deployers follow."""
        return deployment.name(self.repository, self.environment)

    @property
    def bases(self) -> set[str | None]:
        """What an image here may have started from; None for what the Dockerfile says."""
        return {None, self.image.arguments.get("BASE")}


def release(
    repository: Repository, environment: str, commit: str, say: Say, base: str | None = None
) -> Released | None:
    """Release what a commit declares for an environment; None where it declares nothing.

    `base` stands in for the image that the Dockerfile starts from.
    """
    commit = repository.commit_of(commit)
    (repository.root / OUT).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=repository.root / OUT) as folder:
        plan = planned(repository, environment, commit, Path(folder, "bundle"), base)
        if plan is None:
            return None
        beside = " and its challenger" if plan.second else ""
        say("verify", f"{plan.said.name} {plan.image.bundle_digest[:12]}{beside}")
        return released(plan, say)


def planned(
    repository: Repository, environment: str, commit: str, out: Path, base: str | None
) -> Plan | None:
    """Verify what a commit declares and bring its bundle to `out`; None where there is nothing.

    The challenger of an experiment comes beside it.
    """
    _check_main(repository, commit)
    verified = environments.verify(repository, commit, environment, out)
    if verified is None:
        return None
    said = verified.declared.declaration
    runtime, second, digest = manifest.read(out)["runtime"], None, None
    one = challenger.beside(repository, commit, environment, said.bundle_digest)
    if one is not None:
        second, digest = out.with_name(challenger.NAME), one.experiment.challenger
        challenger.verify(repository, one, commit, second)
        runtime = max(runtime, manifest.read(second)["runtime"])  # the lock of skops has both
    place = evidence.image(repository, commit)  # of now: a declaration has that of its promotion
    known = (said.bundle_digest, runtime, base, digest)
    described = image.describe(repository, commit, place, *known)
    base = base or image.base(repository, commit)
    return Plan(repository, commit, said, out, runtime, described, base, second)


def _check_main(repository: Repository, commit: str) -> None:
    """Raise ReleaseError for a commit that is not on the line of main, which alone declares.

    Verified by its own first parents, a branch would answer to the policy that it brings.
    """
    tip = branch.tip(repository, MAIN)
    if tip is not None and commit not in repository.line(tip):
        raise ReleaseError(
            f"{commit[:12]} is not on {MAIN}, and what runs is what {MAIN} declares: merge it "
            "(and push) first"
        )


def released(plan: Plan, say: Say) -> Released:
    """Go through the steps that follow the verification."""
    now = deployment.deployed(plan.repository, plan.environment)
    if later := overtaken(plan, now, say):
        say("deploy", f"{plan.branch} follows a later commit: left as it is")
        return Released(later, None, False, None)
    records.check_line(plan.repository, now, plan.commit, plan.bases)
    runs = engine()
    bill, packages = _bill(plan)
    say("sbom", f"{len(packages)} packages: {bill}")
    digest, built = _image(plan, runs, packages, say)
    say("mirror", mirror(plan) if mirrors() else "MLFLOW_TRACKING_URI is empty: nowhere")
    said = deployment.record(plan.commit, plan.environment, plan.said.name, plan.image, digest)
    moved = deployment.deploy(
        plan.repository, said, lambda now: overtaken(plan, now, say) is not None
    )
    say("deploy", f"{plan.branch} {'runs' if moved else 'ran'} {digest}")
    return Released(said, bill, built, moved)


def overtaken(plan: Plan, now: Deployed | None, say: Say) -> Record | None:
    """Return what was released for a later commit than this; what only claims so does not count.

    Its image has to be the one that the registry has under its tag.
    """
    later = deployment.later(plan.repository, now, plan.commit)
    if now is None or later is None:
        return None
    known = records.line(plan.repository, plan.commit)
    reason = records.doubt(plan.repository, now, plan.environment, known, plan.bases)
    if reason is None:
        pushed = engine().find(f"{later.image}:{later.tag}")
        if pushed is not None and pushed.digest == later.digest:
            return later
        reason = f"records {later.pinned}, which the registry does not have as {later.tag}"
    say("record", f"{plan.branch} {reason}: it does not count")
    return None


def _bill(plan: Plan) -> tuple[Path, dict[str, str]]:
    """Write the bill of materials; return where, and the packages that the image has to hold."""
    lock = image.lock(plan.repository, plan.commit, plan.runtime)
    packages = sbom.installed(lock, sbom.python(image.base(plan.repository, plan.commit)))
    content = sbom.sbom(plan.said, plan.image, plan.base, packages, lock)
    path = plan.repository.root / OUT / f"{plan.image.tag}.{BILL}"
    write_text(path, json.dumps(content, indent=2) + "\n")
    return path, packages


def _image(plan: Plan, runs: Engine, packages: dict[str, str], say: Say) -> tuple[str, bool]:
    """Return the digest of the image in the registry, and whether it had to be built.

    Only an image that passed its smoke test is ever pushed: what the registry has is not built
    again, and after a revert that is the one that ran before.
    """
    known = found(plan, runs)
    if known.digest is not None:
        say("image", f"{plan.image.name} is in the registry")
        return known.digest, False
    mine = None if known.doubt else runs.labels(plan.image.name)
    if known.doubt:
        say("image", f"{plan.image.name} is {known.doubt}: it is built anew")
    if built := mine is None or mine.get(image.MODEL_LABEL) != plan.image.bundle_digest:
        _build(plan, runs)
    say("build", f"{plan.image.name}{'' if built else ' is here'}")
    smoke.check(runs, plan.image.name, plan.folder, packages)
    say("smoke", "answers its golden rows")
    digest = runs.push(plan.image.name)
    say("push", plan.image.pinned(digest))
    return digest, built


class Pushed(NamedTuple):
    """The image in the registry: its digest if it may be used, else what speaks against it."""

    digest: str | None
    doubt: str


def found(plan: Plan, runs: Engine) -> Pushed:
    """Return the image that the registry has under the tag.

    Another one than was deployed from main is not used: tag or record was moved, and what is built
    anew is right whichever it was.
    """
    known = runs.find(plan.image.name)
    if known is None:
        return Pushed(None, "")
    if known.labels.get(image.MODEL_LABEL) != plan.image.bundle_digest:
        return Pushed(None, f"{known.digest}, which holds another bundle")
    line = records.line(plan.repository, plan.commit)
    before = deployment.recorded(plan.repository, plan.environment, plan.image, line)
    if before not in (None, known.digest):
        return Pushed(None, f"{known.digest}, and {before} was deployed under that tag")
    return Pushed(known.digest, "")


def _build(plan: Plan, runs: Engine) -> None:
    title = _project(plan)["tool"]["mlops"].get("title", "")
    with tempfile.TemporaryDirectory() as folder:
        image.context(plan.repository, plan.commit, plan.folder, Path(folder), plan.second)
        arguments = {
            **plan.image.arguments,
            "MODEL": plan.image.bundle_digest,
            "COMMIT": plan.commit,
            "SOURCE": branch.address(plan.repository),
            "TITLE": title,
        }
        runs.build(Path(folder), plan.image.name, arguments)


def mirrors() -> bool:
    """Say whether MLflow mirrors what is released: not in automation that names no server."""
    return os.environ.get("MLFLOW_TRACKING_URI") != ""


def mirror(plan: Plan) -> str:
    """Have MLflow know the bundle, and say as what."""
    from ..tracking import registry

    tags = {"commit": plan.commit, "image": plan.image.name, "verdict": plan.said.verdict}
    home = plan.repository.root.resolve()
    number = registry.mirror(project(plan), alias(plan), plan.folder, tags, home)
    return f"{project(plan)} version {number} is {alias(plan)}"


def alias(plan: Plan) -> str:
    """Return the alias of what an environment runs: production's is the champion."""
    return CHAMPION if plan.environment == PRODUCTION else plan.environment


def project(plan: Plan) -> str:
    """Return the name of the project, which names its registered model."""
    return str(_project(plan)["project"]["name"])


def _project(plan: Plan) -> dict[str, Any]:
    return tomllib.loads(plan.repository.text_at(plan.commit, "pyproject.toml") or "")
