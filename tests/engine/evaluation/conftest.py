"""One small holdout for each task, with names and labels that would break careless HTML."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from mlops.config.settings import (
    Evaluation,
    Features,
    Model,
    Settings,
    Slices,
    Split,
    Training,
    Tuning,
)
from mlops.contract import Contract

HOSTILE = "<script>alert('&')</script>"
METRICS = {
    "binary": ["roc_auc", "average_precision", "log_loss", "brier", "accuracy", "f1", "ece"],
    "multiclass": ["log_loss", "accuracy", "macro_f1", "roc_auc_ovr", "brier", "ece"],
    "regression": ["rmse", "mae", "r2"],
}
TARGETS = {
    "binary": {"type": "boolean", "role": "target"},
    "multiclass": {"type": "category", "categories": ["a", HOSTILE, "c"], "role": "target"},
    "regression": {"type": "number", "role": "target"},
}


class Case(NamedTuple):
    """What `evaluation` takes, in its order."""

    settings: Settings
    columns: dict[str, Any]
    target: Any
    predictions: Any
    predict: Callable[[Any], Any]
    matrix: Any
    features: dict[str, list[int]]


def predictor(task: str) -> Callable[[Any], Any]:
    """Return a model of the first column of the matrix alone."""

    def predict(matrix: Any) -> Any:
        signal = matrix[:, 0].astype(np.float64)
        if task == "regression":
            return 3 * signal
        if task == "binary":
            return 1 / (1 + np.exp(-signal))
        scores = np.exp(np.column_stack([signal, -signal, np.zeros_like(signal)]))
        return scores / scores.sum(axis=1, keepdims=True)

    return predict


def make(task: str, rows: int = 400) -> Case:
    """Return a holdout on which the model is as good as the noise allows."""
    generator = np.random.default_rng(7)
    declared = {
        "signal": {"type": "number"},
        HOSTILE: {"type": "category", "categories": ["x", HOSTILE], "nullable": True},
        "flag": {"type": "boolean", "role": "sensitive"},
        "rare": {"type": "category", "categories": ["often", "seldom"]},
        "household": {"type": "integer", "role": "group"},
        "y": TARGETS[task],
    }
    contract = msgspec.convert({"name": HOSTILE, "task": task, "columns": declared}, Contract)
    columns: dict[str, Any] = {
        "signal": generator.normal(size=rows),
        HOSTILE: generator.choice([0.0, 1.0, np.nan], rows),
        "flag": generator.integers(0, 2, rows).astype(float),
        "rare": (np.arange(rows) < 5).astype(float),
        "household": np.arange(rows) // 4 + 0.0,
    }
    names = ("signal", HOSTILE, "flag", "rare")
    matrix = np.column_stack([columns[name] for name in names]).astype(np.float32)
    predict = predictor(task)
    predictions = predict(matrix)
    if task == "regression":
        target = predictions + generator.normal(size=rows)
    elif task == "binary":
        target = (generator.random(rows) < predictions).astype(np.int64)
    else:
        target = (generator.random((rows, 1)) > predictions.cumsum(axis=1)[:, :2]).sum(axis=1)
    columns["y"] = target.astype(float)
    settings = Settings(
        seed=1,
        data=contract,
        split=Split("hash"),
        features=Features(),
        model=Model("sklearn.ensemble.HistGradientBoosting", "codes", [contract.task], {}),
        training=Training(),
        tuning=Tuning(),
        evaluation=Evaluation(
            METRICS[task][0], METRICS[task], resamples=40, slices=Slices(min_rows=20)
        ),
    )
    features = {name: [at] for at, name in enumerate(names)}
    return Case(settings, columns, target, predictions, predict, matrix, features)


@pytest.fixture(params=["binary", "multiclass", "regression"])
def case(request: pytest.FixtureRequest) -> Case:
    """Each task in turn."""
    return make(request.param)


@pytest.fixture
def binary_case() -> Case:
    """A holdout with a binary target."""
    return make("binary")
