"""The monitor's pictures: a feature, a prediction or a metric by day, beside its reference."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from ..evaluation.report.svg import Axis, Plot, number, padded
from .phrases import has_shares

Content = Mapping[str, Any]
Point = tuple[float, float]

TICKS = 5
COLOURS = 7
LABELS = 5  # of a category: with the rest as one and what no label is, a colour each
OTHER, UNDECLARED = "other labels", "no declared label"
FULL = 0.9995  # shares that add up to less leave rows without a declared label


class Days:
    """The days of a picture, as positions from left to right."""

    def __init__(self, first: str, last: str) -> None:
        self.first = date.fromisoformat(first)
        self.number = (date.fromisoformat(last) - self.first).days + 1

    def at(self, day: str) -> int:
        """Return the position of a day."""
        return (date.fromisoformat(day) - self.first).days

    def plot(self, title: str, y: Axis, width: int, height: int, room: float = 0) -> Plot:
        """Return a plot with both axes drawn, and room for so many days left of the first."""
        across = Axis(-0.5 - room, self.number - 0.5, "", fixed=())
        plot = Plot(title, across, y, width, height, bottom=26).axes()
        base = plot.height - plot.bottom
        step = max(1, -(-self.number // TICKS))
        for position in range(self.number - 1, -1, -step):
            at = plot.x(position)
            day = self.first + timedelta(days=position)
            css = "tick end" if self.number > 1 and position == self.number - 1 else "tick middle"
            plot.text(at, base + 16, f"{day.day} {day:%b}", css)
        return plot

    def shade(self, plot: Plot, days: int, tip: str) -> None:
        """Mark the last days, in which something was found."""
        ends = (max(self.number - days, 0) - 0.5, self.number - 0.5)
        plot.rect(ends, (plot.y_axis.low, plot.y_axis.high), "window", tip)


def numbers(about: Content, days: Days, window: int, width: int, height: int) -> Plot:
    """Draw median and 10 to 90 % band of each day, beside the reference's."""
    reference = about["reference"]
    told = [day for day in about["days"] if day.get("median") is not None]
    limits = [
        value
        for source in (reference, *told)
        for value in (source.get("low"), source.get("high"))
        if value is not None
    ]
    plot = days.plot(about["name"], Axis(*padded(limits or [0.0, 1.0])), width, height)
    ends = (-0.5, days.number - 0.5)
    if reference.get("low") is not None:
        words = f"reference: {_quantiles(reference)}"
        plot.rect(ends, (reference["low"], reference["high"]), "band", words)
        for edge in (reference["low"], reference["high"]):
            plot.line([(end, edge) for end in ends], "line edge")
        plot.line([(end, reference["median"]) for end in ends], "line ref", words)
    if window:
        days.shade(plot, window, "")
    for run in _runs(told, days):
        upper = [(days.at(day["date"]), day["high"]) for day in run]
        lower = [(days.at(day["date"]), day["low"]) for day in run]
        middle = [(days.at(day["date"]), day["median"]) for day in run]
        plot.line(_wide(upper) + _wide(lower)[::-1], "area s0 strong", closed=True)
        plot.line(_wide(middle), "line s0")
    _hover(plot, days, told, _quantiles)
    return plot


class Stack(NamedTuple):
    """The parts of a category from bottom to top: what each is called, which labels it holds."""

    names: list[str]
    members: list[list[int]]
    rest: bool  # a last part of rows that have no declared label

    def shares(self, given: Sequence[float]) -> list[float]:
        """Return the share of each part."""
        parts = [sum(given[at] for at in members) for members in self.members]
        return [*parts, max(0.0, 1 - sum(given))] if self.rest else parts


def stack(about: Content) -> Stack:
    """Return how the labels of a category are put together: the largest ones stand alone."""
    labels = about["labels"]
    known = [one["shares"] for one in (about["reference"], *about["days"]) if has_shares(one)]
    most = [max((given[at] for given in known), default=0.0) for at in range(len(labels))]
    order = sorted(range(len(labels)), key=lambda at: -most[at])
    alone = sorted(order if len(labels) <= LABELS + 1 else order[:LABELS])
    others = [at for at in range(len(labels)) if at not in alone]
    names = [str(labels[at]) for at in alone]
    names += [f"{len(others)} {OTHER}"] if others else []
    rest = any(sum(given) < FULL for given in known)
    members = [[at] for at in alone] + ([others] if others else [])
    return Stack([*names, UNDECLARED] if rest else names, members, rest)


def categories(about: Content, days: Days, window: int, width: int, height: int) -> Plot:
    """Draw the share of each label by day, stacked, and the reference's in a column on the left."""
    parts = stack(about)
    told = [day for day in about["days"] if has_shares(day)]
    column = max(days.number * 0.07, 0.5)
    gap = column * 0.5
    plot = days.plot(about["name"], Axis(0, 1), width, height, column + gap)
    if has_shares(about["reference"]):
        below, left = 0.0, -0.5 - column - gap
        for at, share in enumerate(parts.shares(about["reference"]["shares"])):
            tip = f"reference, {parts.names[at]}: {share:.1%}"
            plot.rect((left, left + column), (below, below + share), f"fill s{at % COLOURS}", tip)
            below += share
        middle = plot.x(left + column / 2)
        plot.text(middle, plot.height - plot.bottom + 16, "ref.", "tick middle")
    for run in _runs(told, days):
        heights = [parts.shares(day["shares"]) for day in run]
        positions = [days.at(day["date"]) for day in run]
        for at in range(len(parts.names)):
            upper = [(x, sum(h[: at + 1])) for x, h in zip(positions, heights, strict=True)]
            lower = [(x, sum(h[:at])) for x, h in zip(positions, heights, strict=True)]
            line = _wide(upper) + _wide(lower)[::-1]
            plot.line(line, f"fill s{at % COLOURS}", closed=True)
    if window:
        days.shade(plot, window, "")

    def words(day: Content) -> str:
        named = zip(parts.names, parts.shares(day["shares"]), strict=True)
        return ", ".join(f"{name} {share:.1%}" for name, share in named)

    _hover(plot, days, told, words)
    return plot


