"""What an environment runs, recorded on the branch env/<environment>, which deployers follow."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec
import yaml

from ..errors import ProjectError
from ..files import parse_yaml
from ..git.repository import Repository, RepositoryError
from . import branch
from .declaration import DEPLOY, Commit, Sha256
from .image import Image

RECORD = "release.json"
COMPOSE, DOTENV = "compose.yaml", ".env"
KUBERNETES = "kubernetes"
KUSTOMIZATION = f"{KUBERNETES}/kustomization.yaml"
PLACEHOLDER = "model"  # as deploy/kubernetes/deployment.yaml names the image
TRIES = 5

Digest = Annotated[str, msgspec.Meta(pattern="^sha256:[0-9a-f]{64}$")]
Texts = dict[str, str]


class DeploymentError(ProjectError):
    """The deployment branch cannot be written."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """release.json: what an environment runs, and the commit that says so."""

    format: Literal[1]
    environment: str
    name: str
    bundle_digest: Sha256 = msgspec.field(name="model")
    image: str
    tag: str
    digest: Digest
    commit: Commit

    @property
    def pinned(self) -> str:
        """The image by its digest."""
        return f"{self.image}@{self.digest}"

    def text(self) -> str:
        """Return the one way to write it."""
        return msgspec.json.format(msgspec.json.encode(self)).decode() + "\n"


class Deployed(NamedTuple):
    """The branch as it is: its commit, its files, and what they record; None for no record."""

    commit: str
    texts: Texts
    record: Record | None


def name(environment: str) -> str:
    """Return the branch of an environment."""
    return f"env/{environment}"


def record(commit: str, environment: str, model: str, image: Image, digest: str) -> Record:
    """Return what is to be recorded of a release of the model of this name."""
    return Record(
        1, environment, model, image.bundle_digest, image.repository, image.tag, digest, commit
    )


def texts(repository: Repository, said: Record) -> Texts:
    """Return the files of the branch: the record, and what deployers read, from its commit."""
    found = {RECORD: said.text(), DOTENV: f"IMAGE={said.pinned}\n"}
    for path in _sources(repository, said.commit):
        text = repository.text_at(said.commit, f"{DEPLOY}/{path}")
        if text is not None:
            found[path] = text
    if KUSTOMIZATION in found:
        content = parse_yaml(found[KUSTOMIZATION])
        content["images"] = [
            {"name": PLACEHOLDER, "newName": said.image, "digest": said.digest},
            *(one for one in content.get("images") or [] if one["name"] != PLACEHOLDER),
        ]
        found[KUSTOMIZATION] = yaml.safe_dump(content, sort_keys=False)
    return found


def _sources(repository: Repository, commit: str) -> list[str]:
    folder = f"{DEPLOY}/{KUBERNETES}/"
    told = repository.git("ls-tree", "-z", "--name-only", commit, "--", folder)
    return [COMPOSE, *(f"{KUBERNETES}/{Path(path).name}" for path in told.split("\0") if path)]


def deployed(repository: Repository, environment: str) -> Deployed | None:
    """Return what the branch says, at the remote where there is one; None before the first."""
    commit = branch.tip(repository, name(environment))
    if commit is None:
        return None
    found = branch.texts(repository, commit)
    return Deployed(commit, found, _record(found.get(RECORD)))


def _record(text: str | None) -> Record | None:
    try:
        return msgspec.json.decode(text or "", type=Record)
    except msgspec.DecodeError:
        return None


def recorded(repository: Repository, environment: str, image: Image) -> str | None:
    """Return the digest under which an image was last deployed; None where it never was."""
    commit = branch.tip(repository, name(environment))
    for one in repository.line(commit) if commit else ():
        said = _record(branch.text(repository, one, RECORD))
        if said and (said.image, said.tag) == (image.repository, image.tag):
            return said.digest
    return None


def stands(repository: Repository, now: Deployed | None, said: Record) -> bool:
    """Say whether the branch already runs this release.

    What was deployed for an earlier commit with the same files is the same release.
    """
    if now is None or now.record is None:
        return False
    same = msgspec.structs.replace(said, commit=now.record.commit)
    return same == now.record and {**texts(repository, said), RECORD: same.text()} == now.texts


def later(repository: Repository, now: Deployed | None, commit: str) -> Record | None:
    """Return what the branch records if that is of a commit after this one, else None."""
    if now is None or now.record is None or now.record.commit == commit:
        return None
    with suppress(RepositoryError):  # a main that was rewritten has it no more
        branch.fetch(repository, now.record.commit)
        if repository.is_ancestor(commit, now.record.commit):
            return now.record
    return None


def check_line(repository: Repository, now: Deployed | None, commit: str) -> None:
    """Raise DeploymentError where what runs was declared on another line than this commit's.

    A commit is verified by its first parent. Where somebody pushed a merge with its parents the
    wrong way round, that is the branch that was merged, with the policy that it brought.
    """
    if now is None or now.record is None or now.record.commit in repository.line(commit):
        return
    raise DeploymentError(
        f"{name(now.record.environment)} runs what {now.record.commit[:12]} declares, which "
        f"{commit[:12]} does not follow by first parents: merge into main again, not main into "
        f"the branch, or where main was meant to be another delete {name(now.record.environment)}"
    )


def deploy(repository: Repository, said: Record) -> str | None:
    """Bring the branch to this release in one step; return its new commit, or None if it stands.

    The branch only ever moves forward, from what was read to what follows it. Whoever comes
    between is read again.
    """
    for _ in range(TRIES):
        now = deployed(repository, said.environment)
        if stands(repository, now, said) or later(repository, now, said.commit):
            return None
        before, files = now.commit if now else None, texts(repository, said)
        new = branch.made(repository, files, _message(said), said.commit, before)
        try:
            branch.move(repository, name(said.environment), new, before)
            return new
        except RepositoryError as error:
            refused = error
    raise DeploymentError(f"{name(said.environment)} does not take the release: {refused}")


def _message(said: Record) -> str:
    subject = f"{said.environment}: {said.name} {said.bundle_digest[:12]}"
    return f"{subject}\n\n{said.pinned}\nfrom {said.commit}\n"
