"""The DVC plots: small CSV files in reports/plots/."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...contract import Contract
from ...files import atomic_directory
from ...metrics.arrays import Array
from ..importance import Importance
from . import charts

# DVC's confusion matrix counts lines; beyond so many rows, they stand for equal shares.
CONFUSED = 2000


HEADERS = {
    "roc.csv": ("fpr", "tpr", "threshold", "class"),
    "pr.csv": ("recall", "precision", "threshold", "class"),
    "calibration.csv": charts.Bin._fields,
    "confusion.csv": ("actual", "predicted"),
    "residuals.csv": ("predicted", "actual", "residual"),
    "importance.csv": ("feature", "drop", "deviation"),
}

Rows = Iterable[Sequence[str | float]]


def tables(
    contract: Contract,
    target: NDArray[Any],
    predictions: Array,
    importances: Sequence[Importance],
    threshold: float = 0.5,
) -> dict[str, Rows]:
    """Return the rows of every plot by file name; those of another task have none."""
    found: dict[str, Rows] = {**dict.fromkeys(HEADERS, ()), "importance.csv": importances}
    if contract.task == "regression" and contract.is_private(contract.target):
        return found
    if contract.task == "regression":
        shown = charts.spread(target, predictions)
        guess, truth = predictions[shown], target[shown]
        return found | {"residuals.csv": zip(guess, truth, truth - guess, strict=True)}
    roc, pr = charts.curves(contract.task, target, predictions, contract.labels)
    return found | {
        "roc.csv": _points(roc),
        "pr.csv": _points(pr),
        "calibration.csv": charts.calibration(contract.task, target, predictions),
        "confusion.csv": _pairs(contract, target, predictions, threshold),
    }


def _pairs(contract: Contract, target: NDArray[Any], predictions: Array, threshold: float) -> Rows:
    """Return the actual and predicted label of each row, or of its share."""
    labels = contract.labels
    counts = charts.confusion(contract.task, target, predictions, len(labels), threshold)
    share = min(1.0, CONFUSED / len(target))
    return [
        (actual, predicted)
        for i, actual in enumerate(labels)
        for j, predicted in enumerate(labels)
        for _ in range(math.ceil(share * counts[i, j]))
    ]


def write(folder: Path, plots: Mapping[str, Rows]) -> None:
    """Replace `folder` by one that holds these files of HEADERS and no others.

    A plot without rows is written all the same: dvc.yaml names every one.
    """
    with atomic_directory(folder) as staging:
        for name, rows in plots.items():
            with (staging / name).open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerow(HEADERS[name])
                writer.writerows([_cell(value) for value in row] for row in rows)


def _points(curves: Iterable[charts.Curve]) -> Rows:
    return [
        (x, y, threshold, one.label)
        for one in curves
        for x, y, threshold in zip(one.x, one.y, one.threshold, strict=True)
    ]


def _cell(value: str | float) -> str:
    """Return a number with six digits, which keeps the files small and their diffs quiet."""
    if isinstance(value, str):
        return value
    return "" if value != value else f"{value:.6g}" if isinstance(value, float) else str(value)
