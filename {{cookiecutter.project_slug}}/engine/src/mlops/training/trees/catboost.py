"""CatBoost on numbers: symmetric trees and others, without categories, which it encodes itself."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .ensemble import Ensemble, Link, Mode, Tree, UnreadableError

LINKS: dict[str, Link] = {
    "Logloss": "logistic",
    "CrossEntropy": "logistic",
    "MultiClass": "softmax",
    "MultiClassOneVsAll": "logistic each",
    "Poisson": "exp",
    "Tweedie": "exp",
}
IDENTITY = (
    "RMSE",
    "MAE",
    "Quantile",
    "MAPE",
    "Huber",
    "LogCosh",
    "Expectile",
    "Lq",
    "LogLinQuantile",
)


def read(fitted: Any) -> Ensemble:
    """Read a fitted CatBoostClassifier or CatBoostRegressor."""
    with tempfile.TemporaryDirectory() as folder:  # it writes files alone
        place = Path(folder) / "model.json"
        fitted.save_model(str(place), format="json")
        model = json.loads(place.read_text(encoding="utf-8"))
    features = model["features_info"]
    if others := sorted(kind for kind in features if kind != "float_features"):
        raise UnreadableError(f"it has {' and '.join(others).replace('_', ' ')}")
    loss = str(fitted.get_all_params()["loss_function"]).partition(":")[0]
    if loss not in LINKS and loss not in IDENTITY:
        raise UnreadableError(f"the loss {loss} is not known")
    where = {one["feature_index"]: one for one in features["float_features"]}
    scale, base = model["scale_and_bias"]
    if "oblivious_trees" in model:
        trees = [_symmetric(tree, where, scale, len(base)) for tree in model["oblivious_trees"]]
    else:
        trees = [_other(tree, where, scale) for tree in model["trees"]]
    return Ensemble(trees, tuple(map(float, base)), LINKS.get(loss, "identity"))


def _asked(split: dict[str, Any], where: dict[int, Any]) -> tuple[int, float, bool]:
    """Return the column, the border, and whether a missing value counts as above it."""
    if split["split_type"] != "FloatFeature":
        raise UnreadableError(f"it asks by {split['split_type']}")
    about = where[split["float_feature_index"]]
    above = about["nan_value_treatment"] == "AsTrue"
    return about["flat_feature_index"], float(np.float32(split["border"])), above


def _symmetric(tree: dict[str, Any], where: dict[int, Any], scale: float, targets: int) -> Tree:
    leaves = scale * np.array(tree["leaf_values"], np.float64).reshape(-1, targets)
    splits = tree["splits"] or []
    if not splits:
        return Tree.constant(leaves[:1])
    # The last question is the highest bit of a leaf's number: asked first, leaves are in order.
    levels = [_asked(split, where) for split in reversed(splits)]
    widths = 2 ** np.arange(len(levels))
    feature, border, above = (np.repeat([one[at] for one in levels], widths) for at in range(3))
    node, inner = np.arange(len(feature)), len(feature)
    no, yes = 2 * node + 1, 2 * node + 2
    return Tree(
        feature.astype(np.int64),
        np.full(inner, Mode.ABOVE, np.uint8),
        border,
        above.astype(bool),
        np.where(yes < inner, yes, inner - 1 - yes),
        np.where(no < inner, no, inner - 1 - no),
        leaves,
    )


def _other(tree: dict[str, Any], where: dict[int, Any], scale: float) -> Tree:
    asked: list[tuple[int, float, bool]] = []
    ways: list[list[int]] = []
    leaves: list[np.ndarray] = []
    waiting: list[tuple[dict[str, Any], list[int] | None, int]] = [(tree, None, 0)]
    while waiting:
        node, above, side = waiting.pop()
        if "split" not in node:
            leaves.append(scale * np.atleast_1d(np.array(node["value"], np.float64)))
            number = -len(leaves)
        else:
            asked.append(_asked(node["split"], where))
            number, here = len(asked) - 1, [0, 0]
            ways.append(here)
            waiting += [(node["left"], here, 0), (node["right"], here, 1)]
        if above is not None:
            above[side] = number
    if not asked:
        return Tree.constant(np.array(leaves))
    feature, border, missing = map(np.array, zip(*asked, strict=True))
    no, yes = np.array(ways).T
    modes = np.full(len(feature), Mode.ABOVE, np.uint8)
    return Tree(feature, modes, border, missing, yes, no, np.array(leaves))
