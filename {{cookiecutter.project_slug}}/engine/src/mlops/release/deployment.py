"""What an environment runs, recorded on the branch env/<environment>, which deployers follow."""

from collections.abc import Callable, Container
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec
import yaml

from ..errors import ProjectError
from ..files import parse_yaml
from ..git.commits import Content
from ..git.extraction import PLAIN, SUBMODULE
from ..git.placement import placement
from ..git.repository import Entry, Repository, RepositoryError, UnreadableError, named
from ..rollout.declaration import NAME as DECLARATION
from . import branch
from .declaration import DEPLOY, Commit, Sha256
from .image import Image

RECORD = "release.json"
COMPOSE, DOTENV = "compose.yaml", ".env"
KUBERNETES = "kubernetes"
EXPERIMENT = "experiment"  # a folder of compose.yaml, and the ConfigMap of Kubernetes
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
PLACEHOLDER = "model"  # as deploy/kubernetes/deployment.yaml names the image
TRIES = 5

Digest = Annotated[str, msgspec.Meta(pattern="^sha256:[0-9a-f]{64}$")]
Files = dict[str, Content]


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
    entries: dict[str, Entry]
    record: Record | None


def name(repository: Repository, environment: str) -> str:
    """Return the branch of an environment of this project."""
    return placement(repository).branch("env", environment)


def record(commit: str, environment: str, model: str, image: Image, digest: str) -> Record:
    """Return what is to be recorded of a release of the model of this name."""
    return Record(
        1, environment, model, image.bundle_digest, image.repository, image.tag, digest, commit
    )


def files(repository: Repository, said: Record) -> Files:
    """Return the files of the branch: the record, and what deployers read, from its commit.

    What deployers read is there as the commit has it, at whatever depth and of whatever kind. The
    image is pinned in each kustomization: an overlay may add what runs it. An experiment comes as a
    file, so that a step of it is followed without a restart.
    """
    found: Files = {RECORD: said.text(), DOTENV: f"IMAGE={said.pinned}\n"}
    sources = [f"{DEPLOY}/{name}" for name in (COMPOSE, KUBERNETES)]
    for source, entry in repository.entries(said.commit, sources).items():
        path = source.removeprefix(f"{DEPLOY}/")
        where = f"{source} of {said.commit[:12]}"
        if entry.mode == SUBMODULE:
            raise DeploymentError(f"{where} is a submodule: put the files themselves there")
        found[path] = entry
        if Path(path).name in KUSTOMIZATIONS:
            found[path] = _pinned(repository.text(entry, where) or "", said, where)
    _check_single(found, said)
    return found | _experiment(repository, said, found)


def _experiment(repository: Repository, said: Record, found: Files) -> Files:
    """Return the experiment of the environment as compose.yaml and Kubernetes mount it."""
    path = f"{DEPLOY}/{said.environment}/{DECLARATION}"
    entry = repository.entries(said.commit, [path]).get(path)
    if entry is None:
        return {}
    added: Files = {f"{EXPERIMENT}/{DECLARATION}": entry}
    for name in KUSTOMIZATIONS:
        root = f"{KUBERNETES}/{name}"
        text = found.get(root)
        if isinstance(text, str):
            content = parse_yaml(text)
            maps = [m for m in content.get("configMapGenerator") or [] if m["name"] != EXPERIMENT]
            # Always under one name: a new one would have every pod replaced at each step.
            options = {"disableNameSuffixHash": True}
            one = {"name": EXPERIMENT, "files": [DECLARATION], "options": options}
            content["configMapGenerator"] = [*maps, one]
            added[root] = str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
            added[f"{KUBERNETES}/{DECLARATION}"] = entry
    return added


def _check_single(found: Files, said: Record) -> None:
    """Raise DeploymentError where a folder has two kustomizations, which kustomize refuses."""
    named = [path for path in found if Path(path).name in KUSTOMIZATIONS]
    folders = [Path(path).parent for path in named]
    if doubled := [path for path, at in zip(named, folders, strict=True) if folders.count(at) > 1]:
        raise DeploymentError(
            f"{DEPLOY} of {said.commit[:12]} has {' and '.join(doubled)}: keep one of them"
        )


