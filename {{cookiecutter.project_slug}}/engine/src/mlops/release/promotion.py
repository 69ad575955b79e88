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
from ..git import commits, dvc, landing, repository
from . import environments, evidence
from .declaration import NAME, Declaration, DeclarationError, Declared, Pointer, declared, paths

LOCK = "dvc.lock"


class PromotionError(ProjectError):
    """This bundle cannot be promoted."""


class Promotion(NamedTuple):
    """What an environment declares now; without a commit, it did so before.

    `pending` is what is still to come of its verdict, and has to before it is released.
    """

    environment: str
    name: str
    digest: str
    commit: str | None
    pending: list[str]


class Subject(NamedTuple):
    """The bundle to be promoted."""

    pointer: Pointer
    name: str
    task: Any
    primary: str
    manifest: str
    commit: str


def promote(
    environment: str | None = None,
    report: Path | None = None,
    against: str | None = None,
    root: Path = Path(),
) -> Promotion:
    """Commit the declaration of candidate/, or of what the environment before this one declares.

    Without `environment`, the first in order; without `report`, that of the last gate, or the
    one of the environment before; without `against`, the branch that the report names, as it is
    now. At every moment HEAD declares all of the old or all of the new; then index and working
    tree follow, and keep whatever else they hold.
    """
    with landing.serial(root):
        head = repository.commit_of("HEAD", root)
        landing.check_ready(root)
        environment = environment or environments.order(head, root)[0]
        before = environments.previous(environment, head, root)
        if changed := landing.touched(paths(environment), root):
            raise PromotionError(
                f"{', '.join(changed)} differs from HEAD: commit that or take it back first"
            )
        source = None if before is None else _declared(head, before, environment, root)
        subject = _candidate(head, root) if source is None else _subject(source)
        place = (report or root / verdict.FOLDER) / verdict.REPORT
        standing = _standing(environment, subject, head, against, root)
        if standing and not (evidence.pending(standing) and _settles(place, subject)):
            known = (subject.name, subject.manifest, None, evidence.pending(standing))
            return Promotion(environment, *known)
        content = verdict.read(place) if source is None or report is not None else source.report
        holdout = _holdout(root) if source is None else source.declaration.holdout
        one = _declaration(environment, subject, content, holdout, evidence.image(head, root))
        base = repository.commit_of(against or content["against"]["ref"], root)
        _check_current(environment, head, base, against or content["against"]["ref"], root)
        environments.check(one, base, head, root)
        _check_stored(one, source is None, root)
        new = commits.made(head, one.texts, _message(one), root)
        landing.land(new, head, paths(environment), "mlops promote", root)
        return Promotion(environment, subject.name, subject.manifest, new, evidence.pending(one))


def _declared(head: str, before: str, environment: str, root: Path) -> Declared:
    found = declared(head, before, root)
    if found is None:
        raise PromotionError(
            f"{before} comes before {environment} and declares nothing: promote to it first"
        )
    return found


def _subject(source: Declared) -> Subject:
    said = source.declaration
    known = (said.name, said.task, said.primary, said.manifest, said.commit)
    return Subject(source.pointer, *known)


def _candidate(head: str, root: Path) -> Subject:
    """Return candidate/, verified, and pinned by the dvc.lock of a commit."""
    folder = root / CANDIDATE
    digest, content, _ = contents.read(folder)
    pointer = Pointer.of(folder)
    dvc.read_lock(root)
    text = repository.text_at(head, LOCK, root)
    if text is None or landing.touched([LOCK], root):
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
    primary = _settings(root).evaluation.primary
    known = (content["name"], content["task"], primary, digest)
    return Subject(pointer, *known, content["lineage"]["commit"])


def _settings(root: Path) -> Settings:
    return Settings.parse(read_yaml(root / CANDIDATE / CONFIG))


def _holdout(root: Path) -> str:
    """Return what names the holdout of the candidate's settings as it is now."""
    contract = _settings(root).data
    columns = prepared.read(root / HOLDOUT, contract, [contract.target])
    return fingerprints.holdout_digest(root / HOLDOUT, prepared.target(columns, contract))


def _standing(
    environment: str, subject: Subject, head: str, against: str | None, root: Path
) -> Declared | None:
    """Return HEAD's declaration of this bundle, if it has one on evidence that holds today."""
    try:
        standing = declared(head, environment, root)
    except DeclarationError:
        return None  # promoting anew is how that is mended
    if standing is None or standing.declaration.manifest != subject.manifest:
        return None
    base = repository.commit_of(against or standing.report["against"]["ref"], root)
    files = paths(environment)
    if commits.blobs(base, files, root) == commits.blobs(head, files, root):
        return standing
    if environments.restored(head, environment, base, root):
        return standing
    try:
        environments.check(standing, base, head, root)
    except ProjectError:
        return None
    return standing


def _settles(report: Path, subject: Subject) -> bool:
    """Say whether a report passes the same bundle with nothing left to come."""
    try:
        content = verdict.read(report)
    except verdict.VerdictError:
        return False
    same = content["candidate"]["sha256"] == subject.manifest
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


def _check_current(environment: str, head: str, base: str, ref: str, root: Path) -> None:
    """Raise where the base has promoted since this branch left it, which would not merge."""
    files = [*paths(environment), *paths(evidence.PRODUCTION)]
    parted = commits.merge_base(head, base, root)
    if commits.blobs(parted, files, root) != commits.blobs(base, files, root):
        raise PromotionError(
            f"{ref} has promoted since this branch left it: `git merge {ref}` (of what the "
            "pipeline wrote take either side), have `make repro` make it anew, commit, then "
            "`make gate` again"
        )


def _check_stored(one: Declared, is_new: bool, root: Path) -> None:
    """Raise where the bundle is not whole in the cache, or not in the remote, which gets it now."""
    with tempfile.TemporaryDirectory(prefix="promoted-") as folder:
        environments.bring(one, Path(folder, "here"), root)
        if is_new:
            dvc.push(one.pointer.text(), NAME, root)
        environments.bring(one, Path(folder, "afresh"), root, afresh=True)


def _message(one: Declared) -> str:
    said, report = one.declaration, one.report
    row = next((r for r in report["metrics"] if r["metric"] == said.primary), None)
    stands = f"{said.primary} {estimate(row['candidate'])}" if row else "no primary metric"
    champion = f"; champion {estimate(row['champion'])}" if row and "champion" in row else ""
    against = report["against"]
    coming = evidence.pending(one)
    left = f"Still to come: {', '.join(coming)}.\n" if coming else ""
    return (
        f"Promote {said.name} {said.manifest[:12]} to {said.environment}\n\n"
        f"The gate passed it against {against['ref']} ({against['commit'][:12]}):\n"
        f"{stands}{champion}.\n{left}Verdict {said.verdict}.\n"
    )
