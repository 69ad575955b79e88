"""The manifest: what a bundle holds, to the byte."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ProjectError
from ..files import sha256

MANIFEST = "manifest.json"


class BundleError(ProjectError):
    """A bundle is incomplete, or not what its manifest says."""


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


def bundle_digest(folder: Path) -> str:
    """Return the digest that names a bundle: the SHA-256 of its manifest."""
    return sha256(folder / MANIFEST)
