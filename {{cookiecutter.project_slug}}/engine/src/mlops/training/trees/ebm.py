"""Explainable boosting machines: a tree for each term, balanced over its bins."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...runtime import terms as tables
from .ensemble import Ensemble, UnreadableError
from .steps import Axis, tree

LINKS: dict[str, tables.Link] = {
    "identity": "identity",
    "logit": "logistic",
    "mlogit": "softmax",
    "log": "exp",
}


def read(fitted: Any) -> Ensemble:
    """Read a fitted ExplainableBoostingClassifier or ExplainableBoostingRegressor."""
    trees = [tree(axes, scores) for axes, scores in _tables(fitted)]
    return Ensemble(trees, tuple(np.ravel(fitted.intercept_).tolist()), _link(fitted))


def terms(fitted: Any, names: Sequence[str]) -> tables.Terms:
    """Return the terms of one that was fitted to columns of these names."""
    found = []
    for axes, scores in _tables(fitted):
        for place, axis in enumerate(axes):
            scores = scores.take([axis.missing, *axis.bins], axis=place)
        told = [_told(names[axis.feature], axis) for axis in axes]
        found.append(tables.Term(told, scores.reshape(-1, scores.shape[-1]).T.tolist()))
    return tables.Terms(_link(fitted), np.ravel(fitted.intercept_).tolist(), found)


def _link(fitted: Any) -> tables.Link:
    if fitted.link_ not in LINKS:
        raise UnreadableError(f"the link {fitted.link_} is not known")
    return LINKS[fitted.link_]


def _tables(fitted: Any) -> Iterator[tuple[list[Axis], np.ndarray]]:
    """Yield the features of each term, and its scores: a dimension for each, the targets last."""
    targets = len(np.ravel(fitted.intercept_))
    for features, scores in zip(fitted.term_features_, fitted.term_scores_, strict=True):
        bins = [
            fitted.bins_[one][min(len(features), len(fitted.bins_[one])) - 1] for one in features
        ]
        axes = [_axis(one, known) for one, known in zip(features, bins, strict=True)]
        yield axes, scores.reshape(*scores.shape[: len(features)], targets)


def _axis(feature: int, bins: Any) -> Axis:
    if not isinstance(bins, dict):
        return Axis(feature, np.asarray(bins, float), np.arange(1, len(bins) + 2))
    known = sorted((float(code), number) for code, number in bins.items())
    unseen = max(bins.values(), default=0) + 1
    codes = np.array([code for code, _ in known])
    return Axis(feature, codes, np.array([*(bin for _, bin in known), unseen]), codes=True)


def _told(feature: str, axis: Axis) -> tables.Axis:
    steps = axis.borders.tolist()
    return tables.Axis(feature, codes=steps) if axis.codes else tables.Axis(feature, edges=steps)
