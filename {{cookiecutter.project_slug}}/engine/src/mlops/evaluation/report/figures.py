"""The pictures of curves, classes and errors, one function each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...metrics.arrays import Array, Index
from .charts import Bin, Curve
from .svg import Axis, Plot, number, padded, short

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
SERIES = 7
CELLS = 44


def roc(curves: Sequence[Curve]) -> Plot:
    """Draw the share of positives found against the share of false alarms."""
    plot = _unit("ROC curve", "False positive rate", "True positive rate")
    plot.line([(0, 0), (1, 1)], "guide")
    return _series(plot, curves, "False positive rate", "true positive rate")


def precision_recall(curves: Sequence[Curve], share: float | None) -> Plot:
    """Draw precision against recall; `share` of positives is what guessing would reach."""
    plot = _unit("Precision-recall curve", "Recall", "Precision")
    if share is not None:
        plot.line([(0, share), (1, share)], "guide", f"share of positives {share:.3f}")
    return _series(plot, curves, "Recall", "precision")


def calibration(bins: Sequence[Bin], said: str, happened: str) -> Plot:
    """Draw what happened against what was said, above how often it was said."""
    x = Axis(0, 1, said, QUARTERS)
    plot = Plot("Calibration", x, Axis(-0.25, 1, happened, QUARTERS)).axes()
    tallest = max(one.rows for one in bins)
    for one in bins:
        words = f"{one.left:.2f} to {one.right:.2f}: {one.rows:,} rows"
        height = 0.19 * one.rows / tallest
        plot.rect((one.left, one.right), (-0.25, -0.25 + height), "bar soft", words, gap=2)
    plot.line([(0, 0), (1, 1)], "guide")
    plot.line([(one.predicted, one.observed) for one in bins], "line s0 thin")
    for one in bins:
        plot.line([(one.predicted, one.low), (one.predicted, one.high)], "whisker s0")
        words = f"said {one.predicted:.3f}, happened {one.observed:.3f} ({one.rows:,} rows)"
        plot.dot(one.predicted, one.observed, "dot s0", words)
    return plot


def confusion(counts: Index, labels: Sequence[str]) -> Plot:
    """Draw the rows of each actual (down) and predicted (across) class, shaded by row share."""
    size = len(labels)
    longest = max(len(short(label)) for label in labels)
    left = 34 + 6.4 * longest
    across = Axis(0, size, "Predicted", ())
    plot = Plot("Confusion matrix", across, Axis(size, 0, "Actual", ()), left=int(left)).axes()
    for i, actual in enumerate(labels):
        plot.text(left - 8, plot.y(i + 0.5) + 4, short(actual), "tick end", actual)
        foot = short(actual, int((plot.x(1) - plot.x(0)) / 7))
        plot.text(plot.x(i + 0.5), plot.height - 28, foot, "tick middle", actual)
        total = max(int(counts[i].sum()), 1)
        for j, predicted in enumerate(labels):
            share = counts[i, j] / total
            words = f"{actual} taken for {predicted}: {counts[i, j]:,} of {total:,} rows"
            plot.rect((j, j + 1), (i, i + 1), "cell", words, 0.05 + 0.5 * share)
            if size <= 8:
                middle, centre = plot.x(j + 0.5), plot.y(i + 0.5)
                plot.text(middle, centre - 1, f"{counts[i, j]:,}", "count middle", words)
                plot.text(middle, centre + 15, f"{share:.1%}", "label middle", words)
    return plot


def predicted_actual(target: Array, predictions: Array) -> Plot:
    """Draw where the rows lie between what was predicted and what was true."""
    low, high = _range(np.concatenate([target, predictions]))
    axis = Axis(low, high)
    plot = Plot(
        "Predicted and actual", axis._replace(title="Predicted"), axis._replace(title="Actual")
    )
    plot.axes()
    edges = np.linspace(low, high, CELLS + 1)
    counts = np.histogram2d(predictions, target, bins=[edges, edges])[0].astype(np.intp)
    top = np.log1p(max(counts.max(), 1))
    for i, j in np.argwhere(counts):
        words = f"{counts[i, j]:,} rows, predicted about {number(edges[i : i + 2].mean())}"
        x, y = (edges[i], edges[i + 1]), (edges[j], edges[j + 1])
        plot.rect(x, y, "cell", words, 0.15 + 0.85 * float(np.log1p(counts[i, j]) / top))
    return plot.line([(low, low), (high, high)], "guide")


def residuals(target: Array, predictions: Array) -> Plot:
    """Draw how far the truth lies from the prediction, and how often."""
    errors = target - predictions
    low, high = _range(errors)
    counts, edges = np.histogram(errors, bins=CELLS, range=(low, high))
    across = Axis(low, high, "Residual (actual minus predicted)")
    plot = Plot("Residuals", across, Axis(0, float(counts.max()) * 1.05 or 1.0, "Rows")).axes()
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        words = f"{number(left)} to {number(right)}: {count:,} rows"
        plot.rect((left, right), (0, float(count)), "bar", words, gap=1)
    if low < 0 < high:
        plot.line([(0, 0), (0, plot.y_axis.high)], "guide")
    return plot


def _unit(title: str, x: str, y: str) -> Plot:
    return Plot(title, Axis(0, 1, x, QUARTERS), Axis(0, 1, y, QUARTERS)).axes()


def _series(plot: Plot, curves: Sequence[Curve], x: str, y: str) -> Plot:
    if len(curves) == 1:
        area = [(curves[0].x[0], 0.0), *zip(curves[0].x, curves[0].y, strict=True)]
        plot.line([*area, (curves[0].x[-1], 0.0)], "area s0", closed=True)
    for k, one in enumerate(curves):
        points = list(zip(one.x, one.y, strict=True))
        plot.line(points, f"line s{k % SERIES}", one.label)
        for at in np.linspace(0, len(points) - 1, 25).round().astype(int):
            words = f"{one.label}: {x} {one.x[at]:.3f}, {y} {one.y[at]:.3f}"
            if one.threshold[at] == one.threshold[at]:
                words += f" at threshold {one.threshold[at]:.3f}"
            plot.dot(points[at][0], points[at][1], "hover", words, 7)
    return plot


def _range(values: NDArray[Any]) -> tuple[float, float]:
    """Return the range of all but the most extreme 0.4 % of the values, with some air."""
    low, high = np.quantile(values, [0.002, 0.998])
    return padded([float(low), float(high)])
