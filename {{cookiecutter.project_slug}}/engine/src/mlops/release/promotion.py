"""Promote: the declaration of a bundle that the gate passed, as one commit."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ..bundle import contents, verdict
from ..bundle.figures import estimate
from ..bundle.reading import CANDIDATE, CONFIG
from ..config.settings import Settings
from ..data import fingerprints, prepared
from ..errors import ProjectError
from ..evaluation.evaluate import HOLDOUT
from ..files import parse_yaml, read_yaml
from ..git import commits, dvc, landing
from ..git.repository import Repository
from . import completion, environments, evidence
from .declaration import NAME, Declaration, DeclarationError, Declared, Pointer, declared, paths
from .vouching import Held, held

LOCK = "dvc.lock"


class PromotionError(ProjectError):
    """This bundle cannot be promoted."""


class Promotion(NamedTuple):
    """What an environment declares now; without a commit, it did so before.

    `pending` is what is still to come of its verdict `against` a base, and has to before it is
    released; `held` why it was not promoted.
    """

    environment: str
    name: str
    bundle_digest: str
    commit: str | None
    pending: list[str]
    against: str
    held: str = ""


class Subject(NamedTuple):
    """The bundle to be promoted."""

    pointer: Pointer
    name: str
    task: Any
    primary: str
    bundle_digest: str
    commit: str


def promote(
    repository: Repository,
    environment: str | None = None,
    report: Path | None = None,
    against: str | None = None,
) -> Promotion:
    """Commit the declaration of candidate/, or of what the environment before this one declares.

    Without `environment`, the first in order; without `report`, that of the last gate, or the
    one of the environment before; without `against`, the branch that the report names, as it is
    now. At every moment HEAD declares all of the old or all of the new; then index and working
    tree follow, and keep whatever else they hold.
    """
    with landing.serial(repository):
        head = repository.commit_of("HEAD")
        landing.check_ready(repository)
        environment = environment or environments.order(repository, head)[0]
        before = environments.previous(repository, environment, head)
        if changed := landing.touched(repository, paths(environment)):
            raise PromotionError(
                f"{', '.join(changed)} differs from HEAD: commit that or take it back first"
            )
        source = None if before is None else _declared(repository, head, before, environment)
        subject = _candidate(repository, head) if source is None else _subject(source)
        place = (report or repository.root / verdict.FOLDER) / verdict.REPORT
        if source is None and (
            told := _held(repository, environment, subject, head, place, against)
        ):
            named = (subject.name, subject.bundle_digest)
            return Promotion(environment, *named, told.commit, [], "", told.why)
        standing = _standing(repository, environment, subject, head, against)
        if standing and not (evidence.pending(standing) and _settles(place, subject)):
            base = against or standing.report["against"]["ref"]
            completion.check(repository, standing, base, head, stands=True)
            known = (subject.name, subject.bundle_digest, None, evidence.pending(standing))
            return Promotion(environment, *known, base)
        content = verdict.read(place) if source is None or report is not None else source.report
        holdout = _holdout(repository.root) if source is None else source.declaration.holdout
        one = _declaration(environment, subject, content, holdout, evidence.image(repository, head))
        ref = against or content["against"]["ref"]
        base = repository.commit_of(ref)
        _check_current(repository, environment, head, base, ref)
        environments.check(repository, one, base, head)
        if source is None:
            completion.check(repository, one, ref, head, stands=False)
        _check_stored(repository, one, source is None)
        new = commits.made(repository, head, one.texts, _message(one))
        landing.land(repository, new, head, paths(environment), "mlops promote")
        coming = evidence.pending(one)
        return Promotion(environment, subject.name, subject.bundle_digest, new, coming, ref)


def _held(
    repository: Repository,
    environment: str,
    subject: Subject,
    head: str,
    place: Path,
    against: str | None,
) -> Held | None:
    """Return why an experiment keeps the candidate from being promoted, if one does."""
    base = repository.commit_of(against) if against else head
    if not against and place.is_file():
        base = repository.commit_of(verdict.read(place)["against"]["ref"])
    return held(repository, environment, head, subject.bundle_digest, place, base)


def _declared(repository: Repository, head: str, before: str, environment: str) -> Declared:
    found = declared(repository, head, before)
    if found is None:
        raise PromotionError(
            f"{before} comes before {environment} and declares nothing: promote to it first"
        )
    return found


def _subject(source: Declared) -> Subject:
    said = source.declaration
    known = (said.name, said.task, said.primary, said.bundle_digest, said.commit)
    return Subject(source.pointer, *known)


def _candidate(repository: Repository, head: str) -> Subject:
    """Return candidate/, verified, and pinned by the dvc.lock of a commit."""
    folder = repository.root / CANDIDATE
    bundle_digest, content, _ = contents.read(folder)
    pointer = Pointer.of(folder)
    dvc.read_lock(repository.root)
    text = repository.text_at(head, LOCK)
    if text is None or landing.touched(repository, [LOCK]):
        raise PromotionError(f"{LOCK} is not committed as it is: `git add {LOCK}`, then commit")
    try:
        expected = dvc.pinned(parse_yaml(text), CANDIDATE)
    except (yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        raise PromotionError(f"{LOCK} is no lock of DVC: run `mlops mend`, then commit") from error
    if pointer.md5 != expected:
        raise PromotionError(
            f"{CANDIDATE} is {pointer.md5} and {LOCK} pins {expected}: run `dvc repro`, commit "
            "and gate again, or `dvc checkout`"
        )
    if content["lineage"]["commit"] is None:
        raise PromotionError(
            f"{CANDIDATE} was made outside git: commit the project, then run `make repro`"
        )
    primary = _settings(repository.root).evaluation.primary
    known = (content["name"], content["task"], primary, bundle_digest)
    return Subject(pointer, *known, content["lineage"]["commit"])


def _settings(root: Path) -> Settings:
    return Settings.parse(read_yaml(root / CANDIDATE / CONFIG))


def _holdout(root: Path) -> str:
    """Return what names the holdout of the candidate's settings as it is now."""
    contract = _settings(root).data
    columns = prepared.read(root / HOLDOUT, contract, [contract.target])
    return fingerprints.holdout_digest(root / HOLDOUT, prepared.target(columns, contract))


