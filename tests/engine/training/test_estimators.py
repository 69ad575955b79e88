"""The estimator is the one that conf/ names, and nothing else can be imported."""

from typing import Any

import numpy as np
import pytest

from mlops.config.settings import Model, Training
from mlops.contract import Task
from mlops.features.encoding import Encoder
from mlops.training.estimators import EstimatorError, build

ENCODER = Encoder(("a", "b"), ("a", "b"), (1,), ("a", "b"), {})
LOGISTIC = "sklearn.linear_model.LogisticRegression"


def made(
    target: str, inputs: str = "codes", task: Task = "binary", training: Any = None, **given: Any
) -> Any:
    model = Model(target=target, inputs=inputs, tasks=[task], parameters=given)  # type: ignore[arg-type]
    return build(model, training or Training(), task, ENCODER, seed=3)


def test_parameters_and_seed_arrive() -> None:
    estimator = made("sklearn.ensemble.RandomForestClassifier", n_estimators=7)
    assert estimator.get_params()["n_estimators"] == 7
    assert estimator.get_params()["random_state"] == 3


def test_nested_estimators_are_built() -> None:
    base = {"_target_": "sklearn.linear_model.Ridge", "alpha": 2.0}
    stacked = made("sklearn.ensemble.BaggingRegressor", task="regression", estimator=base)
    assert stacked.estimator.alpha == 2.0


def test_class_weight_arrives() -> None:
    assert made(LOGISTIC, training=Training(class_weight="balanced")).class_weight == "balanced"


def test_onehot_takes_missing_and_unseen_codes() -> None:
    matrix = np.array([[1, 0], [2, 1], [np.nan, 2], [4, np.nan]], np.float32)
    fitted = made(LOGISTIC, inputs="onehot").fit(matrix, [0, 1, 0, 1])
    assert np.isfinite(fitted.predict_proba(np.array([[0, 9], [np.nan, np.nan]]))).all()


@pytest.mark.parametrize(
    ("target", "given", "said"),
    [
        ("os.system", {"command": "true"}, "os.system is not allowed"),
        ("sklearnx.Model", {}, "is not allowed"),
        (
            "sklearn.ensemble.BaggingClassifier",
            {"estimator": {"_target_": "subprocess.run", "args": "true"}},
            "subprocess.run is not allowed",
        ),
        (
            "sklearn.pipeline.Pipeline",
            {"steps": [["a", {"_target_": "builtins.eval"}]]},
            "builtins.eval is not allowed",
        ),
        ("sklearn.datasets._base.os.system", {"command": "true"}, "is not allowed"),
        (LOGISTIC, {"Cc": 1}, "cannot be built"),
        ("sklearn.linear_model.Nothing", {}, "cannot be built"),
        ("sklearn.metrics.get_scorer_names", {}, "is not allowed"),
        ("sklearn.model_selection.KFold", {}, "is no estimator"),
    ],
)
def test_what_must_not_be_built_is_refused(target: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(EstimatorError, match=said):
        made(target, **given)


@pytest.mark.parametrize(
    ("target", "task", "training", "said"),
    [
        (
            "sklearn.dummy.DummyClassifier",
            "binary",
            Training(class_weight="balanced"),
            "takes none",
        ),
        ("sklearn.linear_model.Ridge", "regression", Training(class_weight="balanced"), "none"),
        ("sklearn.linear_model.Ridge", "regression", Training(calibration="sigmoid"), "no prob"),
    ],
)
def test_settings_that_do_not_apply(target: str, task: Task, training: Any, said: str) -> None:
    with pytest.raises(EstimatorError, match=said):
        made(target, task=task, training=training)
