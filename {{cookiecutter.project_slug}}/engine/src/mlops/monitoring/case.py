"""What rules judge: windows of traffic beside the reference of the bundle that answered it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from statistics import median
from typing import NamedTuple

import msgspec
import numpy as np

from ..bundle.cells import Cells, Layout
from ..bundle.counting import Counts, repetition
from ..bundle.losses import Outcomes
from ..bundle.reading import Loaded
from ..bundle.reference import Period, Reference
from ..config.settings import Monitoring
from .statistics import Between, auc, between

WINDOWS = {"day": 1, "week": 7, "four weeks": 28}
BEFORE = 28  # days before a window that tell how often rows come again
YEAR = 364  # days: whole weeks
AROUND = 16  # days before and after that are the same season


class Day(msgspec.Struct):
    """What is kept of one day's rows of one bundle.

    `files` are those that were counted, with their sizes. `outcomes` are counted once they are
    mature, `settled` says by which settings. Where nothing was heard until then, those of the first
    day of reports are, and `heard` is the last that was looked at. `roles` has the rows of each.
    """

    date: str
    model: str
    counts: Counts
    files: dict[str, int] = {}
    roles: dict[str, int] = {}
    outcomes: Outcomes | None = None
    known: int = 0
    settled: str = ""
    heard: str = ""
    format: int = 1


class Window(NamedTuple):
    """The rows of the last days, and what they are compared with.

    `weight` is what a row counts for where rows of the same unit come again, as they do usually.
    """

    name: str
    start: str
    end: str
    counts: Counts
    reference: np.ndarray  # cells of all features
    answered: np.ndarray  # cells of all outputs
    season: str  # which part of the reference that is, empty for all of it
    periods: int
    weight: float


class LookUps(NamedTuple):
    """The features that were looked up on a day, each with how many values, and how many differ.

    `example` says of the first that differs which request that was; `unread` counts the rows of
    which nobody here can tell whose they are; `reason` says why nothing could be computed again,
    and is empty where something could.
    """

    features: dict[str, tuple[int, int, str]]
    reason: str = ""
    unread: int = 0


class Case(msgspec.Struct, frozen=True, dict=True):
    """One bundle and its days up to `at`, the last that is judged.

    `days` are in order; a day without rows is not among them. `traffic` has the rows of all
    bundles by day, `unrecorded` the features that personal data keeps out of the log, `calendar`
    those that tell the date alone, which are another ones every day. `looked_up` compares what the
    server looked up on the day with what is computed again.
    """

    at: date
    bundle: Loaded
    layout: Layout
    reference: Reference
    settings: Monitoring
    days: Mapping[str, Day]
    traffic: Mapping[str, int]
    unrecorded: frozenset[str] = frozenset()
    calendar: frozenset[str] = frozenset()
    looked_up: LookUps | None = None

    @cached_property
    def windows(self) -> dict[str, Window]:
        """The windows that end with the day, each by its name."""
        return {name: self._window(name, length) for name, length in WINDOWS.items()}

    @cached_property
    def mature(self) -> dict[str, Outcomes]:
        """The outcomes of each day that is as old as they take."""
        last = (self.at - timedelta(days=self.settings.maturity_days)).isoformat()
        return {
            day: about.outcomes
            for day, about in self.days.items()
            if about.outcomes is not None and day <= last
        }

    def features(self, flat: np.ndarray | Sequence[int]) -> Iterator[tuple[Cells, np.ndarray]]:
        """Yield each feature that is recorded, with its part of a flat array."""
        for cells, part in self.layout.split(flat):
            if cells.name not in self.unrecorded:
                yield cells, part

    def pairs(
        self, window: Window, calendar: bool = False
    ) -> Iterator[tuple[Cells, np.ndarray, np.ndarray]]:
        """Yield each feature with its cells in the reference and in the window.

        Those that tell the date are among them only where `calendar` says so.
        """
        now = np.asarray(window.counts.features)
        for (cells, before), (_, after) in zip(
            self.features(window.reference), self.features(now), strict=True
        ):
            if calendar or cells.name not in self.calendar:
                yield cells, before, after

    def is_full(self, window: Window) -> bool:
        """Say whether the bundle has answered for as long as a window lasts.

        The first days of a week are no week: on Saturdays, other people come.
        """
        return bool(self.days) and min(self.days) <= window.start

    @cached_property
    def importance(self) -> dict[str, float]:
        """How much of the predictions' variance each feature explains by itself (Sobol, 1993)."""
        return {name: share for name, (share, _) in dependence(self.layout, self.reference.held)}

    @cached_property
    def seen(self) -> dict[str, np.ndarray]:
        """The cells of each feature in all that the model was made of and measured on."""
        whole = self.layout.split(self.reference.seen.features)
        return {cells.name: part for cells, part in whole}

    @cached_property
    def moved(self) -> dict[str, Between]:
        """What the place of each number's values varied by from period to period."""
        found = {}
        for cells, every in self.layout.split(self.reference.seen.features):
            if cells.labels:
                continue
            found[cells.name] = _moved(every[:-1], self._periods(cells.name)[:, :-1])
        return found

    @cached_property
    def answered(self) -> list[Between]:
        """What the place of each output's values varied by from period to period."""
        flat = [period.outputs for period in self.reference.periods if period.outputs]
        size = sum(cells.size for cells in self.layout.outputs)
        stacked = np.array(flat, dtype=float).reshape(len(flat), size)
        each = self.layout.split_outputs(stacked)
        every = self.layout.split_outputs(self.reference.held.outputs)
        return [
            _moved(whole[:-1], parts[:, :-1])
            for (_, whole), (_, parts) in zip(every, each, strict=True)
        ]

    @cached_property
    def shared(self) -> dict[str, Between]:
        """What the share of each cell of each feature varied by from period to period."""
        found = {}
        for cells, _ in self.layout.split(self.reference.seen.features):
            parts = self._periods(cells.name)
            parts = parts[parts.sum(axis=1) > 1]
            rows = parts.sum(axis=1, keepdims=True)
            shares = parts / rows
            found[cells.name] = between(shares, np.sqrt(shares * (1 - shares) / rows))
        return found

    def weight_before(self, window: Window) -> float:
        """Return what a row of the reference counts for, where it says nothing of how rows vary.

        Whoever comes again in the traffic came again before, though no key may tell so there.
        """
        return min(window.weight, _weight(self.reference.seen, self.reference.equal))

    def usual(self, name: str) -> np.ndarray:
        """Return the cells of all features in the reference, as a slice has them by its seasons.

        Each period counts by its share of the slice's rows: where a label is common in winter, its
        rows are winter's, whatever else they are. The size is that of as many independent rows.
        Without periods of the slice's column it is all of the reference.
        """
        column, _, label = name.partition("=")
        cells = next((one for one in self.layout.features if one.name == column), None)
        whole = np.asarray(self.reference.seen.features, dtype=float)
        if cells is None or label not in cells.labels or not self._stacked.size:
            return whole
        rows = self._periods(column)[:, cells.labels.index(label)]
        of = np.array([period.rows for period in self.reference.periods], dtype=float)
        if rows.sum() < 1:
            return whole
        each = rows / of
        mixed = each @ self._stacked
        size = float((each @ of) ** 2 / (each**2 @ of))
        return mixed * size / rows.sum()

    def _periods(self, name: str) -> np.ndarray:
        """Return the cells of one feature in every period (periods, cells)."""
        return self._by_period[name]

    @cached_property
    def _stacked(self) -> np.ndarray:
        """The cells of all features in every period (periods, cells)."""
        flat = [period.features for period in self.reference.periods]
        return np.array(flat, dtype=float).reshape(len(flat), int(self.layout.starts[-1]))

    @cached_property
    def _by_period(self) -> dict[str, np.ndarray]:
        return {cells.name: part for cells, part in self.layout.split(self._stacked)}

    def _window(self, name: str, length: int) -> Window:
        start = self.at - timedelta(days=length - 1)
        within = [about.counts for day, about in self.days.items() if start.isoformat() <= day]
        counts = sum(within, Counts.none(self.layout))
        chosen = self._season(start, length)
        periods = len(chosen) or len(self.reference.periods)
        season = f"{chosen[0].start} to {chosen[-1].end}" if chosen else ""
        weight = max(_weight(counts, self.reference.equal), self._usual_weight(start, length))
        ends = start.isoformat(), self.at.isoformat()
        return Window(
            name,
            *ends,
            counts,
            np.asarray(_summed(chosen, "features") or self.reference.seen.features),
            np.asarray(_summed(chosen, "outputs") or self.reference.held.outputs),
            season,
            periods,
            weight,
        )

    def _usual_weight(self, start: date, length: int) -> float:
        """Return what a row counted for in windows as long before, on the median; 0 where none is.

        Where data break, rows get alike that were not: that they come again must not hide it.
        """
        weights = []
        for back in range(BEFORE // length):
            end = start - timedelta(days=back * length)
            first = (end - timedelta(days=length)).isoformat()
            within = [d.counts for day, d in self.days.items() if first <= day < end.isoformat()]
            rows = sum(each.rows for each in within)
            if rows >= self.settings.min_rows:
                repeats = np.sum([each.repeats for each in within], axis=0).tolist()
                again = Counts(rows, [], [], repeats=repeats)
                weights.append(_weight(again, self.reference.equal))
        return median(weights) if weights else 0.0

    def _season(self, start: date, length: int) -> list[Period]:
        """Return the periods of the same season in any year, where they have enough rows.

        Those just before the window are among them. Without any, a window is compared with all
        that the model was made of and measured on.
        """
        middle = start + timedelta(days=(length - 1) // 2)
        chosen = [
            period
            for period in self.reference.periods
            if _apart(_middle(period.start, period.end), middle) <= AROUND
        ]
        rows = sum(period.rows for period in chosen)
        return chosen if rows >= self.settings.season_rows else []


def _apart(one: date, other: date) -> int:
    """Return the days between two days of the year."""
    days = abs((one - other).days) % YEAR
    return min(days, YEAR - days)


def _summed(periods: Sequence[Period], part: str) -> list[int]:
    """Return the sum of a part of some periods, nothing where none has rows of it."""
    if not periods:
        return []
    total = np.sum([getattr(period, part) for period in periods], axis=0)
    return total.tolist() if total.sum() else []


def dependence(
    layout: Layout, counts: Counts, weight: float = 1.0
) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield of each feature the share of the answers' variance between its cells, and its error.

    The first-order index of Sobol, Mathematical Modelling and Computational Experiments 1, 1993,
    adjusted for the number of cells as epsilon squared (Kelley, PNAS 21, 1935). The error has the
    variance of that where a feature explains nothing, which many cells bring by themselves. A row
    counts `weight` of one where rows come again.
    """
    rows = counts.rows
    mean = counts.moments[0] / rows if rows else 0.0
    spread = counts.moments[1] - rows * mean**2
    sums = layout.split(counts.answered)
    for (cells, counted), (_, answered) in zip(layout.split(counts.features), sums, strict=True):
        used = counted > 0
        degrees = float(used.sum()) - 1
        free = rows * weight - degrees - 1
        if free <= 0 or spread <= 1e-12 * max(1.0, counts.moments[1]):
            yield cells.name, (0.0, float("inf"))
            continue
        explained = float((answered[used] ** 2 / counted[used]).sum() - rows * mean**2) / spread
        adjusted = max(0.0, explained - degrees / free * (1 - explained))
        own = 4 * adjusted * (1 - adjusted) ** 2 / (rows * weight)
        by_chance = 2 * degrees / (free * (rows * weight + 1)) * (1 - adjusted) ** 2
        yield cells.name, (adjusted, float(np.sqrt(own + by_chance)))


def _weight(counts: Counts, equal: float) -> float:
    """Return what each row counts for: less than 1 where units come again more than by chance.

    The design effect of clusters, sum of squares over rows: Kish, Survey Sampling, 1965.
    """
    rows = float(counts.rows)
    if rows < 2:
        return 1.0
    again = repetition(counts) - rows * (rows - 1) * equal
    spread = 3 * np.sqrt(2 / len(counts.repeats)) * rows  # of the sketch where no unit comes again
    return 1.0 if again <= rows + spread else rows / again


def _moved(every: np.ndarray, parts: np.ndarray) -> Between:
    """Return what the place of ordered values varied by from period to period (periods, cells)."""
    parts = parts[parts.sum(axis=1) > 1]
    effects = np.array([auc(every, part) for part in parts])
    return between(effects, np.array([place_error(every, part) for part in parts]))


def place_error(every: np.ndarray, part: np.ndarray) -> float:
    pooled = (every + part) / (every.sum() + part.sum())
    return float(np.sqrt((1 - (pooled**3).sum()) / 12 / part.sum()))


def _middle(start: str, end: str) -> date:
    first, last = date.fromisoformat(start), date.fromisoformat(end)
    return first + (last - first) / 2
