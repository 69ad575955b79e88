"""How far labels contradict what the columns say of them, and how much of that wrong labels add."""

from typing import NamedTuple

import numpy as np

from ..contract import Task
from .crossfit import CrossFit

LEAST = 0.1  # a probability below it counts as this much: no single row decides
MOST = 9.0  # the largest contradiction: (1 - LEAST) / LEAST, three usual errors squared

Array = np.ndarray


class Contradiction(NamedTuple):
    """Of each row: its contradiction, what a wrong label would add to it, and its variance."""

    scores: Array
    gain: Array
    variance: Array


def contradictions(
    task: Task, fits: CrossFit, target: Array, other: Array, seed: int
) -> tuple[Contradiction, Contradiction]:
    """Return the contradictions of the training rows, and of the others by the same models.

    A label's contradiction is the odds against it, (1 - p) / p: the derivative of the likelihood
    in the share of flipped labels, so that no other average shows flips better; its expectation
    is the same in sure and in unsure rows. A number's is its squared error, in units of the
    usual one. The others are averaged over the models and not over their probabilities, which
    together would be better than the one model that each training row has.
    """
    if task == "regression":
        unit = float(np.median(np.abs(other - fits.other))) or 1.0
        rng = np.random.default_rng(seed)
        return (
            _squared(fits.own[None], target, rng.permutation(target), unit),
            _squared(fits.other, other, rng.permutation(other), unit),
        )
    own = _odds(fits.own, target)
    others = [_odds(answers, other) for answers in fits.other]
    scores, gain, variance = (np.mean(values, axis=0) for values in zip(*others, strict=True))
    return own, Contradiction(scores, gain, variance)


def _odds(probabilities: Array, labels: Array) -> Contradiction:
    """Return the odds against labels; the variance is the one that p foretells."""
    likely = np.maximum(probabilities, LEAST)
    odds = (1 - likely) / likely
    expected = (probabilities * odds).sum(axis=1)
    scores = odds[np.arange(len(labels)), labels]
    wrong = (odds.sum(axis=1) - scores) / (odds.shape[1] - 1)
    variance = (probabilities * odds**2).sum(axis=1) - expected**2
    return Contradiction(scores, wrong - scores, np.maximum(variance, 0.0))


def _squared(answers: Array, numbers: Array, swapped: Array, unit: float) -> Contradiction:
    """Return squared errors, averaged over the models (the first axis of their answers)."""
    scores, wrong = (
        np.minimum(((values - answers) / unit) ** 2, MOST).mean(axis=0)
        for values in (numbers, swapped)
    )
    return Contradiction(scores, wrong - scores, np.zeros(len(scores)))


def share(
    own: Contradiction, other: Contradiction, clusters: Array, others: Array
) -> tuple[float, float]:
    """Return the share of wrong labels that `own` has beyond `other`, and its standard error.

    Rows of a cluster (a code from 0 per row) are not independent of each other. NaN where
    another label is contradicted no more than the given one, so that wrong ones do not show.
    """
    gain = float(other.gain.mean())
    if gain <= 1e-9:
        return np.nan, np.nan
    error = np.sqrt(_squared_error(own, clusters) + _squared_error(other, others))
    return float(own.scores.mean() - other.scores.mean()) / gain, float(error) / gain


def _squared_error(rows: Contradiction, clusters: Array) -> float:
    """Return the variance of the mean score: as seen between clusters, or as p foretells it.

    The larger of the two: among few rows none may be contradicted, by luck.
    """
    count = len(rows.scores)
    sums = np.bincount(clusters, weights=rows.scores - rows.scores.mean())
    groups = len(np.unique(clusters))
    seen = float((sums**2).sum()) * groups / max(1, groups - 1)
    return max(seen, float(rows.variance.sum())) / count**2


def taken(rows: Contradiction, places: Array) -> Contradiction:
    """Return some of the rows."""
    return Contradiction(*(values[places] for values in rows))
