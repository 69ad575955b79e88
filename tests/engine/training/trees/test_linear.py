"""Linear models answer in the runtime as in scikit-learn, with what stands before and after."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlops.config.settings import Model, Training
from mlops.contract import Task
from mlops.features.encoding import Encoder
from mlops.runtime.model import estimator, farthest, onnx
from mlops.training.estimators import build, fit
from mlops.training.trees.conversion import Trees, read
from mlops.training.trees.ensemble import UnreadableError

from . import ensembles

NAMES = tuple("abcdef")
COLUMNS = Encoder(NAMES, NAMES, tuple(ensembles.CATEGORIES), NAMES, {})
LOGISTIC, RIDGE = "sklearn.linear_model.LogisticRegression", "sklearn.linear_model.Ridge"
POISSON = "sklearn.linear_model.PoissonRegressor"
NUMBERS = Encoder(NAMES, NAMES, (), NAMES, {})
CODES = Encoder(("e", "f"), ("e", "f"), (0, 1), (), {})
TASKS: dict[str, Task] = {"binary": "binary", "classes": "multiclass"}


def made(path: str, target: str, columns: Encoder = COLUMNS, **given: Any) -> tuple[Any, Trees]:
    """Fit what conf/model would ask for; return it with what was read of it."""
    rng = np.random.default_rng(0)
    rows = ensembles.matrix(600, rng)
    told = ensembles.targets(rows, rng)[target]
    inputs, encoded = given.pop("inputs", "onehot"), given.pop("target_encoded", "none")
    task = TASKS.get(target, "regression")
    model = Model(path, inputs, [task], {}, target_encoded=encoded)
    halves = [(np.arange(at, 600, 2), np.arange(1 - at, 600, 2)) for at in (0, 1)]
    classes = 3 if task == "multiclass" else 2
    unfitted = build(model, Training(**given), task, columns, 0, halves, {}, classes)
    fitted = fit(unfitted, rows[:, -len(columns.names) :], told)
    found = read(fitted)
    assert found is not None
    return fitted, found


@pytest.mark.parametrize(
    ("path", "target", "given"),
    [
        (LOGISTIC, "binary", {}),
        (LOGISTIC, "classes", {}),
        (LOGISTIC, "binary", {"calibration": "sigmoid"}),
        (LOGISTIC, "classes", {"calibration": "sigmoid"}),
        (LOGISTIC, "binary", {"calibration": "isotonic"}),
        (LOGISTIC, "classes", {"calibration": "isotonic", "target_encoded": ["f"]}),
        (LOGISTIC, "binary", {"columns": NUMBERS}),
        (LOGISTIC, "binary", {"columns": CODES}),
        (LOGISTIC, "binary", {"columns": NUMBERS, "inputs": "imputed"}),
        (RIDGE, "number", {}),
        (RIDGE, "positive", {"transform": "log"}),
        (RIDGE, "positive", {"transform": "sqrt", "target_encoded": ["e", "f"]}),
        (POISSON, "positive", {}),
    ],
)
def test_no_row_is_answered_otherwise(path: str, target: str, given: dict[str, Any]) -> None:
    task = TASKS.get(target, "regression")
    columns = given.get("columns", COLUMNS)
    fitted, found = made(path, target, **given)
    rng = np.random.default_rng(1)
    rows = ensembles.matrix(3000, rng)
    for column, labels in ensembles.CATEGORIES.items():
        rows[rng.random(3000) < 0.05, column] = rng.choice([labels, labels + 7, -1.0])
    rows = rows[:, -len(columns.names) :]
    answers = onnx(found.onnx(task, rows.shape[1]), task)(rows)
    assert farthest(answers, estimator(fitted, task)(rows), task) <= 1e-6


def test_what_stands_before_in_another_way_is_left_to_others() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 2))
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, rows[:, 0] > 0)
    assert read(fitted) is None


def test_classes_one_by_one_are_refused() -> None:
    fitted = LogisticRegression(solver="liblinear").fit([[0.0], [1.0]] * 5, [0, 1] * 5)
    assert read(fitted) is not None
    fitted.coef_ = np.ones((3, 1))
    with pytest.raises(UnreadableError, match="each class against all others"):
        read(fitted)
