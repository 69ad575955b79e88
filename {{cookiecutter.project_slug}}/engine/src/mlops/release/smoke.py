"""The smoke test: an image, confined as in production, answers its golden rows."""

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from ..bundle import manifest
from ..bundle.reading import CONTRACT, GOLDEN
from ..contract import Contract
from ..errors import ProjectError
from .containers import Engine

TOLERANCE = 1e-5  # relative above 1, as the server's own


class SmokeError(ProjectError):
    """An image does not serve what it is named after."""


def check(engine: Engine, image: str, folder: Path, installed: dict[str, str]) -> None:
    """Run an image and raise SmokeError unless it serves the bundle in `folder`.

    It has to serve under that digest, answer every golden row over HTTP as recorded, not be root,
    and hold `installed`, the versions of packages by name, and no other.
    """
    golden = json.loads((folder / GOLDEN).read_text(encoding="utf-8"))
    contract = msgspec.json.decode((folder / CONTRACT).read_bytes(), type=Contract)
    probe = files(__package__).joinpath("probe.py").read_text(encoding="utf-8")
    rows = json.dumps([one["row"] for one in golden])
    with engine.running(image, f"mlops-smoke-{image.rpartition(':')[2]}") as container:
        told = json.loads(engine.ask(container, ["python3", "-c", probe], rows))
    wrong = _wrong(told, golden, contract.labels, manifest.bundle_digest(folder))
    found = {normal(name): version for name, version in told["installed"]}
    for one in sorted(set(found.items()) ^ set(installed.items())):
        what = "installed and not locked" if one in found.items() else "locked and not installed"
        wrong.append(f"{' '.join(one)} is {what}")
    if wrong:
        raise SmokeError(f"{image} is not released: {'; '.join(wrong[:5])}")


def normal(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _wrong(told: Any, golden: list[Any], labels: Sequence[str], bundle_digest: str) -> list[str]:
    """Return what is wrong with the answers."""
    if told["status"] != 200:
        return [f"its server answers the golden rows with {told['status']}: {told['answer']}"]
    wrong = []
    if told["user"] == 0:
        wrong.append("it runs as root")
    served = {told["model"]["digest"], told["answer"]["model"]}
    if served != {bundle_digest}:
        wrong.append(f"it serves {' and '.join(sorted(served))}, not {bundle_digest}")
    answers = told["answer"]["predictions"]
    if len(answers) != len(golden):
        return [*wrong, f"it answers {len(answers)} of {len(golden)} golden rows"]
    for place, (answer, one) in enumerate(zip(answers, golden, strict=True)):
        found, recorded = _numbers(answer, labels), _recorded(one["prediction"], labels)
        pairs = zip(found, recorded, strict=True)
        if any(not abs(a - b) <= TOLERANCE * max(1, abs(b)) for a, b in pairs):
            wrong.append(f"it answers golden row {place} with {found}, recorded is {recorded}")
    return wrong


def _numbers(answer: Any, labels: Sequence[str]) -> list[float]:
    """Return the numbers of an answer: the probability of each label, or the prediction."""
    if not labels:
        return [float(answer["prediction"])]
    return [float(answer["probabilities"][label]) for label in labels]


def _recorded(prediction: Any, labels: Sequence[str]) -> list[float]:
    if isinstance(prediction, list):
        return [float(number) for number in prediction]
    return [1 - prediction, prediction] if labels else [prediction]
