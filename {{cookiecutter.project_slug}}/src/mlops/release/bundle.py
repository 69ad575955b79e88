"""The bundle stage: everything that is promoted together, as candidate/."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ..config.settings import RESOLVED, Settings
from ..contract import Contract
from ..features.encoding import Encoder
from ..files import LOADER, atomic_directory
from ..runtime import model as runtime
from . import contents, manifest
from .contents import Contents
from .manifest import BundleError

CANDIDATE = Path("candidate")
CONTRACT = "contract.json"
CONFIG = "resolved.yaml"
METRICS = "metrics.json"
SLICES = "slices.json"
PROFILE = "profile.json"
GOLDEN = "golden.json"
HOLDOUT = "holdout.npy"
CARD = "card.md"


def bundle(
    settings: Settings,
    data: Path = Path("data/prepared"),
    model: Path = Path("model"),
    reports: Path = Path("reports"),
    out: Path = CANDIDATE,
) -> str:
    """Write the bundle to `out` and return its digest, the SHA-256 of its manifest."""
    import numpy as np  # here, with what reads Parquet: a server only loads

    from ..data import fingerprints, prepared
    from . import card, golden, profile

    contract = settings.data
    encoder = Encoder.build(contract, settings.features)
    matrices = {
        role: prepared.matrix(
            data / f"{role}.parquet", contract, encoder.inputs, encoder.matrix, len(encoder.names)
        )
        for role in ("train", "holdout")
    }
    predictions = runtime.load(model, settings.training.threads).predict(matrices["holdout"])
    summary = json.loads((data / "summary.json").read_text(encoding="utf-8"))
    about = json.loads((model / runtime.ABOUT).read_text(encoding="utf-8"))
    measured = {
        name: json.loads((reports / name).read_text(encoding="utf-8")) for name in (METRICS, SLICES)
    }
    prints = fingerprints.fingerprints(data / "holdout.parquet", contract)
    content: dict[str, Any] = {
        "format": 1,
        "name": contract.name,
        "task": contract.task,
        "runtime": about["runtime"],
        "features": list(encoder.names),
        "holdout": {
            "rows": len(predictions),
            "digest": fingerprints.digest(prints),
            "predictions": manifest.digest(predictions),
        },
        "lineage": manifest.lineage(summary),
    }
    reference = profile.profile(contract, encoder, matrices["train"], predictions, contract.task)
    rows = golden.golden(data / "holdout.parquet", contract, encoder.inputs, predictions)
    with atomic_directory(out) as folder:
        for file in sorted(model.iterdir()):
            shutil.copyfile(file, folder / file.name)
        for name in (METRICS, SLICES):
            shutil.copyfile(reports / name, folder / name)
        shutil.copyfile(RESOLVED, folder / CONFIG)
        (folder / CONTRACT).write_bytes(msgspec.json.format(msgspec.json.encode(contract)))
        _write_json(folder / PROFILE, reference)
        _write_json(folder / GOLDEN, rows)
        np.save(folder / HOLDOUT, prints)
        text = card.card(settings, about, measured[METRICS], measured[SLICES], content)
        (folder / CARD).write_text(text, encoding="utf-8")
        manifest.write(folder, content)
    return manifest.identity(out)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


class Loaded(msgspec.Struct, frozen=True):
    """A verified bundle, ready to predict.

    `files` are its other files as they were verified, by name; the model and the fingerprints of
    the holdout are not kept.
    """

    manifest: dict[str, Any]
    contract: Contract
    encoder: Encoder
    model: runtime.Model
    settings: Settings
    files: Mapping[str, bytes] = {}


def load(folder: Path, threads: int = 1, encoder: Encoder | None = None) -> Loaded:
    """Verify every digest of a bundle, then parse what was verified.

    `encoder` stands in for that of the bundle's settings, where other code computes the features.
    """
    return parsed(contents.read(folder), threads, encoder)


def parsed(content: Contents, threads: int = 1, encoder: Encoder | None = None) -> Loaded:
    """Return a bundle from its verified files; raises BundleError or ModelError."""
    try:
        contract = msgspec.json.decode(content.files[CONTRACT], type=Contract)
        settings = Settings.parse(_yaml(content.files[CONFIG]))
        encoder = encoder or Encoder.build(contract, settings.features)
    except KeyError as error:
        raise BundleError(
            f"the bundle has no {error.args[0]}: rebuild it with `dvc repro`"
        ) from error
    except (ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise BundleError(
            f"{CONTRACT} or {CONFIG} of the bundle cannot be read ({reason}): rebuild it with "
            "`dvc repro`"
        ) from error
    model = runtime.parsed(content.files, threads)
    apart = (runtime.ONNX, runtime.SKOPS, HOLDOUT)
    files = {name: found for name, found in content.files.items() if name not in apart}
    return Loaded(content.manifest, contract, encoder, model, settings, files)


def _yaml(text: bytes) -> Any:
    """Parse YAML without aliases, with which a short text can stand for a boundless one."""
    if b"*" in text and any(isinstance(e, yaml.AliasEvent) for e in yaml.parse(text, LOADER)):
        raise ValueError(f"{CONFIG} holds aliases")
    return yaml.load(text, LOADER)
