"""Rows that a holdout need not have: a value missing, unseen, extreme or on a threshold."""

from collections.abc import Mapping

import numpy as np

ROWS = 64  # of the holdout, from which they are made
THRESHOLDS = 64  # of a column that has more
HUGE, TINY = np.float32(3e38), np.float32(1e-40)
EXTREME = np.array([HUGE, -HUGE, 0.0, -0.0, TINY, -TINY], np.float32)


def probes(holdout: np.ndarray, thresholds: Mapping[int, np.ndarray]) -> np.ndarray:
    """Return rows (n, columns) of the holdout, in each of which one column has another value.

    In each column that is a missing value and one above all that were seen; where the model has
    thresholds (in order), also extreme ones, and the float32 next to a threshold with its two
    neighbours.
    """
    if not len(holdout):
        return holdout
    base = spread(holdout, ROWS)
    made = [_with(base, at, _values(base, at, thresholds.get(at))) for at in range(base.shape[1])]
    return np.concatenate(made)


def spread(values: np.ndarray, most: int) -> np.ndarray:
    """Return at most so many of the values, evenly over their order, both ends among them."""
    return values[np.linspace(0, len(values) - 1, min(most, len(values))).astype(int)]


def _values(base: np.ndarray, at: int, thresholds: np.ndarray | None) -> np.ndarray:
    seen = base[:, at][np.isfinite(base[:, at])]
    values = [np.array([np.nan, np.floor(seen.max(initial=0.0)) + 1], np.float32)]
    if thresholds is not None:
        on = spread(thresholds, THRESHOLDS).astype(np.float32)
        below, above = np.nextafter(on, -HUGE), np.nextafter(on, HUGE)
        values += [EXTREME, on, below, above]
    return np.concatenate(values)


def _with(base: np.ndarray, at: int, values: np.ndarray) -> np.ndarray:
    """Return a row for each value, and each of the base rows at least once."""
    count = max(len(values), len(base))
    rows = base[np.arange(count) % len(base)]
    rows[:, at] = np.resize(values, count)
    return rows
