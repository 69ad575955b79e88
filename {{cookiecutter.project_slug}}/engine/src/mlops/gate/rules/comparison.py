"""The candidate against the champion, both scored on the same rows, drawn alike."""

import math
from collections.abc import Mapping
from typing import ClassVar

from ...metrics.bootstrap import estimate
from ..case import Case
from ..resampling import Sides, bounded, figures, level, signs
from ..rule import Finding, Rule

PAIRED = (
    'Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13; whole groups: '
    'Field and Welsh, "Bootstrapping clustered data", JRSS B 69, 2007'
)


class NonInferiority(Rule, frozen=True, kw_only=True):
    """The candidate is worse than the champion by less than a margin, beyond doubt.

    For each metric of `margins`, the lower end of the paired bootstrap interval of the
    difference (positive: the candidate is better) has to be at least minus the margin.
    """

    needs_champion: ClassVar[bool] = True
    on_earlier_rows: ClassVar[bool] = True
    source: ClassVar[str] = (
        'Piaggio et al., "Reporting of noninferiority and equivalence randomized trials", '
        f"JAMA 308, 2012; {PAIRED}"
    )

    margins: dict[str, float]
    sides: Sides

    def __post_init__(self) -> None:
        _check(self.margins)

    def judge(self, case: Case) -> list[Finding]:
        """Compare every metric under the same draws."""
        limits = {name: -margin for name, margin in self.margins.items()}
        return _compared(case, limits, self.sides, strictly=False)


class Superiority(Rule, frozen=True, kw_only=True):
    """The candidate is better than the champion by more than a margin, beyond doubt.

    For each metric of `margins`, the lower end of the paired bootstrap interval of the
    difference (positive: the candidate is better) has to lie above the margin.
    """

    needs_champion: ClassVar[bool] = True
    source: ClassVar[str] = PAIRED

    margins: dict[str, float]
    sides: Sides

    def __post_init__(self) -> None:
        _check(self.margins)

    def judge(self, case: Case) -> list[Finding]:
        """Compare every metric under the same draws."""
        return _compared(case, self.margins, self.sides, strictly=True)


def _check(margins: Mapping[str, float]) -> None:
    if not margins or not all(math.isfinite(m) and m >= 0 for m in margins.values()):
        raise ValueError("`margins` gives at least one metric a finite margin of 0 or more")


def _compared(
    case: Case, limits: Mapping[str, float], sides: Sides, *, strictly: bool
) -> list[Finding]:
    if case.champion is None:
        return [Finding("not applicable", "there is no champion yet")]
    names = list(limits)
    models = [case.candidate.predictions, case.champion.predictions]
    values, drawn = figures(case, names, models)
    better = (values[0, 0] - values[1, 0]) * signs(names)
    differences = (drawn[:, 0, 0] - drawn[:, 1, 0]) * signs(names)
    found = []
    for at, name in enumerate(names):
        paired = estimate(float(better[at]), differences[:, at], level(case, sides))
        said = f"{name} {values[0, 0, at]:.4g} against {values[1, 0, at]:.4g}: what it gains"
        found.append(bounded(paired, limits[name], said, name, strictly=strictly))
    return found
