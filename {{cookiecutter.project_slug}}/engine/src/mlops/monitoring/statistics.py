"""Tests on counts: each against a least effect that matters, none against "no change at all"."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc, ndtr, stdtr

Array = np.ndarray


class Test(NamedTuple):
    """An effect, its standard error, and the chance of it where the true one does not matter.

    Each is a number, or an array of them.
    """

    effect: Any
    error: Any
    p: Any


class Between(NamedTuple):
    """What effects vary by from one period to the next, beyond chance: variances."""

    variance: Any
    periods: int


NOTHING = Between(0.0, 0)


def shift(
    reference: Array,
    window: Array,
    least: float,
    weight: float = 1.0,
    varied: Between = NOTHING,
    before: float = 1.0,
) -> Test:
    """Test whether values moved up or down by more than `least`, from counts of ordered cells.

    The effect is P(window > reference) + P(equal) / 2 - 1/2: Mann and Whitney, Annals of
    Mathematical Statistics 18, 1947, with the variance under ties of Lehmann, Nonparametrics,
    1975; a normal that moves by d standard deviations has 0.28 d. A row counts `weight` of one
    where rows come again, one of the reference `before`; `varied` is what the effect varied by
    from period to period.
    """
    n, m = float(reference.sum()), float(window.sum())
    if n < 2 or m < 2:
        return Test(0.0, math.inf, 1.0)
    effect = auc(reference, window) - 0.5
    pooled = (reference + window) / (n + m)
    ties = 1 - float((pooled**3).sum())
    return beyond(effect, ties / 12 * (1 / (n * before) + 1 / (m * weight)), least, varied)


def auc(reference: Array, window: Array) -> float:
    """Return P(window > reference) + P(equal) / 2 from counts of ordered cells."""
    below = np.cumsum(reference) - reference
    pairs = float(reference.sum()) * float(window.sum())
    return float(((below + reference / 2) * window).sum() / pairs)


def share(
    had: ArrayLike,
    of: float,
    has: ArrayLike,
    of_now: float,
    least: float,
    weight: float = 1.0,
    varied: Between = NOTHING,
    before: float = 1.0,
) -> Test:
    """Test whether shares moved by more than `least`: `had` of `of` rows, now `has` of `of_now`.

    A row counts `weight` of one where rows come again, one of the reference `before`.
    """
    was, now = np.asarray(had, dtype=float), np.asarray(has, dtype=float)
    if of < 2 or of_now < 2:
        zeros = np.zeros(was.shape)
        return Test(zeros, zeros + math.inf, zeros + 1)
    pooled = (was + now + 1) / (of + of_now + 2)  # never 0 or 1: Agresti and Caffo, 2000
    variance = pooled * (1 - pooled) * (1 / (of * before) + 1 / (of_now * weight))
    return beyond(now / of_now - was / of, variance, least, varied)


def above(rows: float, of: float, expected: float, weight: float = 1.0) -> float:
    """Return the chance of at least so many rows where each has the chance `expected` (binomial).

    Exact, since what is rare is no normal: Clopper and Pearson, Biometrika 26, 1934.
    """
    if rows <= 0 or of <= 0:
        return 1.0
    has, all_rows = math.floor(rows * weight), math.ceil(of * weight)
    return float(bdtrc(has - 1, all_rows, min(expected, 1.0))) if has > 0 else 1.0


def between(effects: Array, errors: Array) -> Between:
    """Return what effects of successive periods (first axis) vary by, beyond their own errors.

    From differences of neighbours (von Neumann, Annals of Mathematical Statistics 12, 1941), so
    that seasons and trends do not count.
    """
    if len(effects) < 3:
        return Between(np.zeros(effects.shape[1:]), len(effects))
    steps = np.square(np.diff(effects, axis=0)).mean(axis=0) / 2
    own = np.square(errors)
    variance = np.maximum(0.0, steps - (own[1:] + own[:-1]).mean(axis=0) / 2)
    return Between(variance, len(effects))


def beyond(effect: Any, variance: Any, least: float, varied: Between = NOTHING) -> Test:
    """Return the one-sided test of |effect| against `least`.

    Where part of the variance was estimated from few periods, Student's t has the degrees of
    freedom after Satterthwaite, Biometrics Bulletin 2, 1946.
    """
    extra = np.asarray(varied.variance, dtype=float)
    whole = np.maximum(np.asarray(variance, dtype=float) + extra, 1e-300)
    error = np.sqrt(whole)
    z = (np.abs(effect) - least) / error
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.square(whole) / np.square(extra) * max(1, varied.periods - 1)
    chance = np.where(np.isfinite(freedom) & (freedom < 1e6), stdtr(freedom, -z), ndtr(-z))
    return Test(effect, error, chance)


def holm(chances: Sequence[float]) -> list[float]:
    """Return the chances corrected for their number: Holm, Scandinavian Journal 6, 1979."""
    given = np.asarray(chances, dtype=float)
    order = np.argsort(given, kind="stable")
    corrected = np.empty(len(given))
    rising = np.maximum.accumulate(given[order] * (len(given) - np.arange(len(given))))
    corrected[order] = np.minimum(1.0, rising)
    return corrected.tolist()


def ever(rows: float, excess: float, variance: float, planned: float, alpha: float) -> float:
    """Return a p-value of a mean above its limit by `excess` that holds whenever one looks.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
    "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics
    52, 2024, solved for its level; it is tightest at `planned` rows for the level `alpha`.
    """
    if rows < 2 or variance <= 0 or excess <= 0:
        return 1.0
    rho = tuned(planned, alpha)
    grown = rows * rho + 1
    exponent = rows**2 * rho * excess**2 / (2 * variance * grown)
    return float(min(1.0, math.sqrt(grown) * math.exp(-min(exponent, 700.0))))


def half_width(rows: float, variance: float, planned: float, alpha: float) -> float:
    """Return half the width of that confidence sequence of a mean after so many rows."""
    rho = tuned(planned, alpha)
    grown = rows * rho + 1
    return math.sqrt(2 * variance * grown / (rows**2 * rho) * math.log(math.sqrt(grown) / alpha))


def tuned(planned: float, alpha: float) -> float:
    """Return the rho^2 at which the sequence is tightest at `planned` rows (its equation 9)."""
    level = -2 * math.log(alpha)
    return (level + math.log(level + 1)) / max(planned, 1.0)
