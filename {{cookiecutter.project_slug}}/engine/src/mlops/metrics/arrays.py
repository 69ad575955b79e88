"""Weighted sums that the metrics of every task share."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]

BINS = 15
EPSILON = float(np.finfo(np.float64).eps)


def ratio(numerator: Array, denominator: Array) -> Array:
    """Divide, with NaN where the denominator is zero."""
    undefined = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    np.divide(numerator, denominator, out=undefined, where=denominator != 0)
    return undefined


def mean(weights: Array, values: Array) -> Array:
    """Return the weighted mean of `values` (rows,) for each draw of `weights` (draws, rows)."""
    return ratio(weights @ values, weights.sum(axis=1))


def surprisal(likelihood: Array) -> Array:
    """Return -log of a probability, clipped as scikit-learn clips it."""
    return -np.log(np.clip(likelihood, EPSILON, 1 - EPSILON))


def calibration_error(weights: Array, surprise: Array, edges: Index) -> Array:
    """Return the expected calibration error over rows that lie bin after bin.

    `surprise` is outcome minus probability per row; bin k is `edges[k]:edges[k + 1]`.
    The sum over bins of |mean outcome - mean probability|, weighted by the share of rows:
    Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
    binning", AAAI 2015. Noise makes every gap larger, so the bootstrap interval lies too high.
    """
    bins = [(a, b) for a, b in pairwise(edges) if b > a]
    gaps = [np.abs(weights[:, a:b] @ surprise[a:b]) for a, b in bins]
    return (
        ratio(np.sum(gaps, axis=0), weights.sum(axis=1)) if gaps else np.full(len(weights), np.nan)
    )


def bin_edges(descending: Array) -> Index:
    """Return where each of the equal-width bins of probability begins, from 1 down to 0."""
    codes = BINS - 1 - bin_codes(descending)
    return np.searchsorted(codes, np.arange(BINS + 1))


def bin_codes(probabilities: Array) -> Index:
    """Return the equal-width bin of each probability, the last one closed at 1."""
    return np.minimum((probabilities * BINS).astype(np.intp), BINS - 1)
