"""The sections of the report that show how good the answers are, and where."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...config.settings import Settings
from ...metrics.arrays import Array
from ...metrics.bootstrap import Estimate
from ...metrics.catalogue import METRICS
from ..importance import Importance
from ..measurement import Estimates, Measurement
from ..slices import Slice
from . import charts, figures, rowcharts
from .html import figure, pair, table
from .svg import number

SHOWN = 60


def classes(settings: Settings, target: NDArray[Any], predictions: Array) -> str:
    """Show curves, calibration and confusion of a classifier."""
    task, labels = settings.data.task, settings.data.labels
    binary = task == "binary"
    roc, pr = charts.curves(task, target, predictions, labels)
    bins = charts.calibration(task, target, predictions)
    threshold = settings.evaluation.threshold
    counts = charts.confusion(task, target, predictions, len(labels), threshold)
    said = "Predicted probability" if binary else "Probability of the predicted class"
    happened = f"Share that is {labels[-1]}" if binary else "Share that is right"
    guess = "Dashed is the share of positives." if binary else "Each class against the rest."
    answer = f"{labels[-1]} above a probability of {threshold:g}"
    answer = answer if binary else "the most probable class"
    drawn = [one.label for one in roc]
    share = float(np.mean(target == 1)) if binary else None
    return (
        "<h2>How well it separates</h2>"
        + pair(
            figure("ROC curve", "Top left is better. Dashed is guessing.", figures.roc(roc), drawn),
            figure(
                "Precision and recall",
                f"Top right is better. {guess}",
                figures.precision_recall(pr, share),
                drawn,
            ),
        )
        + "<h2>How far its answers hold</h2>"
        + pair(
            figure(
                "Calibration",
                "On the diagonal, what it says is what happens. Bars: rows.",
                figures.calibration(bins, said, happened),
            ),
            figure(
                "Confusion matrix",
                f"The answer is {answer}. Shares are of a row.",
                figures.confusion(counts, labels),
            ),
        )
    )


def errors(target: Array, predictions: Array) -> str:
    """Show predictions against the truth of a regression."""
    return "<h2>How far off it is</h2>" + pair(
        figure(
            "Predicted and actual",
            "Darker is more rows, dashed is perfect. Few extremes lie outside.",
            figures.predicted_actual(target, predictions),
        ),
        figure(
            "Residuals",
            "Narrow and centred on zero is better. Few extremes lie outside.",
            figures.residuals(target, predictions),
        ),
    )


def slices(settings: Settings, measurement: Measurement) -> str:
    """Show the primary metric of every slice beside the whole; name those too small to judge."""
    if not measurement.slices:
        return ""
    primary = settings.evaluation.primary
    judged = [(part, found) for part, found in measurement.slices if found is not None]
    small = [part for part, found in measurement.slices if found is None]
    body = ""
    if judged:
        overall, title = measurement.overall[primary], METRICS[primary].title
        shown = _farthest([(part, found[primary]) for part, found in judged], overall)
        cut = f" The {SHOWN} farthest of {len(judged)} are shown." if len(judged) > SHOWN else ""
        caption = (
            "Each slice with its rows and interval; line and band are the whole holdout. "
            f"Orange: the interval does not reach the line.{cut}"
        )
        chart = rowcharts.slices(shown, overall, title)
        body = figure(f"{title} by slice", caption, chart, below=_details(judged))
    if small:
        least = settings.evaluation.slices.min_rows
        names = ", ".join(escape(f"{part.name} ({len(part.rows)})") for part in small)
        body += f'<p class="muted note">Too small to judge, below {least} rows: {names}</p>'
    return f"<h2>Where it is better and worse</h2>{body}"


def importances(settings: Settings, found: Sequence[Importance]) -> str:
    """Show what the primary metric loses without each feature."""
    asked = settings.evaluation
    rest = len(found) - rowcharts.BARS
    more = f" {rest} less important ones are in plots/importance.csv." if rest > 0 else ""
    caption = (
        f"Mean and deviation of {asked.importance_repeats} shuffles. Features that know the same "
        f"share their importance.{more}"
    )
    chart = rowcharts.importances(found, METRICS[asked.primary].title)
    return "<h2>What it relies on</h2>" + figure("Permutation importance", caption, chart)


def interval(estimate: Estimate) -> str:
    """Return an interval in words."""
    if not np.isfinite(estimate.low):
        return "no interval"
    return f"{number(estimate.low)} to {number(estimate.high)}"


def _farthest(
    parts: list[tuple[Slice, Estimate]], overall: Estimate
) -> list[tuple[Slice, Estimate]]:
    """Return as many slices as fit, those farthest from the whole, in their own order."""
    gaps = np.nan_to_num([abs(one.value - overall.value) for _, one in parts], nan=np.inf)
    kept = np.sort(np.argsort(-gaps, kind="stable")[:SHOWN])
    return [parts[at] for at in kept]


def _details(judged: Sequence[tuple[Slice, Estimates]]) -> str:
    names = list(judged[0][1])
    rows = (
        [f"<td>{escape(part.name)}</td>", f'<td class="n">{len(part.rows):,}</td>']
        + [
            f'<td class="n" title="{interval(found[name])}">{number(found[name].value)}</td>'
            for name in names
        ]
        for part, found in judged
    )
    header = ["Slice", "Rows", *(METRICS[name].title for name in names)]
    return (
        "<details><summary>Every metric of every slice</summary>"
        f"{table(header, rows, numbers=1)}</details>"
    )
