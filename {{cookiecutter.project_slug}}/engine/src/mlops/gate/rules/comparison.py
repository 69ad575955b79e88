"""The candidate against the champion, both scored on the same rows, drawn alike."""

import math
import re
from collections.abc import Mapping
from typing import ClassVar

import msgspec
import numpy as np

from ...metrics import power
from ...metrics.arrays import Array
from ...metrics.bootstrap import estimate
from ..case import Case
from ..resampling import Sides, bounded, figures, level, signs
from ..rule import Finding, Rule

DAY = re.compile(r"\d{4}-\d\d-\d\d")
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


class EarlierChampions(Rule, frozen=True, kw_only=True):
    """Over all promotions the candidate has lost less than a margin, beyond doubt.

    Small losses add up, each within what one step may lose. For each metric of `margins`, the
    candidate is compared with the best champion before the champion, on the same rows, as
    non_inferiority compares it with the champion. Up to `champions` of them answer, those that
    were best by their own verdicts; what cannot be fetched or scored is said. Champions
    declared before the day `since` do not count: say so where a loss was wanted.
    """

    needs_champion: ClassVar[bool] = True
    on_earlier_rows: ClassVar[bool] = True
    source: ClassVar[str] = (
        'Everson-Stewart and Emerson, "Bio-creep in non-inferiority clinical trials", Statistics '
        f"in Medicine 29, 2010; {PAIRED}"
    )

    margins: dict[str, float]
    sides: Sides
    champions: int
    since: str = ""

    def __post_init__(self) -> None:
        _check(self.margins)
        if self.champions < 1:
            raise ValueError("`champions` is 1 or more")
        if self.since and not DAY.fullmatch(self.since):
            raise ValueError("`since` is a day like 2026-01-31")

    def judge(self, case: Case) -> list[Finding]:
        """Compare every metric with the champion that is best by it on these rows."""
        told = [Finding("not applicable", reason, "unscored") for reason in case.untold]
        if not case.champions:
            none = "there is no champion before the champion that could be compared with"
            return [*told, Finding("not applicable", none)]
        names, turned = list(self.margins), signs(list(self.margins))
        models = [case.candidate.predictions, *(one.predictions for one in case.champions)]
        values, drawn = figures(case, names, models)
        found = []
        for at, name in enumerate(names):
            best = 1 + int(np.nanargmax(values[1:, 0, at] * turned[at]))
            gained = float((values[0, 0, at] - values[best, 0, at]) * turned[at])
            deviations = (drawn[:, 0, 0, at] - drawn[:, best, 0, at]) * turned[at]
            said = (
                f"{name} {values[0, 0, at]:.4g} against {values[best, 0, at]:.4g} of "
                f"{case.champions[best - 1].named}: what it gains over all promotions since"
            )
            limit = -self.margins[name]
            found.append(_judged(case, gained, deviations, limit, said, name, self.sides))
        return [*found, *told]


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
        gained, limit = float(better[at]), limits[name]
        said = f"{name} {values[0, 0, at]:.4g} against {values[1, 0, at]:.4g}: what it gains"
        found.append(
            _judged(case, gained, differences[:, at], limit, said, name, sides, strictly=strictly)
        )
    return found


def _judged(
    case: Case,
    gained: float,
    drawn: Array,
    limit: float,
    said: str,
    name: str,
    sides: Sides,
    *,
    strictly: bool = False,
) -> Finding:
    """Find whether what a metric gains is at least a limit; where it may lose, what rows tell."""
    paired = estimate(gained, drawn, level(case, sides))
    one = bounded(paired, limit, said, name, strictly=strictly)
    if case.remainder and one.verdict == "rejected" and gained >= limit:
        return msgspec.structs.replace(
            one,
            verdict="not applicable",
            reason=f"{one.reason}; it is, and too few rows are left after the new cut-off for more",
        )
    return one if strictly else _with_power(one, case, drawn, sides)


def _with_power(one: Finding, case: Case, drawn: Array, sides: Sides) -> Finding:
    """Return the finding with what these rows can tell, where the figures are not worse by more."""
    if one.value is None or one.threshold is None or one.value < one.threshold:
        return one
    error = float(np.nanstd(drawn, ddof=1))
    told = power.said(error, level(case, sides), -one.threshold, len(case.target))
    return msgspec.structs.replace(one, reason=f"{one.reason}; {told}") if told else one
