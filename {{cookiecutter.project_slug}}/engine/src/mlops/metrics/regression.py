"""Metrics of a predicted number, for many weightings of the rows at once."""

import numpy as np

from .arrays import Array, Index, mean, ratio

CONSTANT = 1e-12


class Regression:
    """True and predicted values of some rows."""

    def __init__(self, target: Array, predicted: Array, rows: Index) -> None:
        self.rows = rows
        self.target = target.astype(np.float64)
        self.predictions = predicted
        self.error = self.target - predicted


def rmse(rows: Regression, weights: Array) -> Array:
    """Return the root of the mean squared error."""
    return np.sqrt(mean(weights, np.square(rows.error)))


def mae(rows: Regression, weights: Array) -> Array:
    """Return the mean absolute error."""
    return mean(weights, np.abs(rows.error))


def r2(rows: Regression, weights: Array) -> Array:
    """Return the share of the target's variance that is explained.

    1 - residual / total sum of squares; NaN where the target is constant. Deviations are
    taken from a target near the mean, so that the total does not drown in rounding.
    """
    if not rows.target.size:
        return np.full(len(weights), np.nan)
    centre = rows.target[np.abs(rows.target - rows.target.mean()).argmin()]
    deviation = rows.target - centre
    squares = weights @ np.square(deviation)
    total = squares - ratio(np.square(weights @ deviation), weights.sum(axis=1))
    total = np.where(total > CONSTANT * squares, total, 0.0)
    return 1 - ratio(weights @ np.square(rows.error), total)
