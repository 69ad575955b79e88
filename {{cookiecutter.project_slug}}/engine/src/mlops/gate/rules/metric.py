"""How good the candidate must be, whatever the champion."""

import math
from typing import ClassVar

from ...metrics.bootstrap import estimate
from ..case import Case
from ..resampling import By, bounded, figures, level
from ..rule import Finding, Rule


class Metric(Rule, frozen=True, kw_only=True):
    """A metric on the holdout has to reach a floor, or stay below a ceiling.

    `by` says whether the figure itself or the bad end of its bootstrap interval is judged.
    """

    on_earlier_rows: ClassVar[bool] = True
    source: ClassVar[str] = (
        'Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979'
    )

    metric: str
    by: By
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        limits = [limit for limit in (self.at_least, self.at_most) if limit is not None]
        if len(limits) != 1 or not math.isfinite(limits[0]):
            raise ValueError("give one finite number, as `at_least` or as `at_most`")

    def judge(self, case: Case) -> list[Finding]:
        """Measure the candidate on every holdout row."""
        value, drawn = figures(case, [self.metric], [case.candidate.predictions])
        found = estimate(float(value.item()), drawn.ravel(), level(case))
        floor = self.at_least is not None
        limit = self.at_least if self.at_least is not None else self.at_most or 0.0
        return [bounded(found, limit, self.metric, by=self.by, at_least=floor)]
