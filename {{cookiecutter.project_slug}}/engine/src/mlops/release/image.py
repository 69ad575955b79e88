"""The image of a bundle: what it is made from, and the name that says so."""

import hashlib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..errors import ProjectError
from ..git.repository import Blobs, Repository

DOCKERFILE = "deploy/Dockerfile"
RECIPE = ".dockerignore"
BUNDLE, CHALLENGER = "bundle", "challenger"
BASE = re.compile(r"^FROM (\S+) AS python$", re.MULTILINE)
LOCKS = {"onnx": "serve.txt", "skops": "serve-skops.txt"}
SHIP = "ship.txt"  # of the target beside it, which ships the log
BATCH = "batch.txt"  # of an image that no release builds
SHOWN = 12
MODEL_LABEL = "mlops.model.digest"


class ImageError(ProjectError):
    """An image cannot be made from this commit, or is not what its name says."""


class Image(NamedTuple):
    """The image of a bundle and the code that serves it, by what it is made from.

    `bundle_digest` names the bundle, `code` is the digest of everything else, `arguments` what the
    build is told.
    """

    repository: str
    bundle_digest: str
    code: str
    arguments: Mapping[str, str]

    @property
    def tag(self) -> str:
        """The tag: another bundle has another one, and so has other code."""
        return f"{self.bundle_digest[:SHOWN]}-{self.code[:SHOWN]}"

    @property
    def name(self) -> str:
        """Repository and tag."""
        return f"{self.repository}:{self.tag}"

    def pinned(self, digest: str) -> str:
        """Return the name that is always the same image."""
        return f"{self.repository}@{digest}"


def describe(
    repository: Repository,
    commit: str,
    repository_name: str,
    bundle_digest: str,
    runtime: str,
    base: str | None,
    challenger: str | None = None,
) -> Image:
    """Return the image of a bundle as the code of a commit serves it.

    `base` stands in for the image that the Dockerfile starts from; `challenger` is the digest of a
    second bundle in it, if there is one.
    """
    if not repository_name:
        raise ImageError("pyproject.toml names no image under [tool.mlops]: name the repository")
    told = {"LOCK": LOCKS[runtime]} | ({"BASE": base} if base else {})
    if challenger:
        told |= {"CHALLENGER": CHALLENGER, "CHALLENGER_MODEL": challenger}
    digest = hashlib.sha256(repr(sorted(told.items())).encode())
    for path, blob in sorted(_blobs(repository, commit, runtime).items()):
        digest.update(f"{path}\0{blob}\n".encode())
    return Image(repository_name, bundle_digest, digest.hexdigest(), told)


def base(repository: Repository, commit: str) -> str:
    """Return the image that the Dockerfile of a commit starts from."""
    found = BASE.search(repository.text_at(commit, DOCKERFILE) or "")
    if found is None:
        raise ImageError(
            f"{DOCKERFILE} of {commit[:12]} has no line `FROM … AS python`: give it one"
        )
    return found[1]


def lock(repository: Repository, commit: str, runtime: str) -> str:
    """Return the requirements that the image of a commit installs."""
    path = f"requirements/{LOCKS[runtime]}"
    text = repository.text_at(commit, path)
    if text is None:
        raise ImageError(f"{commit[:12]} has no {path}: run `make lock` and commit it")
    return text


def context(
    repository: Repository, commit: str, bundle: Path, out: Path, challenger: Path | None = None
) -> None:
    """Write to the folder `out` what the image is built from."""
    repository.extract(commit, [RECIPE, DOCKERFILE, *_recipe(repository, commit)], out)
    shutil.copytree(bundle, out / BUNDLE)
    if challenger is not None:
        shutil.copytree(challenger, out / CHALLENGER)


def _recipe(repository: Repository, commit: str) -> list[str]:
    """Return the files and folders that .dockerignore lets through, without the bundles."""
    text = repository.text_at(commit, RECIPE) or ""
    named = [line[1:].strip() for line in text.splitlines() if line.startswith("!")]
    return [name for name in named if name not in (BUNDLE, CHALLENGER) and "*" not in name]


def _blobs(repository: Repository, commit: str, runtime: str) -> Blobs:
    """Return the objects that go into the image of this runtime; the others' locks do not."""
    recipe = _recipe(repository, commit)
    if not recipe:
        raise ImageError(f"{commit[:12]} has no {RECIPE} that says what an image is made from")
    others = {f"requirements/{name}" for name in (*LOCKS.values(), BATCH, SHIP)} - {
        f"requirements/{LOCKS[runtime]}"
    }
    found = repository.blobs(commit, [*recipe, RECIPE, DOCKERFILE])
    return {path: blob for path, blob in found.items() if path not in others}