def _standing(
    repository: Repository, environment: str, subject: Subject, head: str, against: str | None
) -> Declared | None:
    """Return HEAD's declaration of this bundle, if it has one on evidence that holds today."""
    try:
        standing = declared(repository, head, environment)
    except DeclarationError:
        return None  # promoting anew is how that is mended
    if standing is None or standing.declaration.bundle_digest != subject.bundle_digest:
        return None
    base = repository.commit_of(against or standing.report["against"]["ref"])
    files = paths(environment)
    if repository.blobs(base, files) == repository.blobs(head, files):
        return standing
    if environments.restored(repository, head, environment, base):
        return standing
    try:
        environments.check(repository, standing, base, head)
    except ProjectError:
        return None
    return standing


def _settles(report: Path, subject: Subject) -> bool:
    """Say whether a report passes the same bundle with nothing left to come."""
    try:
        content = verdict.read(report)
    except verdict.VerdictError:
        return False
    same = content["candidate"]["sha256"] == subject.bundle_digest
    return same and content["verdict"] == "passed" and not content.get("pending")


def _declaration(
    environment: str, subject: Subject, content: dict[str, Any], holdout: str, image: str
) -> Declared:
    stated = evidence.stated(content)
    known = {name: getattr(subject, name) for name in subject._fields if name != "pointer"}
    said = Declaration(
        format=1, environment=environment, holdout=holdout, image=image, **known, **stated
    )
    return Declared(said, subject.pointer, content)


def _check_current(
    repository: Repository, environment: str, head: str, base: str, ref: str
) -> None:
    """Raise where the base has promoted since this branch left it, which would not merge."""
    files = [*paths(environment), *paths(evidence.PRODUCTION)]
    parted = repository.merge_base(head, base)
    if repository.blobs(parted, files) != repository.blobs(base, files):
        raise PromotionError(
            f"{ref} has promoted since this branch left it: `git merge {ref}` (of what the "
            "pipeline wrote take either side), have `make repro` make it anew, commit, then "
            "`make gate` again"
        )


def _check_stored(repository: Repository, one: Declared, is_new: bool) -> None:
    """Raise where the bundle is not whole in the cache, or not in the remote, which gets it now."""
    with tempfile.TemporaryDirectory(prefix="promoted-") as folder:
        environments.bring(repository, one, Path(folder, "here"))
        if is_new:
            dvc.push(repository, one.pointer.text(), NAME)
        environments.bring(repository, one, Path(folder, "afresh"), afresh=True)


def _message(one: Declared) -> str:
    said, report = one.declaration, one.report
    row = next((r for r in report["metrics"] if r["metric"] == said.primary), None)
    stands = f"{said.primary} {estimate(row['candidate'])}" if row else "no primary metric"
    champion = f"; champion {estimate(row['champion'])}" if row and "champion" in row else ""
    against = report["against"]
    coming = evidence.pending(one)
    left = f"Still to come: {', '.join(coming)}.\n" if coming else ""
    return (
        f"Promote {said.name} {said.bundle_digest[:12]} to {said.environment}\n\n"
        f"The gate passed it against {against['ref']} ({against['commit'][:12]}):\n"
        f"{stands}{champion}.\n{left}Verdict {said.verdict}.\n"
    )
