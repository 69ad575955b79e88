"""LightGBM: every objective, categories as sets, missing values as each node was fitted to them."""

from itertools import pairwise
from typing import Any

import numpy as np

from .ensemble import Ensemble, Link, Mode, Numbers, Tree, UnreadableError

# How the file says the objective; what is not here adds nothing to the sum.
LINKS: dict[str, Link] = {
    "binary": "logistic",
    "cross_entropy": "logistic",
    "multiclass": "softmax",
    "multiclassova": "logistic each",
    "cross_entropy_lambda": "log1p exp",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
}
IDENTITY = ("regression", "regression_l1", "huber", "fair", "quantile", "mape")
CATEGORICAL, DEFAULT_LEFT = 1, 2  # bits of decision_type; two more are the type of missing values
ZERO, NAN = 1, 2
TINY = float(np.float32(1e-35))  # what is no farther from zero is taken for zero


def read(fitted: Any) -> Ensemble:
    """Read a fitted LGBMClassifier or LGBMRegressor, up to its best iteration."""
    best = fitted.best_iteration_ or -1
    head, *blocks = fitted.booster_.model_to_string(num_iteration=best).split("\nTree=")
    about = _entries(head)
    targets = int(about["num_tree_per_iteration"])
    link, slope = _link(about.get("objective", ""))
    trees = [_tree(_entries(block), number % targets) for number, block in enumerate(blocks)]
    average = any(line == "average_output" for line in head.splitlines())
    return Ensemble(trees, (0.0,) * targets, link, average, slope)


def _entries(text: str) -> dict[str, str]:
    lines = text.partition("end of trees")[0].splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _link(objective: str) -> tuple[Link, float]:
    name, *options = objective.split() or [""]
    slope = next((float(one[8:]) for one in options if one.startswith("sigmoid:")), 1.0)
    if name in IDENTITY:
        return ("square" if "sqrt" in options else "identity"), 1.0
    if name not in LINKS:
        raise UnreadableError(f"the objective {objective!r} is not known")
    return LINKS[name], slope if LINKS[name].startswith("logistic") else 1.0


def _tree(block: dict[str, str], target: int) -> Tree:
    if block.get("is_linear", "0") == "1":
        raise UnreadableError("linear_tree has linear models in its leaves")
    leaves = _numbers(block, "leaf_value")[:, None]
    if int(block["num_leaves"]) < 2:
        return Tree.constant(leaves[:1], target)
    kind = _numbers(block, "decision_type").astype(np.int64)
    threshold = _around_zero(_numbers(block, "threshold"))
    categorical = (kind & CATEGORICAL).astype(bool)
    handling = kind >> 2 & 3
    if (handling[~categorical] == ZERO).any():
        raise UnreadableError("zero_as_missing takes zeros for missing values")
    left = (kind & DEFAULT_LEFT).astype(bool)
    # Where none were missing when it was fitted, a missing value counts as zero.
    missing = ~categorical & np.where(handling == NAN, left, threshold >= 0.0)
    sets = _sets(block) if categorical.any() else []
    return Tree(
        _numbers(block, "split_feature").astype(np.int64),
        np.where(categorical, Mode.MEMBER, Mode.AT_MOST).astype(np.uint8),
        np.where(categorical, 0.0, threshold),
        missing,
        _numbers(block, "left_child").astype(np.int64),
        _numbers(block, "right_child").astype(np.int64),
        leaves,
        target,
        tuple(sets[int(one)] for one in _numbers(block, "threshold")[categorical]),
    )


def _around_zero(threshold: Numbers) -> Numbers:
    """Return thresholds that send what is taken for zero where zero goes."""
    close = np.abs(threshold) <= TINY
    beyond = np.where(threshold < 0, np.nextafter(-TINY, -np.inf), TINY)
    return np.where(close, beyond, threshold)


def _sets(block: dict[str, str]) -> list[tuple[float, ...]]:
    bounds = _numbers(block, "cat_boundaries").astype(np.int64)
    words = np.array(block["cat_threshold"].split(), np.uint32)
    found = []
    for start, end in pairwise(bounds):
        bits = np.unpackbits(words[start:end].view(np.uint8), bitorder="little")
        found.append(tuple(np.flatnonzero(bits).astype(float).tolist()))
    return found


def _numbers(block: dict[str, str], name: str) -> Numbers:
    return np.array(block[name].split(), dtype=np.float64)
