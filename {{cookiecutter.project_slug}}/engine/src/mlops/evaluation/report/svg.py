"""A plot as inline SVG: axes with round ticks, and marks that carry their figures as tooltips.

Colours come from the classes of style.css, so that one picture serves light, dark and paper.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 44


class Axis(NamedTuple):
    """The range of one axis and what it says; `fixed` ticks replace the computed ones."""

    low: float
    high: float
    title: str = ""
    fixed: tuple[float, ...] | None = None

    @property
    def ticks(self) -> list[float]:
        """Round values inside the range, at steps of 1, 2 or 5."""
        if self.fixed is not None:
            return list(self.fixed)
        step = nice_step(self.high - self.low)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(k * step, 12) for k in range(first, last + 1)]


def nice_step(span: float, about: int = 5) -> float:
    """Return the step of 1, 2 or 5 times a power of ten that gives about so many ticks."""
    rough = (span or 1.0) / about
    power = 10.0 ** math.floor(math.log10(rough))
    return next(f * power for f in (1, 2, 5, 10) if f * power >= rough * 0.999)


def tick_label(value: float) -> str:
    """Return a short label: 0.25, 1,500, 2.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:,.10g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.0e}"


def between(low: float, high: float) -> str:
    """Return an interval in words."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "no interval: too few rows"
    return f"{number(low)} to {number(high)}"


def number(value: float) -> str:
    """Return a figure with the digits that a reader can use."""
    if not math.isfinite(value):
        return "undefined"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.2f}"
    return f"{value:.3f}" if size >= 1e-3 or size == 0 else f"{value:.1e}"


def padded(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of some values with a little air around it."""
    low, high = min(values), max(values)
    air = (high - low) * 0.04 or abs(low) * 0.05 or 1.0
    return low - air, high + air


def short(words: str, most: int = 18) -> str:
    """Return words that fit; the tooltip holds the rest."""
    return words if len(words) <= most else words[: max(most - 1, 1)] + "…"


class Plot:
    """A picture of one pair of axes; marks are drawn in the order in which they are added."""

    def __init__(
        self,
        title: str,
        x: Axis,
        y: Axis,
        width: int = 460,
        height: int = 320,
        left: int = LEFT,
        top: int = TOP,
        bottom: int = BOTTOM,
    ) -> None:
        self.title, self.x_axis, self.y_axis = title, x, y
        self.width, self.height = width, height
        self.left, self.top, self.bottom = left, top, bottom
        self.marks: list[str] = []

    def x(self, value: float) -> float:
        """Return the horizontal position of a value."""
        share = (value - self.x_axis.low) / ((self.x_axis.high - self.x_axis.low) or 1)
        return round(self.left + share * (self.width - self.left - RIGHT), 1)

    def y(self, value: float) -> float:
        """Return the vertical position of a value."""
        share = (value - self.y_axis.low) / ((self.y_axis.high - self.y_axis.low) or 1)
        return round(self.height - self.bottom - share * (self.height - self.top - self.bottom), 1)

    def axes(self, rows: bool = True) -> "Plot":
        """Draw grid, tick labels and titles; without `rows` only those of the x axis."""
        base = self.height - self.bottom
        for value in self.x_axis.ticks:
            at = self.x(value)
            self.marks.append(f'<path class="grid" d="M{at} {self.top}V{base}"/>')
            self.text(at, base + 16, tick_label(value), "tick middle")
        for value in self.y_axis.ticks if rows else ():
            at = self.y(value)
            self.marks.append(f'<path class="grid" d="M{self.left} {at}H{self.width - RIGHT}"/>')
            self.text(self.left - 7, at + 3.5, tick_label(value), "tick end")
        middle = (self.left + self.width - RIGHT) / 2
        self.text(middle, self.height - 8, self.x_axis.title, "title middle")
        if self.y_axis.title:
            at = (self.top + base) / 2
            self.marks.append(
                f'<text class="title middle" transform="translate(13 {at}) rotate(-90)">'
                f"{escape(self.y_axis.title)}</text>"
            )
        return self

    def text(self, x: float, y: float, words: str, css: str, tip: str = "") -> "Plot":
        """Write at a position in pixels."""
        self.marks.append(
            f'<text class="{css}" x="{x:.1f}" y="{y:.1f}">{_tip(tip)}{escape(words)}</text>'
        )
        return self

    def line(
        self, points: Iterable[tuple[float, float]], css: str, tip: str = "", closed: bool = False
    ) -> "Plot":
        """Draw a line through points; `closed` makes it an area."""
        path = "L".join(f"{self.x(x):g} {self.y(y):g}" for x, y in points)
        self.marks.append(
            f'<path class="{css}" d="M{path}{"Z" if closed else ""}">{_tip(tip)}</path>'
        )
        return self

    def rect(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        css: str,
        tip: str = "",
        opacity: float | None = None,
        gap: float = 0,
    ) -> "Plot":
        """Draw a rectangle between two values of each axis, `gap` pixels apart from the next."""
        left, right = sorted((self.x(x[0]), self.x(x[1])))
        top, base = sorted((self.y(y[0]), self.y(y[1])))
        shade = "" if opacity is None else f' fill-opacity="{opacity:.2f}"'
        self.marks.append(
            f'<rect class="{css}" x="{left + gap / 2:g}" y="{top:g}" '
            f'width="{max(right - left - gap, 0.5):.1f}" height="{base - top:.1f}"{shade}>'
            f"{_tip(tip)}</rect>"
        )
        return self

    def dot(self, x: float, y: float, css: str, tip: str = "", radius: float = 4) -> "Plot":
        """Draw a dot."""
        at = f'cx="{self.x(x):g}" cy="{self.y(y):g}" r="{radius:g}"'
        self.marks.append(f'<circle class="{css}" {at}>{_tip(tip)}</circle>')
        return self

    def __html__(self) -> str:
        """Return itself as what templates take for markup: every text in it is escaped."""
        return str(self)

    def __str__(self) -> str:
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(self.title)}">{"".join(self.marks)}</svg>'
        )


def _tip(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""
