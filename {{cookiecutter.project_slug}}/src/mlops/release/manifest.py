"""The manifest: what a bundle holds, to the byte, and what it came from."""

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from .. import repository
from ..errors import ProjectError
from ..files import sha256, tree_sha256

MANIFEST = "manifest.json"
PACKAGES = ("scikit-learn", "numpy", "skl2onnx", "onnxruntime", "skops")
INPUTS = tuple(
    map(Path, ("src", "conf", "params.yaml", "requirements", "data/raw.dvc", "dvc.yaml"))
)


class BundleError(ProjectError):
    """A bundle is incomplete, or not what its manifest says."""


def lineage(summary: dict[str, Any], root: Path = Path()) -> dict[str, Any]:
    """Return what the bundle came from.

    `commit` is the last that changed an input, so that committing the results of a run does not
    change what the next one writes; `clean` says whether the inputs stood as committed, and the
    digests what they were in either case.
    """
    return {
        "commit": repository.commit(INPUTS, root),
        "clean": repository.is_clean(INPUTS, root),
        "code": tree_sha256(root / "src"),
        "config": sha256(root / "resolved.yaml"),
        "environment": sha256(root / "requirements" / "train.txt"),
        "data": summary["files"],
        "rows": summary["rows"],
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def is_premature(content: dict[str, Any], root: Path = Path()) -> bool:
    """Say whether a bundle was made before its inputs were committed, and they are now.

    It names no commit that has them: made again, it does.
    """
    return content["lineage"]["clean"] is not True and repository.is_clean(INPUTS, root)


def digest(predictions: np.ndarray) -> str:
    """Return the SHA-256 of predictions as little-endian float64, row after row."""
    return hashlib.sha256(np.ascontiguousarray(predictions, dtype="<f8").tobytes()).hexdigest()


def write(folder: Path, content: dict[str, Any]) -> None:
    """Write the manifest with the SHA-256 of every other file of the folder."""
    files = {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    text = json.dumps({**content, "files": files}, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    """Return the manifest of a bundle; raises BundleError where it has none."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(content["files"], dict):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(folder) from error
    return dict(content)


def unreadable(folder: Path) -> BundleError:
    """Return what is said of a folder without a manifest."""
    return BundleError(
        f"{folder} is no bundle (no readable {MANIFEST}): run `dvc repro`, or fetch it with "
        "`dvc pull`"
    )


def identity(folder: Path) -> str:
    """Return the digest that names a bundle: the SHA-256 of its manifest."""
    return sha256(folder / MANIFEST)


def data_digest(content: dict[str, Any]) -> str:
    """Return one SHA-256 over the names and digests of the raw files."""
    lines = [f"{file['name']}\0{file['sha256']}\n" for file in content["lineage"]["data"]]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
