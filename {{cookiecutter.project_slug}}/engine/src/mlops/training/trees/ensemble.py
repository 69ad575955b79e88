"""An ensemble of trees as every library means it, before it is written for the runtime.

Thresholds and leaves are doubles: what a library compares and adds in double is compared and added
in double, and no threshold is rounded past a value that stands on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ...errors import ProjectError

Link = Literal["identity", "logistic", "logistic each", "softmax", "exp", "log1p exp", "square"]
Numbers = NDArray[np.float64]
Positions = NDArray[np.int64]


class UnreadableError(ProjectError):
    """An ensemble has something that no tree of the runtime has."""


class Mode(IntEnum):
    """What a node asks of its feature; the numbers are those of ONNX's TreeEnsemble."""

    AT_MOST = 0
    BELOW = 1
    ABOVE = 3
    EQUAL = 4
    MEMBER = 6


class Tree(NamedTuple):
    """One tree, an entry for each node in the first six, the root first.

    `yes` and `no` are where the answer leads: a node, or `-1 - leaf`. A missing value answers yes
    where `missing` says so. `members` has the values of each node of mode MEMBER, in their order.
    `leaves` is (leaves, 1), added to `target`, or (leaves, targets), each added to its own.
    """

    feature: Positions
    mode: NDArray[np.uint8]
    threshold: Numbers
    missing: NDArray[np.bool_]
    yes: Positions
    no: Positions
    leaves: Numbers
    target: int = 0
    members: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def constant(cls, values: Numbers, target: int = 0) -> Self:
        """Return a tree that asks nothing of use: its leaf, (1, 1) or (1, targets), for all."""
        none, leaf = np.zeros(1, np.int64), np.full(1, -1)
        return cls(
            none, none.astype(np.uint8), np.zeros(1), none.astype(bool), leaf, leaf, values, target
        )

    @classmethod
    def from_nodes(
        cls,
        *,
        leaf: NDArray[np.bool_],
        feature: NDArray[np.integer],
        mode: NDArray[np.uint8] | Mode,
        threshold: NDArray[np.floating],
        missing: NDArray[np.bool_],
        yes: NDArray[np.integer],
        no: NDArray[np.integer],
        values: Numbers,
        target: int = 0,
        members: tuple[tuple[float, ...], ...] = (),
    ) -> Self:
        """Return a tree of arrays with an entry for each node and leaf, as most libraries keep it.

        `values` is (nodes and leaves,) or (nodes and leaves, targets).
        """
        kept = values.reshape(len(values), -1)[leaf].astype(np.float64)
        if leaf[0]:
            return cls.constant(kept[:1], target)
        inner = np.logical_not(leaf)
        place = np.where(leaf, np.negative(np.cumsum(leaf)), np.cumsum(inner) - 1)
        modes = np.broadcast_to(np.asarray(mode, np.uint8), leaf.shape)
        return cls(
            feature[inner].astype(np.int64),
            modes[inner],
            threshold[inner].astype(np.float64),
            missing[inner].astype(bool),
            place[yes[inner]],
            place[no[inner]],
            kept,
            target,
            members,
        )


@dataclass(frozen=True)
class Ensemble:
    """Trees whose leaves are added to `base`, and the link from the sums to the prediction.

    `base` has one value for each target, `slope` is what the sum is multiplied by before a logistic
    link. With `average` the leaves count by the number of trees of a target. `single` ones are
    compared and added in float32, in their order and from `base` on: where large ones cancel, that
    is far from what it is in double.
    """

    trees: Sequence[Tree]
    base: tuple[float, ...]
    link: Link = "identity"
    average: bool = False
    slope: float = 1.0
    single: bool = False

    def apart(self) -> Self:
        """Return the same sums by trees of one target each: the runtime adds those in double."""
        trees = [
            tree._replace(leaves=tree.leaves[:, [at]], target=at)
            for tree in self.trees
            for at in range(tree.leaves.shape[1])
        ]
        several = len(trees) > len(self.trees)
        return replace(self, trees=trees) if several else self

    def thresholds(self) -> dict[int, Numbers]:
        """Return the thresholds of each feature that is above or below any, in order.

        A tree of one leaf asks its first feature, which may be a category, and goes on either way.
        """
        asked = [
            ~np.isin(tree.mode, (Mode.EQUAL, Mode.MEMBER)) & (tree.yes != tree.no)
            for tree in self.trees
        ]
        pairs = list(zip(self.trees, asked, strict=True))
        feature = np.concatenate([tree.feature[compared] for tree, compared in pairs])
        value = np.concatenate([tree.threshold[compared] for tree, compared in pairs])
        finite = np.isfinite(value)
        return {
            int(one): np.unique(value[finite & (feature == one)])
            for one in np.unique(feature[finite])
        }
