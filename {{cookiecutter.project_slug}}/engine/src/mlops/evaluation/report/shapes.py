"""The pictures of terms: a line of steps for a number, a row for each label of a category."""

from collections.abc import Sequence

import numpy as np

from ...metrics.arrays import Array
from .figures import SERIES
from .svg import Axis, Plot, number, padded, short
from .terms import Curve, Levels

ROW = 24
LEFT = 150
HOVER = 40


def shape(found: Curve | Levels, labels: Sequence[str], unit: str) -> Plot:
    """Draw what a feature adds; `labels` has the name of each class, one of no classes."""
    if isinstance(found, Curve):
        return _curve(found, labels, unit)
    return _levels(found, labels, unit)


def _curve(found: Curve, labels: Sequence[str], unit: str) -> Plot:
    ends = [found.scores.ravel(), [] if found.missing is None else found.missing, [0.0]]
    low, high = padded([float(value) for part in ends for value in part])
    floor = low - 0.25 * (high - low)
    across = Axis(float(found.edges[0]), float(found.edges[-1]), found.feature)
    up = Axis(floor, high, unit, tuple(Axis(low, high).ticks))
    plot = Plot(f"Shape of {found.feature}", across, up).axes()
    _rows(plot, found, floor, 0.19 * (high - low))
    plot.line([(across.low, 0), (across.high, 0)], "guide")
    told = set(np.linspace(0, len(found.scores) - 1, HOVER).round().astype(int).tolist())
    for k, (label, scores) in enumerate(zip(labels, found.scores.T, strict=True)):
        css = f"s{k % SERIES}"
        pairs = list(zip(found.edges[:-1], found.edges[1:], scores, strict=True))
        points = [point for left, right, y in pairs for point in ((left, y), (right, y))]
        plot.line(points, f"line {css}", label)
        for at in sorted(told):
            left, right, y = pairs[at]
            words = f"{label}{number(left)} to {number(right)}: {_signed(y)}"
            plot.dot((left + right) / 2, y, "hover", words, 7)
        if found.missing is not None:
            y = float(found.missing[k])
            plot.dot(across.low, y, f"dot {css}", f"{label}missing: {_signed(y)}")
    return plot


def _rows(plot: Plot, found: Curve, floor: float, height: float) -> None:
    """Draw how many rows lie where, below the line."""
    borders = np.linspace(found.edges[0], found.edges[-1], len(found.counts) + 1)
    tallest = max(int(found.counts.max()), 1)
    for left, right, rows in zip(borders[:-1], borders[1:], found.counts, strict=True):
        words = f"{number(left)} to {number(right)}: {rows:,} rows"
        top = floor + height * float(rows) / tallest
        plot.rect((left, right), (floor, top), "bar soft", words, gap=1)


def _levels(found: Levels, labels: Sequence[str], unit: str) -> Plot:
    low, high = padded([0.0, *found.scores.ravel().tolist()])
    height = 12 + ROW * len(found.labels) + 44
    down = Axis(len(found.labels), 0)
    plot = Plot(f"Shape of {found.feature}", Axis(low, high, unit), down, 460, height, LEFT)
    plot.axes(rows=False)
    plot.line([(0, 0), (0, len(found.labels))], "guide")
    for line, (name, scores, rows) in enumerate(
        zip(found.labels, found.scores, found.counts, strict=True)
    ):
        plot.text(LEFT - 14, plot.y(line + 0.5) + 4, short(name, 20), "label end", name)
        _level(plot, line, scores, f"{name}, {rows:,} rows", labels)
    return plot


def _level(plot: Plot, line: int, scores: Array, name: str, labels: Sequence[str]) -> None:
    """Draw a bar, or a dot for each class."""
    if len(scores) == 1:
        score = float(scores[0])
        plot.rect((0, score), (line + 0.18, line + 0.82), "bar", f"{name}: {_signed(score)}")
        return
    for k, (label, score) in enumerate(zip(labels, scores, strict=True)):
        words = f"{label}{name}: {_signed(score)}"
        plot.dot(float(score), line + 0.5, f"dot s{k % SERIES}", words, 4.5)


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else ''}{number(value)}"
