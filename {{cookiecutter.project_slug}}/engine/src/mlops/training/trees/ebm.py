"""Explainable boosting machines: a tree for each term, balanced over its bins."""

from typing import Any

import numpy as np

from .ensemble import Ensemble, Link, UnreadableError
from .steps import Axis, tree

LINKS: dict[str, Link] = {
    "identity": "identity",
    "logit": "logistic",
    "mlogit": "softmax",
    "log": "exp",
}


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
        values = scores.reshape(*scores.shape[: len(features)], targets)
        axes = [_axis(one, known) for one, known in zip(features, bins, strict=True)]
        trees.append(tree(axes, values))
    return Ensemble(trees, tuple(np.ravel(fitted.intercept_).tolist()), LINKS[fitted.link_])


def _axis(feature: int, bins: Any) -> Axis:
    if not isinstance(bins, dict):
        return Axis(feature, np.asarray(bins, float), np.arange(1, len(bins) + 2))
    known = sorted((float(code), number) for code, number in bins.items())
    unseen = max(bins.values(), default=0) + 1
    codes = np.array([code for code, _ in known])
    return Axis(feature, codes, np.array([*(bin for _, bin in known), unseen]), codes=True)
