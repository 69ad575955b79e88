"""Whether intervals hold the truth as often as the contract promises."""

import math
from typing import ClassVar

import numpy as np

from ...config import settings
from ...evaluation.intervals import held, shares
from ...evaluation.slices import Slice, slices
from ...metrics.bootstrap import Estimate, estimate
from ...runtime.intervals import INTERVALS, Intervals, parsed
from ..case import Case, Judged
from ..resampling import draws, level
from ..rule import Finding, Rule, Verdict
from .slices import holm, loss_probability


class Coverage(Rule, frozen=True, kw_only=True):
    """Intervals have to hold the truth as often as promised, on the holdout and on each slice.

    The share of rows whose truth lies within the candidate's interval, or in its set of labels, may
    not be significantly more than `margin` below what the contract promises: for all rows, and for
    each slice of `min_rows` rows or more, corrected for their number after Holm. Against a champion
    that promises as much, intervals may be at most `wider_at_most` times as wide on average.
    """

    on_earlier_rows: ClassVar[bool] = True
    source: ClassVar[str] = (
        "Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Romano et al., "
        '"With malice toward none: assessing uncertainty via equalized coverage", Harvard Data '
        "Science Review 2.2, 2020"
    )

    margin: float
    min_rows: int
    max_categories: int
    wider_at_most: float

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 0.5:
            raise ValueError("`margin` is a share from 0 to below 0.5")
        if self.min_rows < 1 or self.max_categories < 1:
            raise ValueError("`min_rows` and `max_categories` are 1 or more")
        if not 1 <= self.wider_at_most < math.inf:
            raise ValueError("`wider_at_most` is a factor of 1 or more")

    def judge(self, case: Case) -> list[Finding]:
        """Judge all rows, each slice and the width."""
        if case.settings.data.intervals is None:
            return [Finding("not applicable", "the contract promises no intervals")]
        intervals = _intervals(case.candidate)
        assert intervals is not None  # or `parsed` had raised
        limits = settings.Slices(self.min_rows, self.max_categories)
        parts = [p for p in slices(case.columns, case.settings.data, limits) if p.judged]
        covered, widths = held(
            intervals, case.settings, case.columns, case.target, case.candidate.predictions
        )
        statistic = shares(covered - intervals.coverage, parts)
        gains = statistic(np.ones((1, len(covered))))[0]
        drawn = draws(case, statistic, parts=[None, *(part.rows for part in parts)])
        found = [
            estimate(float(gain), column, level(case))
            for gain, column in zip(gains, drawn.T, strict=True)
        ]
        chances = np.array(
            [
                loss_probability(one, column, self.margin)
                for one, column in zip(found, drawn.T, strict=True)
            ]
        )
        # All rows are one question, the slices another of as many parts.
        chances[1:] = holm(chances[1:])
        judged = [
            self._found(case, part, one, float(p), intervals)
            for part, one, p in zip([None, *parts], found, chances, strict=True)
        ]
        return [*judged, *self._width(case, intervals, float(widths.mean()))]

    def _found(
        self, case: Case, part: Slice | None, gain: Estimate, p: float, intervals: Intervals
    ) -> Finding:
        promised = intervals.coverage
        name = part.name if part else ""
        share = Estimate(gain.value + promised, gain.low + promised, gain.high + promised)
        if not all(map(math.isfinite, (*share[:3], p))):
            reason = "the share that intervals hold has no interval of its own: too few units"
            return Finding("rejected", reason, name, threshold=promised)
        reason = (
            f"{share.value:.1%} of the truth is within ({share.low:.1%} to {share.high:.1%}), "
            f"{promised:.3g} is promised; p = {p:.3g} for more than {self.margin:.3g} below"
        )
        verdict: Verdict = "passed" if p > 1 - case.confidence else "rejected"
        if verdict == "rejected" and part is not None and part.column != intervals.by:
            column = case.settings.data.columns[part.column]
            if "feature" in column.roles:
                reason += (
                    f"; `intervals: {{by: {part.column}}}` in conf/data measures them for each "
                    "label"
                )
        return Finding(verdict, reason, name, share.value, share.low, share.high, promised)

    def _width(self, case: Case, intervals: Intervals, width: float) -> list[Finding]:
        """Compare the mean width with the champion's, where that promises as much."""
        champion = case.champion
        before = None if champion is None else champion.bundle.contract.intervals
        if champion is None or before is None or before.coverage != intervals.coverage:
            return []
        was = _intervals(champion)
        assert was is not None
        _, widths = held(was, case.settings, case.columns, case.target, champion.predictions)
        earlier = float(widths.mean())
        ratio = width / earlier if earlier > 0 else math.inf if width > 0 else 1.0
        reason = f"the mean width is {width:.4g} and the champion's {earlier:.4g}"
        if not math.isfinite(ratio):
            return [Finding("rejected", reason, "width", threshold=self.wider_at_most)]
        verdict: Verdict = "passed" if ratio <= self.wider_at_most else "rejected"
        return [Finding(verdict, reason, "width", ratio, threshold=self.wider_at_most)]


def _intervals(one: Judged) -> Intervals | None:
    """Return the intervals of a bundle; raises IntervalError where it has not what it promises."""
    path = one.folder / INTERVALS
    return parsed(path.read_bytes() if path.is_file() else None, one.bundle.contract)
