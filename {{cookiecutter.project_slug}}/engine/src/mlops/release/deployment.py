"""What an environment runs, recorded on the branch env/<environment>, which deployers follow."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec
import yaml

from ..errors import ProjectError
from ..files import parse_yaml
from ..git import commits, repository
from ..git.repository import RepositoryError, run
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
    model: Sha256
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
    return Record(1, environment, model, image.model, image.repository, image.tag, digest, commit)


def texts(said: Record, root: Path = Path()) -> Texts:
    """Return the files of the branch: the record, and what deployers read, from its commit."""
    found = {RECORD: said.text(), DOTENV: f"IMAGE={said.pinned}\n"}
    for path in _sources(said.commit, root):
        text = repository.text_at(said.commit, f"{DEPLOY}/{path}", root)
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


def _sources(commit: str, root: Path) -> list[str]:
    folder = f"{DEPLOY}/{KUBERNETES}/"
    told = run("git", "ls-tree", "-z", "--name-only", commit, "--", folder, root=root)
    return [COMPOSE, *(f"{KUBERNETES}/{Path(path).name}" for path in told.split("\0") if path)]


def deployed(environment: str, root: Path = Path()) -> Deployed | None:
    """Return what the branch says, at the remote where there is one; None before the first."""
    commit = branch.tip(name(environment), root)
    if commit is None:
        return None
    found = branch.texts(commit, root)
    return Deployed(commit, found, _record(found.get(RECORD)))


def _record(text: str | None) -> Record | None:
    try:
        return msgspec.json.decode(text or "", type=Record)
    except msgspec.DecodeError:
        return None


def recorded(environment: str, tag: str, root: Path = Path()) -> str | None:
    """Return the digest under which a tag was last deployed; None where it never was."""
    commit = branch.tip(name(environment), root)
    for one in commits.line(commit, root) if commit else ():
        said = _record(branch.text(one, RECORD, root))
        if said and said.tag == tag:
            return said.digest
    return None


def stands(now: Deployed | None, said: Record, root: Path = Path()) -> bool:
    """Say whether the branch already runs this release.

    What was deployed for an earlier commit with the same files is the same release.
    """
    if now is None or now.record is None:
        return False
    same = msgspec.structs.replace(said, commit=now.record.commit)
    return same == now.record and {**texts(said, root), RECORD: same.text()} == now.texts


def later(now: Deployed | None, commit: str, root: Path = Path()) -> Record | None:
    """Return what the branch records if that is of a commit after this one, else None."""
    if now is None or now.record is None or now.record.commit == commit:
        return None
    with suppress(RepositoryError):  # a main that was rewritten has it no more
        branch.fetch(now.record.commit, root)
        if repository.is_ancestor(commit, root, now.record.commit):
            return now.record
    return None


def check_line(now: Deployed | None, commit: str, root: Path = Path()) -> None:
    """Raise DeploymentError where what runs was declared on another line than this commit's.

    A commit is verified by its first parent. Where somebody pushed a merge with its parents the
    wrong way round, that is the branch that was merged, with the policy that it brought.
    """
    if now is None or now.record is None or now.record.commit in commits.line(commit, root):
        return
    raise DeploymentError(
        f"{name(now.record.environment)} runs what {now.record.commit[:12]} declares, which "
        f"{commit[:12]} does not follow by first parents: merge into main again, not main into "
        f"the branch, or where main was meant to be another delete {name(now.record.environment)}"
    )


def deploy(said: Record, root: Path = Path()) -> str | None:
    """Bring the branch to this release in one step; return its new commit, or None if it stands.

    The branch only ever moves forward, from what was read to what follows it. Whoever comes
    between is read again.
    """
    for _ in range(TRIES):
        now = deployed(said.environment, root)
        if stands(now, said, root) or later(now, said.commit, root):
            return None
        new = branch.made(
            texts(said, root), _message(said), said.commit, now.commit if now else None, root
        )
        try:
            branch.move(name(said.environment), new, now.commit if now else None, root)
            return new
        except RepositoryError as error:
            refused = error
    raise DeploymentError(f"{name(said.environment)} does not take the release: {refused}")


def _message(said: Record) -> str:
    subject = f"{said.environment}: {said.name} {said.model[:12]}"
    return f"{subject}\n\n{said.pinned}\nfrom {said.commit}\n"
