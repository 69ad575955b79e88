"""What a judgment rests on, as the report tells it: rows, policy, bundles, changes, versions."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..bundle import changes, lineage, manifest, verdict
from ..config.settings import Settings
from ..data import fingerprints
from ..engine import state
from ..evaluation.evaluate import HOLDOUT
from ..evaluation.suspicion import scarce
from ..evaluation.units import units
from .candidate import Candidate
from .champion import Champion
from .policy import Policy
from .request import Request

ROOT = Path(__file__).parents[4]  # the folder whose code judges
LONGEST = 100  # of a name that nobody checked


def holdout(
    root: Path, settings: Settings, columns: Mapping[str, np.ndarray], target: np.ndarray
) -> dict[str, Any]:
    """Return what names the rows that were judged on, and how many units are drawn of them."""
    drawn = units(settings, columns)
    digest = fingerprints.holdout_digest(root / HOLDOUT, target)
    few = [*([drawn.few] if drawn.few else []), *scarce(settings, target)]
    counted = {"groups": drawn.number, "units": drawn.noun, "few": "; ".join(few) or None}
    return {"rows": len(target), **counted, "sha256": digest}


def policy(request: Request, law: Policy, own: Policy | str) -> dict[str, Any]:
    """Return the policy that judged, and what the branch changes in it."""
    described = {
        **msgspec.to_builtins(request.policy),
        "sha256": law.digest,
        **law.content,
    }
    if isinstance(own, str):
        return described | {"branch": {"error": own}}
    differences = changes.changes(law.content, own.content)
    return described | {"branch": {"sha256": own.digest, "changes": differences}}


def champion(champion: Champion | None) -> dict[str, Any] | None:
    """Return what names the champion; None for a first model."""
    if champion is None:
        return None
    content = manifest.read(champion.folder)
    return {"pointer": champion.pointer, **bundle(champion.folder, content)}


def bundle(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Return what names a bundle."""
    origin = content["lineage"]
    known = {name: content[name] for name in ("name", "task", "runtime")}
    return {
        "sha256": manifest.bundle_digest(folder),
        **known,
        "commit": origin["commit"],
        "clean": origin["clean"],
    }


def candidate(made: Candidate) -> dict[str, Any]:
    """Return what names the candidate, as far as its files can be read."""
    if made.settings is not None:
        return bundle(made.folder, made.manifest)
    name = made.manifest.get("name")
    return {
        "sha256": made.digest or None,
        "name": name[:LONGEST] if isinstance(name, str) and name else "a candidate without a name",
        "task": made.task,
        "runtime": None,
        "commit": None,
        "clean": None,
    }


def engine(root: Path) -> dict[str, Any]:
    """Return the version of the engine that the branch has, and whether it was edited."""
    return state(root)._asdict()


def since(champion: Champion | None, made: Candidate) -> dict[str, Any]:
    """Return what changed in settings and data since the champion; None where one is unknown."""
    if champion is None or made.settings is None:
        return {"configuration": None, "data": None}
    return {
        "configuration": changes.configuration(champion.folder, made.folder),
        "data": changes.data(manifest.read(champion.folder), made.manifest),
    }


def judge(request: Request) -> dict[str, Any]:
    """Return whose code judged, its digest, and the versions of what it ran on."""
    packages = {name: version(name) for name in lineage.PACKAGES}
    return {
        "code": request.code,
        "sha256": verdict.judge_sha256(ROOT),
        "versions": {"python": platform.python_version(), **packages},
    }
