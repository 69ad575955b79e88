"""Trees of every library answer in the runtime as in the library, wherever a row stands.

With MLOPS_THOROUGH=1 each case has five seeds and 1,000,000 rows.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sweeps import THOROUGH

from mlops.runtime.model import estimator, farthest, onnx
from mlops.training.compilation import compile_model
from mlops.training.trees.conversion import read
from mlops.training.trees.ensemble import Ensemble, UnreadableError

from . import ensembles

CASES = {
    **ensembles.sklearn(),
    **ensembles.lightgbm(),
    **ensembles.xgboost(),
    **ensembles.catboost(),
    **ensembles.interpret(),
    **ensembles.encoded(),
}
ROWS, SEEDS = (1_000_000, 5) if THOROUGH else (3000, 1)
FARTHEST = 1e-5


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.filterwarnings("ignore")  # what libraries say of their own arguments
def test_no_row_is_answered_otherwise(name: str, seed: int) -> None:
    case = CASES[name]
    model = ensembles.fitted(case, seed)
    trees = read(model)
    assert trees is not None
    rows = ensembles.asked(trees.thresholds(), ROWS, seed + 100)
    answers = onnx(trees.onnx(case.task, ensembles.WIDTH), case.task)
    assert farthest(answers(rows), estimator(model, case.task)(rows), case.task) <= FARTHEST


def test_a_value_on_a_threshold_goes_where_it_went(tmp_path: Path) -> None:
    """As float32 the threshold between these two is above it, and 45.4 would go left."""
    rows = np.array([[45.3]] * 50 + [[45.5]] * 50, np.float32)
    model = HistGradientBoostingClassifier(max_iter=5).fit(rows, [0] * 50 + [1] * 50)
    compiled = compile_model(model, "binary", rows, tmp_path, runtime="onnx", tolerance=1e-12)
    answers = onnx((tmp_path / "model.onnx").read_bytes(), "binary")
    on = np.array([[45.4]], np.float32)
    assert answers(on) == estimator(model, "binary")(on) > 0.5
    assert compiled.runtime == "onnx"


def test_a_tree_of_one_leaf_has_no_threshold(tmp_path: Path) -> None:
    """Its first feature may be a category, of which no value in between may be asked."""
    from xgboost import XGBClassifier

    codes = np.arange(60) % 3
    rows = np.column_stack([codes, np.arange(60)]).astype(np.float32)
    settings = {"n_estimators": 20, "gamma": 3.0, "enable_categorical": True, "n_jobs": 1}
    model = XGBClassifier(**settings, feature_types=["c", "q"]).fit(rows, codes)
    trees = read(model)
    assert trees is not None
    assert isinstance(trees.ensemble, Ensemble)
    assert any(tree.yes[0] == tree.no[0] for tree in trees.ensemble.trees)
    assert 0 not in trees.thresholds()
    compile_model(model, "multiclass", rows, tmp_path, runtime="onnx", tolerance=1e-5)


def test_sums_of_xgboost_that_cancel_are_its_own(tmp_path: Path) -> None:
    """It adds in float32: around 0 that is a ten-thousandth from the sum in double."""
    from xgboost import XGBRegressor

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 3)).astype(np.float32)
    target = 500 + 300 * rows[:, 0] + 200 * np.abs(rows[:, 1])
    model = XGBRegressor(n_estimators=200, learning_rate=0.05, n_jobs=1).fit(rows, target)
    compiled = compile_model(model, "regression", rows, tmp_path, runtime="onnx", tolerance=1e-9)
    assert compiled.difference == 0
    trees = read(model)
    assert trees is not None
    assert isinstance(trees.ensemble, Ensemble)
    double = trees._replace(ensemble=replace(trees.ensemble, single=False))
    answers = onnx(double.onnx("regression", 3), "regression")(rows)
    assert farthest(answers, estimator(model, "regression")(rows), "regression") > 1e-5


@pytest.mark.filterwarnings("ignore")  # sums of extremes
def test_what_isotonic_steps_are_asked_for_is_added_in_double() -> None:
    """A step may be as steep as it likes, and float32 stand on its other side."""
    case = CASES["isotonic forest"]
    model = ensembles.fitted(case, 0)
    trees = read(model)
    assert trees is not None
    rows = ensembles.asked(trees.thresholds(), 1000, 0)
    answers = onnx(trees.onnx(case.task, ensembles.WIDTH), case.task)
    assert farthest(answers(rows), estimator(model, case.task)(rows), case.task) <= 1e-11


def test_an_owners_subclass_is_read_as_what_it_is() -> None:
    class Cautious(HistGradientBoostingClassifier):
        """Another name."""

    rng = np.random.default_rng(0)
    rows = ensembles.matrix(300, rng)
    model = Cautious(max_iter=3).fit(rows, ensembles.targets(rows, rng)["binary"])
    trees = read(model)
    assert trees is not None
    answers = onnx(trees.onnx("binary", ensembles.WIDTH), "binary")(rows)
    assert farthest(answers, estimator(model, "binary")(rows)) <= FARTHEST


@pytest.mark.parametrize("model", [GaussianNB(), AdaBoostClassifier(n_estimators=2)])
def test_what_is_no_tree_is_left_to_others(model: Any) -> None:
    assert read(model.fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])) is None


def test_what_no_tree_says_is_refused() -> None:
    from lightgbm import LGBMRegressor

    rows = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    common: dict[str, Any] = {"n_estimators": 2, "verbosity": -1, "n_jobs": 1}
    for told, reason in (
        ({"linear_tree": True}, "linear_tree"),
        ({"zero_as_missing": True, "use_missing": True}, "zero_as_missing"),
    ):
        model = LGBMRegressor(**common, **told).fit(np.where(rows < -1, 0, rows), rows[:, 0])
        with pytest.raises(UnreadableError, match=reason):
            read(model)
    begun = GradientBoostingClassifier(n_estimators=2, init=LogisticRegression())
    with pytest.raises(UnreadableError, match="begins with LogisticRegression"):
        read(begun.fit(rows, (rows[:, 0] > 0).astype(int)))


def test_the_same_fit_gives_the_same_bytes() -> None:
    case = CASES["lightgbm multiclass"]
    one, two = (read(ensembles.fitted(case, 0)) for _ in "ab")
    assert one is not None
    assert two is not None
    assert one.onnx(case.task, 6) == two.onnx(case.task, 6)
