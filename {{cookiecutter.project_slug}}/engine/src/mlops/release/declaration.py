"""A declaration: the three files by which git says which bundle an environment serves."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import yaml

from ..bundle.verdict import OUTSIDE
from ..contract import Task
from ..errors import ProjectError
from ..files import parse_yaml
from ..git import dvc
from ..git.repository import Repository, UnreadableError

DEPLOY = "deploy"
NAME = "champion"
POINTER, RELEASE, REPORT = f"{NAME}.dvc", "release.yaml", "gate.json"
FILES = (POINTER, RELEASE, REPORT)
OUTS = re.compile(
    r"outs:\n- md5: ([0-9a-f]{32}\.dir)\n  size: ([0-9]+)\n  nfiles: ([0-9]+)\n"
    r"  hash: md5\n  path: ([a-z]+)\n"
)

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Commit = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{40,64}$")]
Texts = dict[str, str]


class DeclarationError(ProjectError):
    """What an environment declares is incomplete, or not as promote wrote it."""


class Pointer(NamedTuple):
    """What DVC needs to bring a bundle back."""

    md5: str
    size: int
    nfiles: int

    @classmethod
    def of(cls, folder: Path) -> "Pointer":
        """Return the pointer to a folder as it is."""
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        return cls(dvc.dvc_digest(folder), sum(sizes), len(sizes))

    @classmethod
    def read(cls, text: str, name: str = NAME) -> "Pointer | None":
        """Return the pointer of a text to a folder of that name; None for what is none."""
        found = OUTS.fullmatch(text)
        if found is None or found[4] != name:
            return None
        return cls(found[1], int(found[2]), int(found[3]))

    def text(self, name: str = NAME) -> str:
        """Return the pointer to a folder of that name as DVC writes it."""
        return (
            f"outs:\n- md5: {self.md5}\n  size: {self.size}\n  nfiles: {self.nfiles}\n"
            f"  hash: md5\n  path: {name}\n"
        )


class Declaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """release.yaml: which bundle, and what vouches for it.

    `bundle_digest` (`manifest` in the file) is the SHA-256 that names the bundle, `commit` what
    it was made from, `primary` the metric that it was made for. `verdict` is the digest of the
    report beside it; `policy`, `champion` (that of production before; null for a first model) and
    `holdout` are the SHA-256 of what it judged by. `image` is where images went when it was
    promoted; a release asks pyproject.toml of its own commit.
    """

    format: Literal[1]
    environment: str
    name: str
    task: Task
    primary: str
    bundle_digest: Sha256 = msgspec.field(name="manifest")
    commit: Commit
    verdict: Sha256
    policy: Sha256
    champion: Sha256 | None
    holdout: Sha256
    image: str

    def text(self) -> str:
        """Return the one way to write it."""
        content = msgspec.to_builtins(self)
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)


class Declared(NamedTuple):
    """The three files, parsed."""

    declaration: Declaration
    pointer: Pointer
    report: dict[str, Any]

    @property
    def texts(self) -> Texts:
        """The files by their paths in the project."""
        contents = (self.pointer.text(), self.declaration.text(), report_text(self.report))
        return dict(zip(paths(self.declaration.environment), contents, strict=True))


def paths(environment: str) -> list[str]:
    """Return the paths of the three files, in the order of FILES."""
    return [f"{DEPLOY}/{environment}/{name}" for name in FILES]


def report_text(report: Mapping[str, Any]) -> str:
    """Return a report of the gate as it is committed: what its digest covers, and that."""
    kept = {key: value for key, value in report.items() if key not in OUTSIDE or key == "digest"}
    return json.dumps(kept, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def declared(repository: Repository, commit: str, environment: str) -> Declared | None:
    """Return what a commit declares for an environment; None where it declares nothing.

    Raises DeclarationError where one of the files is missing or not to the byte what promote
    writes for what it says. Whether that is true is for environments.verify to find out.
    """
    try:
        texts = {path: repository.text_at(commit, path) for path in paths(environment)}
    except UnreadableError as error:
        raise DeclarationError(str(error)) from error
    return parsed(texts, environment, commit[:12])


def parsed(texts: Mapping[str, str | None], environment: str, where: str) -> Declared | None:
    """Return what the texts of the three files declare; `where` is what messages call them."""
    folder = f"{DEPLOY}/{environment} of {where}"
    present = {path: text for path, text in texts.items() if text is not None}
    if not present:
        return None
    remedy = "take the folder as an earlier commit has it, or promote again"
    if missing := sorted(set(texts) - set(present)):
        raise DeclarationError(f"{folder} lacks {', '.join(missing)}: {remedy}")
    pointer, release, report = present.values()
    found = Pointer.read(pointer)
    try:
        declaration = msgspec.convert(parse_yaml(release), Declaration)
        content = json.loads(report)
        if not isinstance(content, dict) or found is None:
            raise ValueError("champion.dvc or gate.json is none")
        one = Declared(declaration, found, content)
        wrong = [path for path, text in one.texts.items() if present.get(path) != text]
    except (msgspec.ValidationError, yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DeclarationError(f"{folder} is no declaration ({reason}): {remedy}") from error
    if wrong:
        raise DeclarationError(
            f"{folder} is not as promote wrote it ({', '.join(wrong)}): {remedy}"
        )
    return one
