"""The DVC plots: small CSV files in reports/plots/."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ..contract import Contract
from ..files import atomic_directory
from . import charts
from .arrays import Array
from .importance import Importance


class Table(NamedTuple):
    """The header and rows of one CSV file."""

    header: Sequence[str]
    rows: Iterable[Sequence[str | float]]


def tables(
    contract: Contract,
    target: NDArray[Any],
    predictions: Array,
    importances: Sequence[Importance],
) -> dict[str, Table]:
    """Return the table of every plot that this task has, by file name."""
    found = {"importance.csv": Table(("feature", "drop", "deviation"), importances)}
    if contract.task == "regression":
        shown = charts.spread(target, predictions)
        guess, truth = predictions[shown], target[shown]
        triples = zip(guess, truth, truth - guess, strict=True)
        return {"residuals.csv": Table(("predicted", "actual", "residual"), triples), **found}
    labels = contract.labels
    roc, pr = charts.curves(contract.task, target, predictions, labels)
    bins = charts.calibration(contract.task, target, predictions)
    counts = charts.confusion(contract.task, target, predictions, len(labels))
    cells = [
        (actual, predicted, int(counts[i, j]))
        for i, actual in enumerate(labels)
        for j, predicted in enumerate(labels)
    ]
    return {
        "roc.csv": _lines(("fpr", "tpr"), roc),
        "pr.csv": _lines(("recall", "precision"), pr),
        "calibration.csv": Table(charts.Bin._fields, bins),
        "confusion.csv": Table(("actual", "predicted", "rows"), cells),
        **found,
    }


def write(folder: Path, plots: Mapping[str, Table]) -> None:
    """Replace `folder` by one that holds these files and no others."""
    with atomic_directory(folder) as staging:
        for name, table in plots.items():
            with (staging / name).open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerow(table.header)
                writer.writerows([_cell(value) for value in row] for row in table.rows)


def _lines(axes: tuple[str, str], curves: Iterable[charts.Curve]) -> Table:
    rows = [
        (x, y, threshold, one.label)
        for one in curves
        for x, y, threshold in zip(one.x, one.y, one.threshold, strict=True)
    ]
    return Table((*axes, "threshold", "class"), rows)


def _cell(value: str | float) -> str:
    """Return a number with six digits, which keeps the files small and their diffs quiet."""
    if isinstance(value, str):
        return value
    return "" if value != value else f"{value:.6g}" if isinstance(value, float) else str(value)
