import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge

from mlops.contract import Task
from mlops.runtime.model import Model, estimator
from mlops.serving.explanation import TINY, Explainer


def simulated(seed: int, rows: int, features: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, features)).astype(np.float32)


def model(fitted: object, task: Task) -> Model:
    return Model("skops", task, estimator(fitted, task))


TRAIN, BACKGROUND, ROWS = simulated(1, 400), simulated(2, 12), simulated(3, 4)
SCORE = TRAIN @ [1.0, -2.0, 0.5, 0.0, 0.3] + 2 * simulated(4, 400, 1)[:, 0]


def test_of_a_logistic_regression_they_are_its_coefficients() -> None:
    fitted = LogisticRegression().fit(TRAIN.astype(np.float64), SCORE > 0.2)
    explainer = Explainer(model(fitted, "binary").predict, "binary", BACKGROUND)
    for row in ROWS:
        found = explainer.explain(row)
        expected = fitted.coef_[0] * (row - BACKGROUND.mean(axis=0, dtype=np.float64))
        np.testing.assert_allclose(found.contributions, expected, atol=1e-6)
        np.testing.assert_allclose(found.output, fitted.decision_function(row[None])[0], 1e-6)
        np.testing.assert_allclose(found.errors, 0, atol=1e-6)
        assert found.label == 1


def test_of_a_multiclass_regression_they_are_those_of_the_likeliest_class() -> None:
    fitted = LogisticRegression().fit(TRAIN.astype(np.float64), np.digitize(SCORE, [-1, 1]))
    centred = fitted.coef_ - fitted.coef_.mean(axis=0)
    explainer = Explainer(model(fitted, "multiclass").predict, "multiclass", BACKGROUND)
    for row in ROWS:
        found = explainer.explain(row)
        assert found.label == fitted.predict(row[None])[0]
        expected = centred[found.label] * (row - BACKGROUND.mean(axis=0, dtype=np.float64))
        np.testing.assert_allclose(found.contributions, expected, atol=1e-5)


def test_of_a_linear_regression_they_are_in_the_unit_of_the_target() -> None:
    fitted = Ridge().fit(TRAIN, SCORE)
    predict = model(fitted, "regression").predict
    found = Explainer(predict, "regression", BACKGROUND).explain(ROWS[0])
    expected = fitted.coef_ * (ROWS[0] - BACKGROUND.mean(axis=0))
    np.testing.assert_allclose(found.contributions, expected, atol=1e-5)
    assert found.label is None
    assert found.output == predict(ROWS[:1])[0]
    np.testing.assert_allclose(found.base, predict(BACKGROUND).mean())


def test_the_columns_of_one_feature_have_one_contribution() -> None:
    fitted = Ridge().fit(TRAIN, SCORE)
    predict = model(fitted, "regression").predict
    places = [range(1), range(1, 4), range(4, 5)]
    explainer = Explainer(predict, "regression", BACKGROUND, places)
    found = explainer.explain(ROWS[0])
    each = fitted.coef_ * (ROWS[0] - BACKGROUND.mean(axis=0))
    expected = [each[part.start : part.stop].sum() for part in places]
    np.testing.assert_allclose(found.contributions, expected, atol=1e-5)
    assert found.errors.shape == (3,)


def test_a_pair_of_features_shares_what_only_both_bring() -> None:
    def predict(matrix: np.ndarray) -> np.ndarray:
        return matrix[:, 0].astype(np.float64) * matrix[:, 1]

    row = ROWS[0].astype(np.float64)
    found = Explainer(predict, "regression", BACKGROUND, pairs=1).explain(ROWS[0])
    ground = BACKGROUND.astype(np.float64)
    first = ((row[0] - ground[:, 0]) * (row[1] + ground[:, 1]) / 2).mean()
    np.testing.assert_allclose(found.contributions[0], first, rtol=1e-9)
    assert not found.contributions[2:].any()
    assert np.isnan(found.errors).all()


@pytest.fixture(scope="module")
def boosted() -> Model:
    target = (TRAIN[:, 0] * TRAIN[:, 1] * (TRAIN[:, 2] > 0) + TRAIN[:, 3] > 0).astype(int)
    fitted = HistGradientBoostingClassifier(max_iter=30, early_stopping=False).fit(TRAIN, target)
    return model(fitted, "binary")


def test_they_sum_to_the_answer_less_the_base(boosted: Model) -> None:
    explainer = Explainer(boosted.predict, "binary", BACKGROUND)
    with_missing = ROWS[0].copy()
    with_missing[[1, 3]] = np.nan
    for row in (*ROWS, with_missing, BACKGROUND[0]):
        found = explainer.explain(row)
        np.testing.assert_allclose(
            found.contributions.sum(), found.output - found.base, rtol=0, atol=1e-12
        )


def test_errors_are_those_against_a_long_run(boosted: Model) -> None:
    predict = boosted.predict
    long = Explainer(predict, "binary", BACKGROUND, pairs=300, points=10**9, seed=9)
    expected = np.array([long.explain(row).contributions for row in ROWS])
    differences, errors = [], []
    for seed in range(10):
        short = Explainer(predict, "binary", BACKGROUND, pairs=4, seed=seed)
        found = [short.explain(row) for row in ROWS]
        differences.append([each.contributions for each in found] - expected)
        errors.append([each.errors for each in found])
    actual, reported = (np.sqrt(np.square(x).mean()) for x in (differences, errors))
    assert 0.7 < actual / reported < 1.4
    assert actual < 0.05 * np.abs(expected).max()


def test_a_row_is_explained_the_same_again_and_in_blocks(
    boosted: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Explainer(boosted.predict, "binary", BACKGROUND)
    first.explain(ROWS[1])
    found = first.explain(ROWS[0])
    monkeypatch.setattr("mlops.serving.explanation.CELLS", 50)
    again = Explainer(boosted.predict, "binary", BACKGROUND).explain(ROWS[0])
    np.testing.assert_array_equal(found.contributions, again.contributions)
    other = Explainer(boosted.predict, "binary", BACKGROUND, seed=1).explain(ROWS[0])
    assert (found.contributions != other.contributions).any()


def test_the_model_is_asked_no_more_often_than_allowed() -> None:
    asked = []

    def predict(matrix: np.ndarray) -> np.ndarray:
        asked.append(len(matrix))
        return matrix[:, 0].astype(np.float64)

    explainer = Explainer(predict, "regression", BACKGROUND, points=500)
    asked.clear()
    explainer.explain(ROWS[0])
    assert sum(asked) <= 500 + 1
    assert explainer.pairs == 500 // (2 * 12 * 4)


def test_one_feature_takes_it_all() -> None:
    found = Explainer(lambda m: m[:, 0] * 2.0, "regression", BACKGROUND[:, :1]).explain(ROWS[0, :1])
    np.testing.assert_allclose(found.contributions, [found.output - found.base])


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_certainty_stays_finite(task: Task) -> None:
    def predict(matrix: np.ndarray) -> np.ndarray:
        certain = (matrix[:, 0] > 0).astype(np.float64)
        return certain if task == "binary" else np.column_stack([certain, 1 - certain])

    found = Explainer(predict, task, BACKGROUND).explain(ROWS[0])
    assert np.isfinite(found.contributions).all()
    assert abs(found.output) <= -np.log(TINY)
