"""What the pictures show, as small arrays: curves, calibration bins, confusion, residuals."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...contract import Task
from ...metrics import binary
from ...metrics.arrays import Array, Index, bin_codes, ratio

POINTS = 500


class Curve(NamedTuple):
    """One line of a ROC or precision-recall plot, for the class `label` against the rest."""

    label: str
    x: Array
    y: Array
    threshold: Array


class Bin(NamedTuple):
    """Rows whose probability lies between `left` and `right`: what was said and what happened.

    `low` and `high` are the 95 % Wilson interval of the observed share.
    """

    left: float
    right: float
    predicted: float
    observed: float
    low: float
    high: float
    rows: int


def curves(
    task: Task, target: NDArray[Any], predictions: Array, labels: tuple[str, ...]
) -> tuple[list[Curve], list[Curve]]:
    """Return the ROC and the precision-recall curves: one for a binary target, else per class."""
    if task == "binary":
        scores = {labels[-1]: (target == 1, predictions)}
    else:
        scores = {label: (target == k, predictions[:, k]) for k, label in enumerate(labels)}
    roc, pr = [], []
    points = POINTS // len(scores)
    for label, (truth, score) in scores.items():
        if truth.any() and not truth.all():
            one, other = _pair(label, truth, score, points)
            roc.append(one)
            pr.append(other)
    return roc, pr


def _pair(label: str, truth: NDArray[Any], score: Array, points: int) -> tuple[Curve, Curve]:
    rows = binary.Binary(truth.astype(np.float64), score, np.arange(len(truth)))
    positive, everything = (line[0] for line in binary.curve(rows, np.ones((1, len(truth)))))
    recall = positive / positive[-1]
    fallout = (everything - positive) / (everything[-1] - positive[-1])
    threshold = np.append(np.nan, rows.probabilities[rows.ends])
    precision = ratio(positive, everything)
    precision[0] = precision[1]
    roc = _thinned(fallout, recall, points)
    pr = _thinned(recall, precision, points)
    return (
        Curve(label, fallout[roc], recall[roc], threshold[roc]),
        Curve(label, recall[pr], precision[pr], threshold[pr]),
    )


def _thinned(x: Array, y: Array, points: int) -> Index:
    """Return positions spread evenly along the line, its ends included."""
    if len(x) <= points:
        return np.arange(len(x))
    travelled = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    wanted = np.linspace(0, travelled[-1], points)
    return np.unique(np.minimum(np.searchsorted(travelled, wanted), len(x) - 1))


def calibration(task: Task, target: NDArray[Any], predictions: Array) -> list[Bin]:
    """Return the bins behind the calibration error, for those that hold rows.

    Binary: the positive class. Multiclass: whether the predicted class was right.
    """
    if task == "binary":
        said, true = predictions, (target == 1)
    else:
        said, true = predictions.max(axis=1), predictions.argmax(axis=1) == target
    codes = bin_codes(said)
    count = np.bincount(codes)
    edges = np.linspace(0, 1, 16)
    shares = np.bincount(codes, true.astype(np.float64)) / np.maximum(count, 1)
    means = np.bincount(codes, said) / np.maximum(count, 1)
    return [
        Bin(
            edges[k], edges[k + 1], means[k], shares[k], *wilson(shares[k], count[k]), int(count[k])
        )
        for k in np.flatnonzero(count)
    ]


def wilson(share: float, rows: int, z: float = 1.96) -> tuple[float, float]:
    """Return the score interval of a share: Wilson, JASA 22, 1927."""
    centre = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * np.sqrt(share * (1 - share) / rows + (z / (2 * rows)) ** 2)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def confusion(
    task: Task, target: NDArray[Any], predictions: Array, classes: int, threshold: float = 0.5
) -> Index:
    """Return the number of rows of each actual (down) and predicted (across) class."""
    guess = predictions > threshold if task == "binary" else predictions.argmax(axis=1)
    cells = target.astype(np.intp) * classes + guess.astype(np.intp)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def spread(target: Array, predictions: Array) -> Index:
    """Return up to POINTS row positions that cover the range of predictions evenly."""
    order = np.argsort(predictions, kind="stable")
    if len(order) <= POINTS:
        return order
    return order[np.linspace(0, len(order) - 1, POINTS).round().astype(np.intp)]
