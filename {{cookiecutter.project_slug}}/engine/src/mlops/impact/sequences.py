"""Tests that hold however often one looks: whether arms differ, and whether they are as drawn."""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import betaln

from ..monitoring.statistics import ever, half_width

STRENGTH = 1000.0  # how sure the prior of a sample ratio is of what was declared, in units


class Sums(NamedTuple):
    """Of the units of an arm: how many, and sums of y, y^2, x, x^2 and xy; each may be an array.

    y is what is measured of a unit, x what was of the same unit before, 0 where nothing is known.
    """

    n: np.ndarray
    y: np.ndarray
    yy: np.ndarray
    x: np.ndarray
    xx: np.ndarray
    xy: np.ndarray

    @classmethod
    def of(cls, y: np.ndarray, x: np.ndarray, group: np.ndarray, groups: int) -> "Sums":
        """Return the sums of each group of units, by its number."""
        each = (None, y, y * y, x, x * x, x * y)
        return cls(*(np.bincount(group, weights, groups).astype(float) for weights in each))

    def cumulated(self) -> "Sums":
        """Return the sums of each group and of all before it."""
        return Sums(*(np.cumsum(one) for one in self))


class Difference(NamedTuple):
    """The challenger's mean above the champion's, and where it surely lies at every look."""

    units: np.ndarray
    means: tuple[np.ndarray, np.ndarray]
    effect: np.ndarray
    half: np.ndarray
    variance: np.ndarray  # of one unit, so that that of the effect is variance / units

    @property
    def low(self) -> np.ndarray:
        """The lower end."""
        return self.effect - self.half

    @property
    def high(self) -> np.ndarray:
        """The upper end."""
        return self.effect + self.half


def difference(champion: Sums, challenger: Sums, planned: float, alpha: float) -> Difference:
    """Return a confidence sequence of the difference of two arms' means, for each look.

    The asymptotic one of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Annals of Statistics 52,
    2024. What units were before is taken out by the slope that both arms share (CUPED: Deng, Xu,
    Kohavi and Walker, WSDM 2013).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = _slope(champion, challenger)
        means = [(arm.y - slope * arm.x) / arm.n for arm in (champion, challenger)]
        spread = sum(_variance(arm, slope) / arm.n for arm in (champion, challenger))
        units = champion.n + challenger.n
        variance = units * spread
        effect = means[1] - means[0]
        # The level of the means is of no meaning once the past is taken out: that of all units is.
        level = slope * (champion.x + challenger.x) / units
    half = np.array(
        [
            half_width(n, one, planned, alpha) if n > 3 and np.isfinite(one) else math.inf
            for n, one in zip(units, variance, strict=True)
        ]
    )
    return Difference(units, (means[0] + level, means[1] + level), effect, half, variance)


def chance(found: Difference, margin: float, planned: float, alpha: float) -> float:
    """Return the p-value, valid at every look, of the last effect being `margin`."""
    excess = abs(float(found.effect[-1]) - margin)
    if not np.isfinite(excess) or not np.isfinite(found.variance[-1]):
        return 1.0
    return ever(float(found.units[-1]), excess, float(found.variance[-1]), planned, alpha)


def sample_ratio(champion: np.ndarray, challenger: np.ndarray, share: float) -> np.ndarray:
    """Return for each look a p-value of the arms being drawn as declared, valid at every look.

    The sequential multinomial test of Lindon and Malek, Anytime-valid inference for multinomial
    count data, NeurIPS 2022.
    """
    first, second = STRENGTH * (1 - share), STRENGTH * share
    evidence = (
        betaln(first + champion, second + challenger)
        - betaln(first, second)
        - champion * math.log1p(-share)
        - challenger * math.log(share)
    )
    return np.minimum(1.0, np.exp(-np.maximum.accumulate(np.maximum(evidence, -50.0))))


def _slope(champion: Sums, challenger: Sums) -> np.ndarray:
    covered = sum(arm.xy - arm.x * arm.y / arm.n for arm in (champion, challenger))
    varied = sum(arm.xx - arm.x * arm.x / arm.n for arm in (champion, challenger))
    return np.where(varied > 0, covered / np.where(varied > 0, varied, 1.0), 0.0)


def _variance(arm: Sums, slope: np.ndarray) -> np.ndarray:
    y = arm.yy - arm.y * arm.y / arm.n
    x = arm.xx - arm.x * arm.x / arm.n
    both = arm.xy - arm.x * arm.y / arm.n
    return np.maximum(0.0, y - 2 * slope * both + slope * slope * x) / np.maximum(1.0, arm.n - 1)
