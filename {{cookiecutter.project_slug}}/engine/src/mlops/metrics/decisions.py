"""The threshold that decisions are worth most at."""

import math

import numpy as np

from .arrays import Array

DIGITS = 6  # significant, of a threshold that people read


def best_threshold(predictions: Array, positive: Array, negative: Array) -> float:
    """Return the probability from which on taking rows for positive brings most.

    `positive` and `negative` are what each row brings when taken for one or the other. Infinite
    where no row is to be taken; the highest of equally good ones.
    """
    ranked, gains, ends = _ranked(predictions, positive - negative)
    best = ends[np.argmax(gains[ends])]
    return float(ranked[best]) if gains[best] > 0 else math.inf


def best_cut(predictions: Array, gained: Array, share: float = 1.0) -> float:
    """Return the probability above which rows are to be acted on, 1 where none is.

    `gained` is what each row brings more when acted on; at most a `share` of the rows is. It lies
    in the middle between two predictions, as short as it can be written.
    """
    ranked, gains, ends = _ranked(predictions, gained)
    allowed = ends[(ends < share_of(len(ranked), share)) & (ranked[ends] > 0)]  # 0 is above none
    if not len(allowed):
        return 1.0
    best = allowed[np.argmax(gains[allowed])]
    if gains[best] <= 0:
        return 1.0
    return between(float(ranked[best + 1]) if best + 1 < len(ranked) else 0.0, float(ranked[best]))


def most_above(predictions: Array, share: float) -> float:
    """Return the lowest probability above which at most a `share` of the rows lies."""
    if share >= 1:
        return 0.0
    ranked = np.sort(predictions)[::-1]
    place = share_of(len(ranked), share)
    return float(ranked[place]) if place < len(ranked) else 0.0


def share_of(rows: int, share: float) -> int:
    """Return how many rows a share of them is, whole ones."""
    return math.floor(rows * share + 1e-9)


def between(low: float, high: float) -> float:
    """Return a probability from `low` to below `high` with few digits."""
    middle = float(f"{(low + high) / 2:.{DIGITS}g}")
    return middle if low <= middle < high else low


def _ranked(predictions: Array, gained: Array) -> tuple[Array, Array, np.ndarray]:
    """Return predictions from the highest on, what all to each bring, and the last of equals."""
    order = np.argsort(-predictions, kind="stable")
    ranked = predictions[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    return ranked, np.cumsum(gained[order]), ends
