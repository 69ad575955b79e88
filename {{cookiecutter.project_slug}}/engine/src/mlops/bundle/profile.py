"""The reference profile: how every feature and the predictions were distributed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..contract import Column, Contract, Task
from ..features.encoding import Encoder

BINS = 20
QUANTILE_ROWS = 1_000_000


def profile(
    contract: Contract, encoder: Encoder, matrix: np.ndarray, predictions: np.ndarray, task: Task
) -> dict[str, Any]:
    """Return the profile of the training matrix and of the holdout predictions.

    Numbers are counted in bins with about equally many reference rows (`edges` are the inner
    ones), categories by label; `missing` is a share of all rows. Of a feature of several columns
    it is their mean that is counted; of one whose values may not leave, only what is missing.
    """
    values, hidden = encoder.by_feature(matrix), encoder.unshown(contract)
    features = {
        name: {"missing": _share(np.isnan(values[:, position]))}
        if name in hidden
        else _feature(contract.columns.get(name), values[:, position])
        for position, name in enumerate(encoder.features)
    }
    if task == "multiclass":
        answers: Any = {
            label: numeric(predictions[:, code]) for code, label in enumerate(contract.labels)
        }
    else:
        answers = numeric(predictions)
    return {"rows": len(matrix), "features": features, "predictions": answers}


def _feature(column: Column | None, values: np.ndarray) -> Mapping[str, Any]:
    if column is not None and column.type == "category":
        return categorical(values, column.categories)
    return numeric(values)


def numeric(values: np.ndarray) -> dict[str, Any]:
    """Return the distribution of numbers; NaN counts as missing."""
    present = values[~np.isnan(values)].astype(np.float64)
    about: dict[str, Any] = {"missing": _share(np.isnan(values))}
    if not len(present):
        return about
    step = 1 + len(present) // QUANTILE_ROWS
    shares = np.linspace(0, 1, BINS + 1)[1:-1]
    edges = np.unique(np.quantile(present[::step], shares))
    counts = np.bincount(np.searchsorted(edges, present, side="right"), minlength=len(edges) + 1)
    return about | {
        "minimum": float(present.min()),
        "maximum": float(present.max()),
        "mean": float(present.mean()),
        "std": float(present.std()),
        "edges": edges.tolist(),
        "counts": counts.tolist(),
    }


def categorical(codes: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Return how often each label stands, and how many codes are past the last label."""
    present = codes[~np.isnan(codes)].astype(np.int64)
    counts = np.bincount(present, minlength=len(labels))
    return {
        "missing": _share(np.isnan(codes)),
        "labels": list(labels),
        "counts": counts[: len(labels)].tolist(),
        "unseen": int(counts[len(labels) :].sum()),
    }


def _share(marks: np.ndarray) -> float:
    return float(np.count_nonzero(marks) / max(1, len(marks)))
