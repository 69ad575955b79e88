"""Metrics of a probability for one of two classes, for many weightings of the rows at once.

Each takes weights (draws, rows) in the order of `Binary.rows` and returns one value a draw,
NaN where it is undefined.
"""

from functools import cached_property

import numpy as np

from .arrays import Array, Index, bin_edges, calibration_error, mean, ratio, surprisal


class Binary:
    """Targets (0 or 1) and probabilities of some rows, sorted once by descending probability.

    `rows` puts a row vector of weights into that order; `ends` is the last position of every
    run of tied probabilities.
    """

    def __init__(
        self, target: Array, probabilities: Array, rows: Index, threshold: float = 0.5
    ) -> None:
        order = np.argsort(-probabilities, kind="stable")
        self.rows = rows[order]
        self.target = target[order].astype(np.float64)
        self.probabilities = probabilities[order]
        self.ends = np.append(np.flatnonzero(np.diff(self.probabilities)), len(order) - 1)
        self.edges = bin_edges(self.probabilities)
        self.threshold = threshold

    @property
    def predictions(self) -> Array:
        """What the model answers: the probability of the positive class."""
        return self.probabilities

    @cached_property
    def rarer(self) -> tuple[bool, Index, Index, Index]:
        """Whether the rarer class is the positive one, its rows, and the run of ties of each.

        A run is given by how many rows lie before it and how many before its end.
        """
        positive = bool(2 * self.target.sum() < len(self.target))
        places = np.flatnonzero(self.target == positive)
        run = np.searchsorted(self.ends, places)
        ends = self.ends + 1
        return positive, places, np.append(0, ends)[run], ends[run]

    @cached_property
    def surprisal(self) -> Array:
        """-log of the probability that the true class was given, kept off infinity."""
        return surprisal(np.where(self.target == 1, self.probabilities, 1 - self.probabilities))

    @cached_property
    def squared(self) -> Array:
        """The squared error of the probability."""
        return np.square(self.probabilities - self.target)

    @cached_property
    def predicted(self) -> Array:
        """1 where the positive class is the decision."""
        return (self.probabilities > self.threshold).astype(np.float64)


def roc_auc(rows: Binary, weights: Array) -> Array:
    """Return the probability that a positive row outranks a negative one, ties counting half.

    Trapezoids under the ROC curve: Hanley and McNeil, "The meaning and use of the area under a
    receiver operating characteristic (ROC) curve", Radiology 143, 1982. They are summed over
    the rarer class: weighted by its rows, the weight of everything that ranks above each, half
    of its ties included, is that of the other class and half the square of its own weight.
    """
    positive, places, starts, ends = rows.rarer
    above = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=above[:, 1:])
    own = np.take(weights, places, axis=1)
    total = own.sum(axis=1)
    pairs = total * (above[:, -1] - total)
    outranking = np.vecdot(own, np.take(above, starts, axis=1) + np.take(above, ends, axis=1))
    outranking = (outranking - np.square(total)) / 2
    return ratio(pairs - outranking if positive else outranking, pairs)


def average_precision(rows: Binary, weights: Array) -> Array:
    """Return the precision at each threshold, averaged by the recall that it adds.

    Steps, without interpolation: Manning, Raghavan and Schütze, "Introduction to information
    retrieval", 2008, chapter 8.4.
    """
    positive, everything = curve(rows, weights)
    above = everything[:, 1:]
    precision = np.divide(positive[:, 1:], above, out=np.zeros_like(above), where=above > 0)
    gained = np.vecdot(np.diff(positive), precision)
    return ratio(gained, positive[:, -1])


def log_loss(rows: Binary, weights: Array) -> Array:
    """Return the mean negative log-likelihood: Good, "Rational decisions", JRSS B 14, 1952."""
    return mean(weights, rows.surprisal)


def brier(rows: Binary, weights: Array) -> Array:
    """Return the mean squared error of the probability: Brier, Monthly Weather Review 78, 1950."""
    return mean(weights, rows.squared)


def accuracy(rows: Binary, weights: Array) -> Array:
    """Return the share of rows whose more probable class is the true one."""
    return mean(weights, (rows.predicted == rows.target).astype(np.float64))


def f1(rows: Binary, weights: Array) -> Array:
    """Return the harmonic mean of precision and recall of the positive class.

    2 TP / (2 TP + FP + FN): van Rijsbergen, "Information retrieval", 1979, chapter 7.
    """
    hits = weights @ (rows.predicted * rows.target)
    return ratio(2 * hits, weights @ (rows.predicted + rows.target))


def ece(rows: Binary, weights: Array) -> Array:
    """Return the expected calibration error of the positive class's probability."""
    return calibration_error(weights, rows.target - rows.probabilities, rows.edges)


def curve(rows: Binary, weights: Array) -> tuple[Array, Array]:
    """Return the weight of positive rows, and of all, above each distinct probability.

    Both (draws, distinct probabilities + 1), starting at zero.
    """
    if not rows.target.size:
        return np.zeros((len(weights), 1)), np.zeros((len(weights), 1))
    return _above(weights * rows.target, rows.ends), _above(weights, rows.ends)


def _above(weights: Array, ends: Index) -> Array:
    """Return the running total of each draw's weights at `ends`, behind a leading zero."""
    totals = np.empty((len(weights), len(ends) + 1))
    totals[:, 0] = 0
    running = np.cumsum(weights, axis=1)
    # numpy buffers the output of `take` in its default mode, at twice the time
    np.take(running, ends, axis=1, out=totals[:, 1:], mode="clip")
    return totals