def missing(about: Content, days: Days, width: int, height: int = 84) -> Plot | None:
    """Draw the share of rows without a value, beside the reference's; None where none lacks it."""
    reference = about["reference"].get("missing") or 0.0
    told = [day for day in about["days"] if day.get("missing") is not None]
    most = max([reference, *(day["missing"] for day in told)])
    if not most:
        return None
    top = min(1.0, most * 1.15)
    plot = days.plot(
        f"{about['name']}: missing", Axis(0, top, fixed=(0.0, _round(top))), width, height
    )
    ends = (-0.5, days.number - 0.5)
    plot.line([(end, reference) for end in ends], "line ref", f"reference: {reference:.2%} missing")
    for run in _runs(told, days):
        plot.line(_wide([(days.at(d["date"]), d["missing"]) for d in run]), "line thin s1")
    _hover(plot, days, told, lambda day: f"{day['missing']:.2%} missing")
    return plot


def performance(entry: Content, days: Days, bound: float | None, width: int, height: int) -> Plot:
    """Draw a metric of all rows up to each day with its interval, its reference and the bound."""
    told = [point for point in entry["sequence"] if point.get("value") is not None]
    limits = [point[key] for point in told for key in ("value", "low", "high")]
    lines = [("line ref", entry.get("reference"), "reference"), ("line bound", bound, "margin")]
    known = [v for v in [*limits, *(value for _, value, _ in lines)] if v is not None]
    plot = days.plot(entry["metric"], Axis(*padded(known or [0.0, 1.0])), width, height)
    for run in _runs(told, days, gaps=True):
        sure = [point for point in run if None not in (point.get("low"), point.get("high"))]
        upper = [(days.at(point["date"]), point["high"]) for point in sure]
        lower = [(days.at(point["date"]), point["low"]) for point in sure]
        if sure:
            plot.line(_wide(upper) + _wide(lower)[::-1], "area s0 strong", closed=True)
    for css, value, name in lines:
        if value is not None:
            ends = [(-0.5, value), (days.number - 0.5, value)]
            plot.line(ends, css, f"{name}: {number(value)}")
    for run in _runs(told, days, gaps=True):
        plot.line(_wide([(days.at(point["date"]), point["value"]) for point in run]), "line s0")
    _hover(plot, days, told, _estimate)
    return plot


def spark(about: Content, days: Days) -> Plot | None:
    """Draw one line: the median, or the share of the label that moved the most."""
    told = [(days.at(day["date"]), value) for day, value in _one(about) if value is not None]
    if not told:
        return None
    low, high = padded([value for _, value in told])
    across = Axis(-0.5, max(days.number - 0.5, 0.5))
    plot = Plot(about["name"], across, Axis(low, high), 150, 24, left=2, top=2, bottom=2)
    return plot.line(_wide(told), "line thin s0")


def _one(about: Content) -> Iterator[tuple[Content, float | None]]:
    if about["kind"] != "category":
        yield from ((day, day.get("median")) for day in about["days"])
        return
    told = [day for day in about["days"] if has_shares(day)]
    spans = [max(column) - min(column) for column in zip(*(d["shares"] for d in told), strict=True)]
    at = spans.index(max(spans)) if spans else 0
    yield from ((day, day["shares"][at]) for day in told)


def _runs(told: Sequence[Content], days: Days, gaps: bool = False) -> Iterator[list[Content]]:
    """Yield what follows day on day: no line is drawn over days of which nothing is known."""
    run: list[Content] = []
    for one in told:
        if run and not gaps and days.at(one["date"]) - days.at(run[-1]["date"]) != 1:
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _wide(points: Sequence[Point]) -> list[Point]:
    """Return points of which a single one is half a day wide to both sides, so as to be seen."""
    if len(points) != 1:
        return list(points)
    [(x, y)] = points
    return [(x - 0.5, y), (x + 0.5, y)]


def _hover(
    plot: Plot, days: Days, told: Sequence[Content], words: Callable[[Content], str]
) -> None:
    """Have each day say its figures."""
    ends = (plot.y_axis.low, plot.y_axis.high)
    for day in told:
        at = days.at(day["date"])
        tip = f"{day['date']}, {day['rows']:,} rows: {words(day)}"
        plot.rect((at - 0.5, at + 0.5), ends, "hover", tip)


def _quantiles(one: Content) -> str:
    low, middle, high = (number(one[key]) for key in ("low", "median", "high"))
    return f"median {middle}, 10 to 90 % {low} to {high}"


def _estimate(point: Content) -> str:
    if None in (point.get("low"), point.get("high")):
        return f"{number(point['value'])}, no interval"
    return f"{number(point['value'])} ({number(point['low'])} to {number(point['high'])})"


def _round(top: float) -> float:
    """Return a tick near the top with one digit."""
    return float(f"{top:.0e}") if float(f"{top:.0e}") <= top else float(f"{top * 0.8:.0e}")
