"""The bundle stage: everything that is promoted together, as candidate/."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..config.settings import RESOLVED, Settings
from ..contract import Contract
from ..data import fingerprints, prepared
from ..data.splitting import roles
from ..evaluation.intervals import calibrated
from ..features.encoding import Encoder
from ..files import atomic_directory
from ..git.repository import Repository
from ..runtime import model as runtime
from ..runtime.decision import DECISION, HELD_OUT, Decision, decided
from ..runtime.hooks import After, answering
from ..runtime.intervals import INTERVALS
from . import card, edges, golden, lineage, manifest, profile
from . import reference as references
from .reading import (
    CANDIDATE,
    CARD,
    CONFIG,
    CONTRACT,
    EDGES,
    GOLDEN,
    HOLDOUT,
    METRICS,
    PROFILE,
    REFERENCE,
    SLICES,
)


def bundle(
    settings: Settings,
    data: Path = Path("data/prepared"),
    model: Path = Path("model"),
    reports: Path = Path("reports"),
    out: Path = CANDIDATE,
) -> str:
    """Write the bundle to `out` and return its digest, the SHA-256 of its manifest."""
    contract = settings.data
    encoder = Encoder.build(contract, settings.features)
    files = {role: data / role for role in roles(contract)}
    matrices = {
        role: prepared.matrix(file, contract, encoder.inputs, encoder.matrix, len(encoder.names))
        for role, file in files.items()
    }
    predict = runtime.load(model, settings.training.threads).predict
    predictions = predict(matrices["holdout"])
    around = calibrated(settings, data, encoder, predict)
    predictions = served(data / "holdout", contract, encoder, predictions)
    summary = json.loads((data / "summary.json").read_text(encoding="utf-8"))
    about = json.loads((model / runtime.ABOUT).read_text(encoding="utf-8"))
    measured = {
        name: json.loads((reports / name).read_text(encoding="utf-8")) for name in (METRICS, SLICES)
    }
    decision = None
    if settings.evaluation.value is not None and contract.task == "binary":
        found = measured[METRICS]["value"]
        chosen = found["threshold"], found["share"], found["break_even"]
        decision = Decision.of(settings, *chosen)
        settings = decided(settings, decision)
    prints = fingerprints.fingerprints(data / "holdout", contract)
    content: dict[str, Any] = {
        "format": 1,
        "name": contract.name,
        "task": contract.task,
        "runtime": about["runtime"],
        "features": list(encoder.features),
        "holdout": {
            "rows": len(predictions),
            "digest": fingerprints.digest(prints),
            "predictions": manifest.digest(predictions),
        },
        "lineage": lineage.lineage(Repository(), summary),
    }
    known = profile.profile(contract, encoder, matrices["train"], predictions, contract.task)
    counted = references.reference(known, settings, encoder, files, matrices, predictions)
    answer = answering(contract, encoder, predict)
    rows, held = golden.golden(data / "holdout", contract, encoder.inputs, predictions, answer)
    hidden = encoder.private(contract)
    thresholds = {n: t for n, t in about.get("thresholds", {}).items() if n not in hidden}
    beyond = edges.edges(held, contract, thresholds, answer)
    with atomic_directory(out) as folder:
        for file in sorted(file for file in model.iterdir() if file.name != HELD_OUT):
            shutil.copyfile(file, folder / file.name)
        for name in (METRICS, SLICES):
            shutil.copyfile(reports / name, folder / name)
        shutil.copyfile(RESOLVED, folder / CONFIG)
        (folder / CONTRACT).write_bytes(msgspec.json.format(msgspec.json.encode(contract)))
        _write_json(folder / PROFILE, known)
        (folder / REFERENCE).write_bytes(msgspec.json.encode(counted))
        _write_json(folder / GOLDEN, rows)
        _write_json(folder / EDGES, beyond)
        if around is not None:
            (folder / INTERVALS).write_bytes(msgspec.json.format(msgspec.json.encode(around)))
        if decision is not None:
            (folder / DECISION).write_bytes(msgspec.json.format(msgspec.json.encode(decision)))
        np.save(folder / HOLDOUT, prints)
        text = card.card(settings, about, measured[METRICS], measured[SLICES], content)
        (folder / CARD).write_text(text, encoding="utf-8")
        manifest.write(folder, content)
    return manifest.bundle_digest(out)


def served(
    holdout: Path, contract: Contract, encoder: Encoder, predictions: np.ndarray
) -> np.ndarray:
    """Return the model's predictions as they are served: what `after` makes of them, if any."""
    if (after := After.find(contract)) is None:
        return predictions
    answers, start = np.empty_like(predictions), 0
    for columns in prepared.batches(holdout, contract, encoder.inputs):
        end = start + len(columns[encoder.inputs[0]])
        answers[start:end] = after(columns, predictions[start:end])
        start = end
    return answers


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
