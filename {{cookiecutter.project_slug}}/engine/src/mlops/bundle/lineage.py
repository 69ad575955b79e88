"""Lineage: what a bundle came from."""

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..files import sha256, sha256_of, tree_sha256
from ..git import repository

PACKAGES = ("scikit-learn", "numpy", "skl2onnx", "onnxruntime", "skops")
INPUTS = tuple(
    map(
        Path,
        ("engine/src", "src", "conf", "params.yaml", "requirements", "data/raw.dvc", "dvc.yaml"),
    )
)


def lineage(summary: dict[str, Any], root: Path = Path()) -> dict[str, Any]:
    """Return what the bundle came from.

    `commit` is the last that changed an input, so that committing the results of a run does not
    change what the next one writes; `clean` says whether the inputs stood as committed, and the
    digests what they were in either case.
    """
    return {
        "commit": repository.commit(INPUTS, root),
        "clean": repository.is_clean(INPUTS, root),
        "code": code(root),
        "config": sha256(root / "resolved.yaml"),
        "environment": sha256(root / "requirements" / "train.txt"),
        "data": summary["files"],
        "rows": summary["rows"],
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def code(root: Path = Path()) -> str:
    """Return one SHA-256 over the code of a project: the engine's and its own."""
    parts = (root / "engine/src", root / "src")
    return sha256_of("".join(tree_sha256(part) for part in parts))


def is_premature(content: dict[str, Any], root: Path = Path()) -> bool:
    """Say whether a bundle was made before its inputs were committed, and they are now.

    It names no commit that has them: made again, it does.
    """
    return content["lineage"]["clean"] is not True and repository.is_clean(INPUTS, root)


def data_digest(content: dict[str, Any]) -> str:
    """Return one SHA-256 over the names and digests of the raw files."""
    lines = [f"{file['name']}\0{file['sha256']}\n" for file in content["lineage"]["data"]]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
