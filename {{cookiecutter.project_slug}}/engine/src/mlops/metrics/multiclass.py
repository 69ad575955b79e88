"""Metrics of probabilities for three or more classes, for many weightings of the rows at once.

Each takes weights (draws, rows) in the order of `Multiclass.rows` and returns one value a
draw, NaN where it is undefined.
"""

from functools import cached_property

import numpy as np

from . import binary
from .arrays import Array, Index, bin_edges, calibration_error, mean, ratio, surprisal


class Multiclass:
    """Class codes and probabilities (rows, classes), by descending largest probability."""

    def __init__(self, target: Array, probabilities: Array, rows: Index) -> None:
        order = np.argsort(-probabilities.max(axis=1, initial=0.0), kind="stable")
        self.rows = rows[order]
        self.target = target[order].astype(np.intp)
        self.probabilities = probabilities[order]
        self.predicted = self.probabilities.argmax(axis=1)
        self.confidence = self.probabilities.max(axis=1, initial=0.0)
        self.edges = bin_edges(self.confidence)

    @property
    def predictions(self) -> Array:
        """What the model answers: the probability of each class."""
        return self.probabilities

    @cached_property
    def against_rest(self) -> list[binary.Binary]:
        """Each class against all others."""
        here = np.arange(len(self.target))
        return [
            binary.Binary((self.target == code).astype(np.float64), column, here)
            for code, column in enumerate(self.probabilities.T)
        ]

    @cached_property
    def surprisal(self) -> Array:
        """-log of the probability that the true class was given, kept off infinity."""
        return surprisal(self.probabilities[np.arange(len(self.target)), self.target])


def log_loss(rows: Multiclass, weights: Array) -> Array:
    """Return the mean negative log-likelihood of the true class."""
    return mean(weights, rows.surprisal)


def brier(rows: Multiclass, weights: Array) -> Array:
    """Return the squared error summed over classes, from 0 to 2, as Brier defined it in 1950."""
    truth = np.eye(rows.probabilities.shape[1])[rows.target]
    return mean(weights, np.square(rows.probabilities - truth).sum(axis=1))


def accuracy(rows: Multiclass, weights: Array) -> Array:
    """Return the share of rows whose most probable class is the true one."""
    return mean(weights, (rows.predicted == rows.target).astype(np.float64))


def macro_f1(rows: Multiclass, weights: Array) -> Array:
    """Return the F1 of each class that occurs or is predicted, averaged without weights."""
    classes = np.eye(rows.probabilities.shape[1])
    truth, guess = classes[rows.target], classes[rows.predicted]
    scores = ratio(2 * (weights @ (truth * guess)), weights @ truth + weights @ guess)
    present = ~np.isnan(scores)
    return ratio(np.where(present, scores, 0).sum(axis=1), present.sum(axis=1))


def roc_auc_ovr(rows: Multiclass, weights: Array) -> Array:
    """Return the ROC AUC of each class against the rest, averaged without weights.

    NaN where a class is absent: Provost and Domingos, "Well-trained PETs", 2001, unweighted.
    """
    areas = [binary.roc_auc(one, weights[:, one.rows]) for one in rows.against_rest]
    average: Array = np.mean(areas, axis=0)
    return average


def ece(rows: Multiclass, weights: Array) -> Array:
    """Return the expected calibration error of the predicted class's probability.

    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017.
    """
    right = (rows.predicted == rows.target).astype(np.float64)
    return calibration_error(weights, right - rows.confidence, rows.edges)
