"""The pictures that have a row for each thing: slices, features, and the metrics' strips."""

from collections.abc import Sequence

import numpy as np

from ...metrics.bootstrap import Estimate
from ..importance import Importance
from ..slices import Slice
from .svg import Axis, Plot, between, number, padded, short
from .terms import Weight

BARS = 20
WIDE = 940
ROW = 24
LEFT = 270


def slices(parts: Sequence[tuple[Slice, Estimate]], overall: Estimate, title: str) -> Plot:
    """Draw the metric of each slice with its interval, beside the line of the whole holdout."""
    ends = [v for _, e in parts for v in e[:3]] + list(overall[:3])
    low, high = padded([value for value in ends if np.isfinite(value)])
    columns = [part.column for part, _ in parts]
    heads = [at for at, name in enumerate(columns) if name not in columns[:at]]
    lines = len(parts) + len(heads)
    height = 12 + ROW * lines + 44
    plot = Plot("Slices", Axis(low, high, title), Axis(lines, 0), WIDE, height, left=LEFT).axes(
        rows=False
    )
    if np.isfinite(overall.low):
        band = f"whole holdout: {_interval(overall)}"
        plot.rect((overall.low, overall.high), (0, lines), "band", band)
    plot.line([(overall.value, 0), (overall.value, lines)], "line ref")
    line = 0
    for at, (part, estimate) in enumerate(parts):
        if at in heads:
            plot.text(8, plot.y(line + 0.7), short(part.column, 36), "head", part.column)
            line += 1
        _slice(plot, line, part, estimate, overall)
        line += 1
    return plot


def models(rows: Sequence[tuple[str, Estimate, Estimate | None, float]], title: str) -> Plot:
    """Draw the metric of each model with its interval, the best first, beside the best one's."""
    ends = [value for _, score, _, _ in rows for value in score[:3]]
    low, high = padded([value for value in ends if np.isfinite(value)])
    height = 12 + ROW * len(rows) + 44
    plot = Plot("Models", Axis(low, high, title), Axis(len(rows), 0), WIDE, height, left=LEFT)
    plot.axes(rows=False)
    best = rows[0][1].value
    plot.line([(best, 0), (best, len(rows))], "line ref")
    for line, (name, score, behind, seconds) in enumerate(rows):
        centre = line + 0.5
        words = f"{name}: {_interval(score)}, {seconds:.2f} s a fit"
        css = "s1" if behind is not None and not behind.low <= 0 <= behind.high else "s0"
        plot.text(LEFT - 14, plot.y(centre) + 4, short(name, 36), "label end", name)
        plot.line([(score.low, centre), (score.high, centre)], f"whisker {css}", words)
        plot.dot(score.value, centre, f"dot {css}", words, 4.5)
    return plot


def importances(found: Sequence[Importance], metric: str) -> Plot:
    """Draw what the metric loses without each feature, the most important ones first."""
    shown = found[:BARS]
    low = min(0.0, *(one.drop - one.deviation for one in shown))
    high = max(0.0, *(one.drop + one.deviation for one in shown)) or 1.0
    across = Axis(
        low * 1.05, high * 1.05, f"How much worse {metric} gets when the feature is shuffled"
    )
    height = 12 + ROW * len(shown) + 44
    plot = Plot("Feature importance", across, Axis(len(shown), 0), WIDE, height, left=LEFT)
    plot.axes(rows=False)
    for line, one in enumerate(shown):
        words = f"{one.feature}: {number(one.drop)} ± {number(one.deviation)}"
        plot.text(
            LEFT - 14, plot.y(line + 0.5) + 4, short(one.feature, 36), "label end", one.feature
        )
        plot.rect((0, one.drop), (line + 0.18, line + 0.82), "bar", words)
        ends = [(one.drop - one.deviation, line + 0.5), (one.drop + one.deviation, line + 0.5)]
        plot.line(ends, "whisker ink", words)
    return plot


def weights(found: Sequence[Weight], unit: str) -> Plot:
    """Draw how much each term adds on average, the heaviest first."""
    shown = found[:BARS]
    across = Axis(0.0, max((one.size for one in shown), default=0.0) * 1.05 or 1.0, unit)
    height = 12 + ROW * len(shown) + 44
    plot = Plot("Terms", across, Axis(len(shown), 0), WIDE, height, left=LEFT).axes(rows=False)
    for line, one in enumerate(shown):
        plot.text(LEFT - 14, plot.y(line + 0.5) + 4, short(one.term, 36), "label end", one.term)
        words = f"{one.term}: {number(one.size)}"
        plot.rect((0, one.size), (line + 0.18, line + 0.82), "bar", words)
    return plot


def strip(estimate: Estimate) -> Plot:
    """Draw a value and its interval on the scale from 0 to 1."""
    plot = Plot("interval", Axis(0, 1), Axis(0, 1), 160, 16, left=14, top=0, bottom=0)
    plot.rect((0, 1), (0.3, 0.7), "track")
    plot.rect((0, estimate.value), (0.3, 0.7), "bar soft")
    if np.isfinite(estimate.low):
        plot.line([(estimate.low, 0.5), (estimate.high, 0.5)], "whisker s0")
    plot.line([(estimate.value, 0.1), (estimate.value, 0.9)], "line s0")
    return plot


def _slice(plot: Plot, line: int, part: Slice, estimate: Estimate, overall: Estimate) -> None:
    centre = line + 0.5
    at = plot.y(centre) + 4
    words = f"{part.name}: {_interval(estimate)} on {len(part.rows):,} rows"
    plot.text(20, at, short(part.label, 28), "label", part.label)
    plot.text(LEFT - 14, at, f"{len(part.rows):,}", "tick end", words)
    if not np.isfinite(estimate.value):
        plot.text(plot.x(overall.value) + 8, at, "undefined: one class only", "tick", words)
        return
    apart = not (estimate.low <= overall.value <= estimate.high) and np.isfinite(estimate.low)
    css = "s1" if apart else "s0"
    if np.isfinite(estimate.low):
        plot.line([(estimate.low, centre), (estimate.high, centre)], f"whisker {css}", words)
    plot.dot(estimate.value, centre, f"dot {css}", words, 4.5)


def _interval(estimate: Estimate) -> str:
    return f"{number(estimate.value)} ({between(estimate.low, estimate.high)})"
