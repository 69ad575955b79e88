import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, roc_auc_score

from mlops.data.association import auc, avoided, explained, least_squares, levels, linear, r2

RNG = np.random.default_rng(0)
X = RNG.normal(size=500)
Y = X + RNG.normal(size=500)


def test_levels_are_values_or_quantiles_and_missing_is_one() -> None:
    assert levels(np.array([5.0, np.nan, 7.0, 5.0]), ordered=True).tolist() == [1, 0, 2, 1]
    assert levels(X, ordered=True).max() == 50
    assert levels(np.round(X, 3), ordered=False).max() > 50


def test_avoided_is_one_for_a_copy_and_none_for_noise() -> None:
    classes = (Y > 1).astype(np.int64)
    assert avoided(classes + 1, classes) == 1
    assert avoided(RNG.integers(0, 5, 500), classes) <= 0.05


def test_avoided_trusts_no_level_of_few_rows_and_no_rare_class() -> None:
    classes = RNG.integers(0, 2, 400)
    assert avoided(np.arange(400), classes) == 0
    rare = np.zeros(400, dtype=np.int64)
    rare[:4] = 1
    assert avoided(rare, rare) == 0


def test_auc_agrees_with_scikit_learn_in_the_better_direction() -> None:
    classes = (Y > 0).astype(np.int64)
    rounded = np.round(X, 1)
    assert auc(rounded, classes) == pytest.approx(roc_auc_score(classes, rounded))
    assert auc(-rounded, classes) == pytest.approx(roc_auc_score(classes, rounded))
    assert auc(np.where(np.arange(500) % 3, np.nan, X), classes) == 0


def test_explained_and_linear() -> None:
    level = RNG.integers(0, 5, 500)
    assert explained(level, level * 2.0) == pytest.approx(1)
    assert explained(np.arange(500), Y) == pytest.approx(0)
    assert linear(X, Y) == pytest.approx(np.corrcoef(X, Y)[0, 1] ** 2)
    assert linear(np.ones(500), Y) == 0
    assert linear(X[:10], Y[:10]) == 0


def test_least_squares_agrees_with_scikit_learn() -> None:
    columns = {"a": X * 1000, "b": RNG.normal(size=500), "constant": np.ones(500)}
    fit, slopes, spread = least_squares(columns, Y)
    model = LinearRegression().fit(np.column_stack([columns["a"], columns["b"]]), Y)
    assert [slopes["a"], slopes["b"]] == pytest.approx(model.coef_)
    assert fit == pytest.approx(model.score(np.column_stack([columns["a"], columns["b"]]), Y))
    assert spread["a"] == pytest.approx(1000 * X.std() / Y.std())


def test_least_squares_needs_many_rows_a_column() -> None:
    wide = {f"x{n}": RNG.normal(size=100) for n in range(20)}
    assert least_squares(wide, RNG.normal(size=100))[0] == 0


def test_r2() -> None:
    assert r2(Y - X, Y) == pytest.approx(r2_score(Y, X))
    assert r2(np.zeros(3), np.ones(3)) == 0
