"""Whether values, answers and what answers rest on are distributed as they were."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from ...bundle.cells import Cells
from ..case import Case, Window, dependence
from ..rule import Finding, Rule, unjudged
from ..statistics import NOTHING, Between, Test, beyond, share, shift
from .quality import percent, too_few, weight

WEEKLY = ("week", "four weeks")
NAMED = 5  # slices that are too small


class FeatureDrift(Rule, frozen=True, kw_only=True):
    """No feature moved further than matters: a number by `least`, a label's share by `label`.

    A number's least effect is a change of AUC: 0.02 is 0.07 standard deviations of a normal.
    `allow` names features that are not looked at.
    """

    source: ClassVar[str] = (
        "Mann and Whitney, Annals of Mathematical Statistics 18, 1947; corrected after Holm, 1979"
    )
    least: float
    label: float
    allow: tuple[str, ...] = ()

    def judge(self, case: Case) -> Sequence[Finding]:
        """Return a finding for each feature, of one week and of four."""
        found = [
            too_few(case, window, cells, after, before, -2 if cells.labels else -1)
            or self._found(case, window, cells, before, after)
            for window in _enough(case)
            for cells, before, after in case.pairs(window)
            if cells.name not in self.allow
        ]
        return found or [_no_window(case)]

    def _found(
        self, case: Case, window: Window, cells: Cells, before: np.ndarray, after: np.ndarray
    ) -> Finding:
        if not cells.labels:
            varied = _spread(case.moved[cells.name], window.periods)
            test = shift(before[:-1], after[:-1], self.least, window.weight, varied)
            (was,), (now,) = (cells.quantiles(part[:-1], [0.5]) for part in (before, after))
            side = "higher" if test.effect > 0 else "lower"
            told = f"values are {side}, with a median of {now:.4g} that was {was:.4g}"
            return _told(case, window, cells, test, told, self.least)
        varied = _spread(case.shared[cells.name], window.periods)
        labels = Between(varied.variance[:-2], varied.periods)
        test, at = surest(shares((before, after), self.label, window.weight, labels))
        was, now = before[:-2].sum(), after[:-2].sum()
        told = f"{cells.labels[at]} is {percent(after[at], now)} and was {percent(before[at], was)}"
        return _told(case, window, cells, test, told, self.label)


class SliceDrift(Rule, frozen=True, kw_only=True):
    """In no slice did a feature move by `least` (`label`: a label's share) more than in all rows.

    What moves everywhere, as with a season, is feature_drift's.
    """

    family: ClassVar[str] = "slices"
    least: float
    label: float

    def judge(self, case: Case) -> Sequence[Finding]:
        """Return a finding for each feature of each slice that has enough rows.

        Slices have their many features in common: those that have too few rows are told together.
        """
        if not case.reference.seen.slices:
            return [Finding("quiet", "no column is sliced")]
        found = [one for window in _enough(case) for one in self._in(case, window)]
        return found or [_no_window(case)]

    def _in(self, case: Case, window: Window) -> Iterator[Finding]:
        least = case.settings.min_rows
        weights = window.weight, case.weight_before(window)
        recent = [now for _, now in case.features(window.counts.features)]
        small = []
        for name, before in case.reference.seen.slices.items():
            flat = window.counts.slices.get(name, [0] * len(before))
            usual = [part for _, part in case.features(case.usual(name))]
            parts = zip(case.features(before), case.features(flat), usual, recent, strict=True)
            for (cells, was), (_, now), mixed, all_now in parts:
                known = -2 if cells.labels else -1
                there = float(now[:known].sum()) * window.weight
                if name.startswith(f"{cells.name}=") or cells.name in case.calendar:
                    continue
                if min(there, was[:known].sum()) < least:
                    small.append(name)
                    continue
                test = self._test(cells, was, now, weights)
                everywhere = self._test(cells, mixed, all_now, weights)
                yield self._finding(case, window, name, cells, test, everywhere)
        if small:
            names = list(dict.fromkeys(small))
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            told = f"fewer than {least} values of a feature in {', '.join(names[:NAMED])}{more}"
            yield unjudged(told, window=window.name)

    def _test(
        self, cells: Cells, was: np.ndarray, now: np.ndarray, weights: tuple[float, float]
    ) -> Test:
        """Return how far a feature moved: a number's values, or each label's share.

        `weights` are what a row counts for now and before.
        """
        if cells.labels:
            return shares((was, now), self.label, weights[0], NOTHING, weights[1])
        return shift(was[:-1], now[:-1], self.least, weights[0], NOTHING, weights[1])

    def _finding(
        self, case: Case, window: Window, name: str, cells: Cells, within: Test, everywhere: Test
    ) -> Finding:
        limit = self.label if cells.labels else self.least
        effect = within.effect - everywhere.effect
        variance = np.square(within.error) + np.square(everywhere.error)
        if cells.labels:
            test, at = surest(beyond(effect, variance, limit))
            told = f"where {name}, the share of {cells.labels[at]} moved more than elsewhere"
        else:
            test = beyond(effect, variance, limit, case.moved[cells.name])
            side = "higher" if test.effect > 0 else "lower"
            told = f"where {name}, values are {side} than before, and more so than elsewhere"
        return Finding(
            "note",
            told,
            f"{cells.name} in {name}",
            test.effect,
            threshold=limit,
            window=window.name,
            p=test.p,
            weight=weight(case, cells.name, test.effect, limit),
        )


class PredictionDrift(Rule, frozen=True, kw_only=True):
    """Answers did not move further than `least`, a change of AUC against those of the holdout."""

    least: float

    def judge(self, case: Case) -> Sequence[Finding]:
        """Return a finding for each output, of one week and of four."""
        found = []
        for window in _enough(case):
            before = case.layout.split_outputs(window.answered)
            after = case.layout.split_outputs(window.counts.outputs)
            for (cells, was), (_, now), varied in zip(before, after, case.answered, strict=True):
                if few := too_few(case, window, cells, now, was):
                    found.append(few)
                    continue
                spread = _spread(varied, window.periods)
                test = shift(was[:-1], now[:-1], self.least, window.weight, spread)
                side = "higher" if test.effect > 0 else "lower"
                told = f"predictions are {side} than on the holdout"
                found.append(
                    Finding(
                        "note",
                        told,
                        cells.name,
                        test.effect,
                        threshold=self.least,
                        window=window.name,
                        p=test.p,
                        weight=abs(test.effect) / self.least,
                    )
                )
        return found or [_no_window(case)]


class AttributionDrift(Rule, frozen=True, kw_only=True):
    """What share of the answers' variance a feature explains did not move by more than `least`."""

    source: ClassVar[str] = "Sobol, Mathematical Modelling and Computational Experiments 1, 1993"
    least: float

    def judge(self, case: Case) -> Sequence[Finding]:
        """Return a finding for each feature, of four weeks."""
        window = case.windows["four weeks"]
        if not _is_enough(case, window):
            return [_no_window(case)]
        now = dict(dependence(case.layout, window.counts, window.weight))
        found = []
        for name, (was, error) in dependence(case.layout, case.reference.held):
            is_, own = now[name]
            if name in case.unrecorded or name in case.calendar:
                continue
            if not np.isfinite(error + own):
                told = "too few rows, or all of them have one answer"
                found.append(unjudged(told, name, window.name))
                continue
            test = beyond(is_ - was, error**2 + own**2, self.least)
            told = f"it explains {is_:.0%} of the predictions' variance, {was:.0%} on the holdout"
            found.append(
                Finding(
                    "note",
                    told,
                    name,
                    test.effect,
                    threshold=self.least,
                    window=window.name,
                    p=test.p,
                    weight=abs(test.effect) / self.least,
                )
            )
        return found


def shares(
    within: tuple[np.ndarray, np.ndarray],
    least: float,
    weight: float,
    varied: Between,
    before: float = 1.0,
) -> Test:
    """Test each label's share; `within` are the cells of a category before and after."""
    was, now = within[0][:-2], within[1][:-2]
    return share(was, was.sum(), now, now.sum(), least, weight, varied, before)


def surest(test: Test) -> tuple[Test, int]:
    """Return the surest of the tests of every label, corrected for their number."""
    at = int(np.lexsort((-np.abs(test.effect), test.p))[0])
    p = min(1.0, float(test.p[at]) * len(test.p))
    return Test(float(test.effect[at]), float(test.error[at]), p), at


def _spread(varied: Between, periods: int) -> Between:
    """Return what a window differs by from the mean of so many periods of the reference."""
    return varied._replace(variance=varied.variance * (1 + 1 / periods)) if periods else varied


def _enough(case: Case) -> Iterator[Window]:
    for name in WEEKLY:
        window = case.windows[name]
        if _is_enough(case, window):
            yield window


def _is_enough(case: Case, window: Window) -> bool:
    rows = window.counts.rows * window.weight
    return bool(rows >= case.settings.min_rows and case.is_full(window))


def _no_window(case: Case) -> Finding:
    if not case.is_full(case.windows["week"]):
        return unjudged("the bundle has answered for less than a week")
    return unjudged(f"a window has fewer than {case.settings.min_rows} rows, of subjects once each")


def _told(
    case: Case, window: Window, cells: Cells, test: Test, words: str, least: float
) -> Finding:
    season = f" (against {window.season})" if window.season else ""
    return Finding(
        "note",
        f"{words}{season}",
        cells.name,
        test.effect,
        threshold=least,
        window=window.name,
        p=test.p,
        weight=weight(case, cells.name, test.effect, least),
    )
