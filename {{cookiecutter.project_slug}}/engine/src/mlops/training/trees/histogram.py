"""scikit-learn's histogram gradient boosting, with native categories and every loss."""

from typing import Any

import numpy as np

from .ensemble import Ensemble, Link, Mode, Tree, UnreadableError

LINKS: dict[str, Link] = {
    "IdentityLink": "identity",
    "LogLink": "exp",
    "LogitLink": "logistic",
    "HalfLogitLink": "logistic",
    "MultinomialLogit": "softmax",
}
BITS = 256  # how many codes a set can hold


def read(fitted: Any) -> Ensemble:
    """Read a fitted HistGradientBoostingClassifier or HistGradientBoostingRegressor."""
    link = LINKS.get(type(fitted._loss.link).__name__)
    if link is None:
        raise UnreadableError(f"the link {type(fitted._loss.link).__name__} is unknown")
    order, codes = _columns(fitted)
    known = _known(fitted)
    trees = [
        _tree(predictor, order, codes, known, target)
        for iteration in fitted._predictors
        for target, predictor in enumerate(iteration)
    ]
    return Ensemble(trees, tuple(np.ravel(fitted._baseline_prediction).tolist()), link)


def _columns(fitted: Any) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Return which column of the matrix each of its features is, and the values of its codes.

    The estimator puts categories first and numbers them anew, in the order of their values.
    """
    width = fitted.n_features_in_
    if fitted._preprocessor is None:
        return np.arange(width), {}
    chosen = np.asarray(fitted.is_categorical_, bool)
    order = np.concatenate([np.flatnonzero(chosen), np.flatnonzero(~chosen)])
    categories = fitted._preprocessor.named_transformers_["encoder"].categories_
    return order, {place: np.asarray(one, float) for place, one in enumerate(categories)}


def _known(fitted: Any) -> dict[int, frozenset[int]]:
    """Return the codes of each category that were there when the estimator was fitted."""
    bitsets, places = fitted._bin_mapper.make_known_categories_bitsets()
    chosen = fitted._is_categorical_remapped
    if chosen is None:
        return {}
    return {int(one): _codes(bitsets[places[one]]) for one in np.flatnonzero(chosen)}


def _codes(bitset: np.ndarray) -> frozenset[int]:
    bits = np.unpackbits(np.ascontiguousarray(bitset).view(np.uint8), bitorder="little")
    return frozenset(np.flatnonzero(bits[:BITS]).tolist())


def _tree(
    predictor: Any,
    order: np.ndarray,
    codes: dict[int, np.ndarray],
    known: dict[int, frozenset[int]],
    target: int,
) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    missing = nodes["missing_go_to_left"].astype(bool)
    yes, no = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    sets = np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf)
    members = []
    for one in sets:
        feature = int(nodes["feature_idx"][one])
        left = _codes(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][one]])
        if missing[one]:  # so do codes that were not there: those that were and go right are asked
            left = known[feature] - left
            yes[one], no[one] = no[one], yes[one]
        members.append(tuple(codes[feature][sorted(left)].tolist()))
    missing[sets] = False  # a missing value is in no set
    return Tree.from_nodes(
        leaf=leaf,
        feature=order[nodes["feature_idx"]],
        mode=np.where(nodes["is_categorical"], Mode.MEMBER, Mode.AT_MOST).astype(np.uint8),
        threshold=np.where(nodes["is_categorical"], 0.0, nodes["num_threshold"]),
        missing=missing,
        yes=yes,
        no=no,
        values=nodes["value"],
        target=target,
        members=tuple(members),
    )
