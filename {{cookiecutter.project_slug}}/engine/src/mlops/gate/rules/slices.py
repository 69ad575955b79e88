"""No part of the holdout may pay for the others."""

import math
from typing import ClassVar

import numpy as np

from ...config import settings
from ...evaluation.slices import Slice, slices
from ...metrics.arrays import Array
from ...metrics.bootstrap import Estimate, estimate
from ...metrics.catalogue import known
from ..case import Case
from ..resampling import bounded, figures, level, signs
from ..rule import Finding, Rule, Verdict


class Slices(Rule, frozen=True, kw_only=True):
    """Every slice with enough rows reaches a floor, and none loses significantly.

    A slice is one label of one column; it has support with `min_rows` rows and, for a binary
    target, `min_class_rows` of either class. `required` slices must have support. A slice is
    rejected where it loses more than `margin` against the champion by a one-sided test at the
    policy's confidence, corrected for the number of slices after Holm.
    """

    on_earlier_rows: ClassVar[bool] = True
    source: ClassVar[str] = (
        'Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal '
        "of Statistics 6, 1979"
    )

    metric: str
    min_rows: int
    min_class_rows: int
    max_categories: int
    required: list[str]
    at_least: float | None = None
    at_most: float | None = None
    margin: float | None = None

    def __post_init__(self) -> None:
        limits = [self.at_least, self.at_most, self.margin]
        given = [limit for limit in limits if limit is not None]
        if not given or not all(map(math.isfinite, given)) or (self.margin or 0) < 0:
            raise ValueError(
                "give `at_least`, `at_most` or `margin` as finite numbers, `margin` 0 or more"
            )
        if self.at_least is not None and self.at_most is not None:
            raise ValueError("give `at_least` or `at_most`, not both")
        if self.min_rows < 1 or self.min_class_rows < 0 or self.max_categories < 1:
            raise ValueError("`min_rows` and `max_categories` are 1 or more")

    def judge(self, case: Case) -> list[Finding]:
        """Judge each slice, those without support included."""
        limits = settings.Slices(self.min_rows, self.max_categories)
        every = slices(case.columns, case.settings.data, limits)
        found = [
            Finding("rejected", "a required slice has no rows", name)
            for name in self.required
            if name not in {part.name for part in every}
        ]
        if not every and not found:
            return [Finding("not applicable", "the contract has no column with labels to slice by")]
        judged = [part for part in every if self._supported(case, part)]
        names = {part.name for part in judged}
        found += [self._without(case, part) for part in every if part.name not in names]
        if not judged:
            return [*found, Finding("rejected", self._none(case))]
        return found + self._judged(case, judged)

    def _supported(self, case: Case, part: Slice) -> bool:
        if case.settings.data.task != "binary" or not part.judged:
            return part.judged
        classes = np.bincount(case.target[part.rows], minlength=2)
        return bool(classes.min() >= self.min_class_rows)

    def _none(self, case: Case) -> str:
        """Say what a slice would need."""
        return (
            f"no slice has the {self.min_rows} rows{self._of_either(case)} that it takes to be "
            "judged: add rows to data/raw, or take the rule out of conf/gate until there are"
        )

    def _of_either(self, case: Case) -> str:
        binary = case.settings.data.task == "binary"
        return f", {self.min_class_rows} of either class" if binary else ""

    def _without(self, case: Case, part: Slice) -> Finding:
        verdict: Verdict = "rejected" if part.name in self.required else "not applicable"
        needed = f"{self.min_rows} rows are needed{self._of_either(case)}"
        reason = f"it has {len(part.rows)} rows, too few of them or of one class to judge: {needed}"
        return Finding(verdict, reason, part.name)

    def _judged(self, case: Case, parts: list[Slice]) -> list[Finding]:
        champion = None if self.margin is None else case.champion
        others = [] if champion is None else [champion.predictions]
        models = [case.candidate.predictions, *others]
        values, drawn = figures(case, [self.metric], models, [part.rows for part in parts])
        floors = [
            self._floor(part, estimate(float(value), column, level(case)))
            for part, value, column in zip(parts, values[0, :, 0], drawn[:, 0, :, 0].T, strict=True)
            if self.at_least is not None or self.at_most is not None
        ]
        if champion is None:
            missing = "there is no champion yet to lose against"
            return floors or [Finding("not applicable", missing)]
        sign = signs([self.metric]).item()
        gains = sign * (values[0] - values[1])[:, 0]
        return floors + self._losses(case, parts, gains, sign * (drawn[:, 0] - drawn[:, 1])[..., 0])

    def _floor(self, part: Slice, found: Estimate) -> Finding:
        floor = self.at_least is not None
        limit = self.at_least if self.at_least is not None else self.at_most or 0.0
        return bounded(found, limit, self.metric, part.name, by="value", at_least=floor)

    def _losses(self, case: Case, parts: list[Slice], gains: Array, drawn: Array) -> list[Finding]:
        """Return a finding for each slice: `gains` (slices,) and their draws (draws, slices)."""
        margin = self.margin or 0.0
        paired = [
            estimate(float(gain), column, level(case))
            for gain, column in zip(gains, drawn.T, strict=True)
        ]
        probabilities = np.array(
            [loss_probability(e, column, margin) for e, column in zip(paired, drawn.T, strict=True)]
        )
        adjusted = holm(probabilities)
        better = known()[self.metric].title
        return [
            self._loss(part, e, float(p), f"{better} gained", 1 - case.confidence)
            for part, e, p in zip(parts, paired, adjusted, strict=True)
        ]

    def _loss(self, part: Slice, found: Estimate, p: float, said: str, error: float) -> Finding:
        limit = -(self.margin or 0.0)
        if not all(map(math.isfinite, (found.value, found.low, found.high, p))):
            reason = (
                f"{said} cannot be told on {len(part.rows)} rows: of one class there are too few"
            )
            return Finding("rejected", reason, part.name, threshold=limit)
        reason = (
            f"{said} on {len(part.rows)} rows is {found.value:.4g} "
            f"({found.low:.4g} to {found.high:.4g}), p = {p:.3g} for a loss beyond {-limit:.4g}"
        )
        verdict: Verdict = "passed" if p > error else "rejected"
        return Finding(verdict, reason, part.name, found.value, found.low, found.high, limit)


def loss_probability(found: Estimate, drawn: Array, margin: float) -> float:
    """Return the p-value of a gain of at least -`margin`: small where the slice loses more.

    The normal distribution with the bootstrap's standard error: counting draws in the tail would
    resolve nothing beyond 1 / draws, which a correction for many slices needs.
    """
    if not math.isfinite(found.low):
        return math.nan
    error = float(np.nanstd(drawn, ddof=1))
    distance = found.value + margin
    if error == 0:
        return 0.0 if distance < 0 else 1.0
    return math.erfc(-distance / error / math.sqrt(2)) / 2


def holm(probabilities: Array) -> Array:
    """Return p-values corrected for their number; one that is NaN stays, and counts."""
    count = len(probabilities)
    order = np.argsort(probabilities)
    steps = probabilities[order] * np.arange(count, 0, -1)
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
