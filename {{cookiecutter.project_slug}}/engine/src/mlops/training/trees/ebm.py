"""Explainable boosting machines: a tree for each term, balanced over its bins."""

from typing import Any, NamedTuple

import numpy as np

from .ensemble import Ensemble, Link, Mode, Tree, UnreadableError

LINKS: dict[str, Link] = {
    "identity": "identity",
    "logit": "logistic",
    "mlogit": "softmax",
    "log": "exp",
}


class Axis(NamedTuple):
    """One feature of a term: the bin between each two borders, and the bin of a missing value.

    A value below the first border has the first of `bins`; one on a border is above it.
    """

    feature: int
    borders: np.ndarray
    bins: np.ndarray
    missing: int = 0


class _Growing:
    """The nodes and leaves of a tree while it grows; a leaf is told as -1 - its number."""

    def __init__(self) -> None:
        self.nodes: list[tuple[int, float, bool]] = []
        self.ways: list[list[int]] = []
        self.leaves: list[np.ndarray] = []

    def grow(self, axes: list[Axis], scores: np.ndarray) -> int:
        """Ask for each axis in turn; `scores` has a dimension for each, and the targets last."""
        if not axes:
            self.leaves.append(scores)
            return -len(self.leaves)
        (axis, *rest) = axes
        number = self._ask(axis.feature, -np.inf, True)
        self.ways[number] = [
            self.grow(rest, scores[axis.missing]),
            self._between(axis, rest, scores, 0, len(axis.borders)),
        ]
        return number

    def _between(
        self, axis: Axis, rest: list[Axis], scores: np.ndarray, low: int, high: int
    ) -> int:
        if low == high:
            return self.grow(rest, scores[axis.bins[low]])
        middle = (low + high) // 2
        number = self._ask(axis.feature, float(axis.borders[middle]), False)
        self.ways[number] = [
            self._between(axis, rest, scores, low, middle),
            self._between(axis, rest, scores, middle + 1, high),
        ]
        return number

    def _ask(self, feature: int, border: float, missing: bool) -> int:
        self.nodes.append((feature, border, missing))
        self.ways.append([])
        return len(self.nodes) - 1

    def tree(self) -> Tree:
        """Return what has grown."""
        feature, border, missing = map(np.array, zip(*self.nodes, strict=True))
        yes, no = np.array(self.ways).T
        modes = np.full(len(feature), Mode.BELOW, np.uint8)
        return Tree(feature, modes, border, missing, yes, no, np.array(self.leaves))


def read(fitted: Any) -> Ensemble:
    """Read a fitted ExplainableBoostingClassifier or ExplainableBoostingRegressor."""
    if fitted.link_ not in LINKS:
        raise UnreadableError(f"the link {fitted.link_} is not known")
    targets = len(np.ravel(fitted.intercept_))
    trees = []
    for features, scores in zip(fitted.term_features_, fitted.term_scores_, strict=True):
        bins = [
            fitted.bins_[one][min(len(features), len(fitted.bins_[one])) - 1] for one in features
        ]
        growing = _Growing()
        values = scores.reshape(*scores.shape[: len(features)], targets)
        growing.grow([_axis(one, bin) for one, bin in zip(features, bins, strict=True)], values)
        trees.append(growing.tree())
    return Ensemble(trees, tuple(np.ravel(fitted.intercept_).tolist()), LINKS[fitted.link_])


def _axis(feature: int, bins: Any) -> Axis:
    if not isinstance(bins, dict):
        return Axis(feature, np.asarray(bins, float), np.arange(1, len(bins) + 2))
    # Codes are whole numbers: each has its own between two borders, and all others are unseen.
    unseen = max(bins.values(), default=0) + 1
    borders: list[float] = []
    found = [unseen]
    for code, number in sorted((float(code), number) for code, number in bins.items()):
        if borders and borders[-1] == code - 0.5:
            found[-1] = number
        else:
            borders.append(code - 0.5)
            found.append(number)
        borders.append(code + 0.5)
        found.append(unseen)
    return Axis(feature, np.array(borders), np.array(found))