def _pinned(text: str, said: Record, where: str) -> str:
    """Return a kustomization in which the image of the model is that of a release."""
    try:
        content = parse_yaml(text) or {}
        others = [one for one in content.get("images") or [] if one["name"] != PLACEHOLDER]
    except (yaml.YAMLError, AttributeError, LookupError, TypeError) as error:
        raise DeploymentError(
            f"{where} is no kustomization whose images have names: correct it (`kubectl kustomize`)"
        ) from error
    model = {"name": PLACEHOLDER, "newName": said.image, "digest": said.digest}
    content["images"] = [model, *others]
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def deployed(repository: Repository, environment: str) -> Deployed | None:
    """Return what the branch says, at the remote where there is one; None before the first."""
    commit = branch.tip(repository, name(repository, environment))
    if commit is None:
        return None
    try:
        text = branch.text(repository, commit, RECORD)
    except UnreadableError:
        text = None
    return Deployed(commit, branch.entries(repository, commit), _record(text))


def _record(text: str | None) -> Record | None:
    try:
        return msgspec.json.decode(text or "", type=Record)
    except msgspec.DecodeError:
        return None


def recorded(
    repository: Repository, environment: str, image: Image, line: Container[str]
) -> str | None:
    """Return the digest under which an image was last deployed for a commit of `line`."""
    commit = branch.tip(repository, name(repository, environment))
    for one in repository.line(commit) if commit else ():
        with suppress(UnreadableError):
            said = _record(branch.text(repository, one, RECORD))
            asked = (image.repository, image.tag)
            if said and (said.image, said.tag) == asked and said.commit in line:
                return said.digest
    return None


def stands(repository: Repository, now: Deployed | None, said: Record) -> bool:
    """Say whether the branch already runs this release.

    What was deployed for an earlier commit with the same files is the same release.
    """
    if now is None or now.record is None:
        return False
    same = msgspec.structs.replace(said, commit=now.record.commit)
    if same != now.record or now.record.commit not in repository.line(said.commit):
        return False
    return as_entries({**files(repository, said), RECORD: same.text()}, now.commit) == now.entries


def as_entries(contents: Files, like: str) -> dict[str, Entry]:
    """Return contents as git would have them, by objects of the kind that a commit is named by."""
    return {
        path: Entry(PLAIN, named(one.encode(), like)) if isinstance(one, str) else one
        for path, one in contents.items()
    }


def later(repository: Repository, now: Deployed | None, commit: str) -> Record | None:
    """Return what the branch records if that is of a commit after this one, else None.

    Whether it may be believed is for others to say.
    """
    if now is None or now.record is None or now.record.commit == commit:
        return None
    with suppress(RepositoryError):  # a main that was rewritten has it no more
        branch.fetch(repository, now.record.commit)
        if repository.is_ancestor(commit, now.record.commit):
            return now.record
    return None


def deploy(
    repository: Repository, said: Record, yields: Callable[[Deployed | None], bool] | None = None
) -> str | None:
    """Bring the branch to this release in one step; return its new commit, or None if it stands.

    It `yields` to what was released for a later commit; if not given, to whatever says so.

    The branch only ever moves forward, from what was read to what follows it. Whoever comes
    between is read again.
    """
    for _ in range(TRIES):
        now = deployed(repository, said.environment)
        overtaken = yields(now) if yields else later(repository, now, said.commit)
        if overtaken or stands(repository, now, said):
            return None
        before, contents = now.commit if now else None, files(repository, said)
        new = branch.made(repository, contents, _message(said), said.commit, before)
        try:
            branch.move(repository, name(repository, said.environment), new, before)
            return new
        except RepositoryError as error:
            refused = error
    raise DeploymentError(
        f"{name(repository, said.environment)} does not take the release: {refused}; where a "
        "ruleset has automation alone write it, ENV_KEY is what that writes with "
        "(engine/docs/github.md)"
    )


def _message(said: Record) -> str:
    subject = f"{said.environment}: {said.name} {said.bundle_digest[:12]}"
    return f"{subject}\n\n{said.pinned}\nfrom {said.commit}\n"
