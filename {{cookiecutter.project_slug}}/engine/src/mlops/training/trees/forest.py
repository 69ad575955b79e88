"""scikit-learn's trees: single, as forests and extra trees, and in gradient boosting."""

from typing import Any

import numpy as np

from .ensemble import Ensemble, Link, Mode, Tree, UnreadableError


def read(fitted: Any) -> Ensemble:
    """Read a fitted forest, or a single tree, whose leaves are shares of classes or means."""
    if fitted.n_outputs_ != 1:
        raise UnreadableError(f"it has {fitted.n_outputs_} outputs")
    trees = [_tree(one.tree_) for one in getattr(fitted, "estimators_", None) or [fitted]]
    if trees[0].leaves.shape[1] == 2:  # of two shares the second says both
        trees = [tree._replace(leaves=tree.leaves[:, 1:]) for tree in trees]
    return Ensemble(trees, (0.0,) * trees[0].leaves.shape[1], average=True)


def read_boosting(fitted: Any) -> Ensemble:
    """Read a fitted GradientBoostingClassifier or GradientBoostingRegressor."""
    if not isinstance(fitted.init_, str) and type(fitted.init_).__name__[:5] != "Dummy":
        raise UnreadableError(f"it begins with {type(fitted.init_).__name__}")
    base = fitted._raw_predict_init(np.zeros((1, fitted.n_features_in_), np.float32))[0]
    links: dict[str, Link] = {
        "HalfBinomialLoss": "logistic",
        "HalfMultinomialLoss": "softmax",
    }
    loss = type(fitted._loss).__name__
    if loss == "ExponentialLoss":
        raise UnreadableError("the link of its exponential loss is not known")
    trees = [
        _tree(one.tree_, fitted.learning_rate, target)
        for iteration in fitted.estimators_
        for target, one in enumerate(iteration)
    ]
    return Ensemble(trees, tuple(base.tolist()), links.get(loss, "identity"))


def _tree(tree: Any, scale: float = 1.0, target: int = 0) -> Tree:
    return Tree.from_nodes(
        leaf=tree.children_left < 0,
        feature=tree.feature,
        mode=Mode.AT_MOST,
        threshold=tree.threshold,
        missing=tree.missing_go_to_left.astype(bool),
        yes=tree.children_left,
        no=tree.children_right,
        values=scale * np.asarray(tree.value[:, 0, :]),
        target=target,
    )
