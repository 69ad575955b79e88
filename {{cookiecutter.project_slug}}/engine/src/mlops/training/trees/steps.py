"""A table of values by the bins of one or more features, as a tree that is balanced over them."""

from typing import NamedTuple

import numpy as np

from .ensemble import Mode, Tree


class Axis(NamedTuple):
    """One feature of a term: the bin between each two borders, and the bin of a missing value.

    A value below the first border has the first of `bins`; one on a border is above it. Of `codes`
    each border is a value with a bin of its own, and the last bin is that of all others.
    """

    feature: int
    borders: np.ndarray
    bins: np.ndarray
    missing: int = 0
    codes: bool = False


class _Growing:
    """The nodes and leaves of a tree while it grows; a leaf is told as -1 - its number."""

    def __init__(self) -> None:
        self.nodes: list[tuple[int, Mode, float, bool]] = []
        self.ways: list[list[int]] = []
        self.leaves: list[np.ndarray] = []

    def grow(self, axes: list[Axis], scores: np.ndarray) -> int:
        """Ask for each axis in turn; `scores` has a dimension for each, and the targets last."""
        if not axes:
            self.leaves.append(scores)
            return -len(self.leaves)
        (axis, *rest) = axes
        number = self._ask(axis.feature, Mode.BELOW, -np.inf, True)
        self.ways[number] = [
            self.grow(rest, scores[axis.missing]),
            self._among(axis, rest, scores)
            if axis.codes
            else self._between(axis, rest, scores, 0, len(axis.borders)),
        ]
        return number

    def _among(self, axis: Axis, rest: list[Axis], scores: np.ndarray) -> int:
        """Ask for one code after the other."""
        asked = [self._ask(axis.feature, Mode.EQUAL, float(one), False) for one in axis.borders]
        others = self.grow(rest, scores[axis.bins[-1]])
        onward = [*asked[1:], others]
        for number, bin_of, next_one in zip(asked, axis.bins, onward, strict=False):
            self.ways[number] = [self.grow(rest, scores[bin_of]), next_one]
        return asked[0] if asked else others

    def _between(
        self, axis: Axis, rest: list[Axis], scores: np.ndarray, low: int, high: int
    ) -> int:
        if low == high:
            return self.grow(rest, scores[axis.bins[low]])
        middle = (low + high) // 2
        number = self._ask(axis.feature, Mode.BELOW, float(axis.borders[middle]), False)
        self.ways[number] = [
            self._between(axis, rest, scores, low, middle),
            self._between(axis, rest, scores, middle + 1, high),
        ]
        return number

    def _ask(self, feature: int, mode: Mode, border: float, missing: bool) -> int:
        self.nodes.append((feature, mode, border, missing))
        self.ways.append([])
        return len(self.nodes) - 1

    def tree(self) -> Tree:
        """Return what has grown."""
        feature, mode, border, missing = map(np.array, zip(*self.nodes, strict=True))
        yes, no = np.array(self.ways).T
        return Tree(feature, mode.astype(np.uint8), border, missing, yes, no, np.array(self.leaves))


def tree(axes: list[Axis], scores: np.ndarray) -> Tree:
    """Return a tree that answers `scores`, with a dimension for each axis, and the targets last."""
    growing = _Growing()
    growing.grow(axes, scores)
    return growing.tree()
