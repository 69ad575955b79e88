"""XGBoost: trees of `gbtree` and `dart`, whose thresholds and sums are float32, as the features."""

import json
from typing import Any

import numpy as np

from .ensemble import Ensemble, Link, Mode, Tree, UnreadableError

LINKS: dict[str, Link] = {
    "binary:logistic": "logistic",
    "reg:logistic": "logistic",
    "multi:softprob": "softmax",
    "multi:softmax": "softmax",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
}
IDENTITY = (
    "reg:squarederror",
    "reg:absoluteerror",
    "reg:pseudohubererror",
    "reg:quantileerror",
)


def read(fitted: Any) -> Ensemble:
    """Read a fitted XGBClassifier or XGBRegressor, up to its best iteration."""
    booster = fitted.get_booster()
    best = getattr(fitted, "best_iteration", None) if fitted.early_stopping_rounds else None
    if best is not None:
        booster = booster[: best + 1]
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    link = _link(learner["objective"]["name"])
    boosted, weights = learner["gradient_booster"], None
    if boosted["name"] == "dart":
        weights = boosted["weight_drop"]
        boosted = boosted["gbtree"]
    elif boosted["name"] != "gbtree":
        raise UnreadableError(f"{boosted['name']} has no trees")
    model, about = boosted["model"], learner["learner_model_param"]
    if model.get("cats", {}).get("enc"):
        raise UnreadableError("it was fitted to a data frame, whose categories it numbers itself")
    if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in model["trees"]):
        raise UnreadableError("its leaves have a value for each target")
    targets = max(1, int(about["num_class"]), int(about["num_target"]))
    base = np.broadcast_to(np.atleast_1d(json.loads(about["base_score"])), targets)
    weights = weights or [1.0] * len(model["trees"])
    trees = [
        _tree(tree, int(target), float(weight))
        for tree, target, weight in zip(model["trees"], model["tree_info"], weights, strict=True)
    ]
    start = tuple(_margin(base.astype(np.float32), link).tolist())
    return Ensemble(trees, start, link, single=True)


def _link(objective: str) -> Link:
    if objective in IDENTITY:
        return "identity"
    if objective not in LINKS:
        raise UnreadableError(f"the objective {objective} is not known")
    return LINKS[objective]


def _margin(base: np.ndarray, link: Link) -> np.ndarray:
    """Return what the file says in units of a prediction in those of the sum."""
    if link == "logistic":
        return -np.log(1.0 / base.astype(np.float64) - 1.0)
    return np.log(base.astype(np.float64)) if link == "exp" else base.astype(np.float64)


def _tree(tree: dict[str, Any], target: int, weight: float) -> Tree:
    left = np.array(tree["left_children"], np.int64)
    right = np.array(tree["right_children"], np.int64)
    leaf = left < 0
    conditions = np.array(tree["split_conditions"], np.float32).astype(np.float64)
    default_left = np.array(tree["default_left"], bool)
    categorical = np.array(tree["split_type"], bool) & ~leaf
    # A set leads right, a threshold left where a value is below it.
    yes, no = np.where(categorical, right, left), np.where(categorical, left, right)
    spans = (tree[f"categories_{name}"] for name in ("nodes", "segments", "sizes"))
    sets = {
        int(node): tuple(map(float, tree["categories"][start : start + size]))
        for node, start, size in zip(*spans, strict=True)
    }
    return Tree.from_nodes(
        leaf=leaf,
        feature=np.array(tree["split_indices"], np.int64),
        mode=np.where(categorical, Mode.MEMBER, Mode.BELOW).astype(np.uint8),
        threshold=np.where(categorical, 0.0, conditions),
        missing=np.where(categorical, ~default_left, default_left),
        yes=yes,
        no=no,
        values=(np.float32(weight) * conditions.astype(np.float32)).astype(np.float64),
        target=target,
        members=tuple(sets[int(one)] for one in np.flatnonzero(categorical)),
    )
