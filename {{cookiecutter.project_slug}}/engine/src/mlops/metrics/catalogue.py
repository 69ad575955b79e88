"""The metrics by name: which tasks they suit, and whether more is better."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..contract import Task
from ..errors import ProjectError
from . import binary, multiclass, regression
from .arrays import Array, Index

Rows = binary.Binary | multiclass.Multiclass | regression.Regression
Function = Callable[[Any, Array], Array]
SLACK = 1e-6  # by which rounding may take a float32 probability out of range


class MetricError(ProjectError):
    """A metric that does not exist, or predictions that cannot be measured."""


class Metric(NamedTuple):
    """One metric: its title in reports, its direction, its function for each task that has it.

    A function takes rows (`Rows`) and weights (draws, rows) and returns a value a draw.
    `unit` says that its values lie between 0 and 1.
    """

    title: str
    greater_is_better: bool
    functions: Mapping[Task, Function]
    unit: bool = True


METRICS: dict[str, Metric] = {
    "roc_auc": Metric("ROC AUC", True, {"binary": binary.roc_auc}),
    "average_precision": Metric("Average precision", True, {"binary": binary.average_precision}),
    "log_loss": Metric(
        "Log loss",
        False,
        {"binary": binary.log_loss, "multiclass": multiclass.log_loss},
        unit=False,
    ),
    "brier": Metric(
        "Brier score", False, {"binary": binary.brier, "multiclass": multiclass.brier}, unit=False
    ),
    "accuracy": Metric(
        "Accuracy", True, {"binary": binary.accuracy, "multiclass": multiclass.accuracy}
    ),
    "f1": Metric("F1", True, {"binary": binary.f1}),
    "macro_f1": Metric("Macro F1", True, {"multiclass": multiclass.macro_f1}),
    "roc_auc_ovr": Metric("ROC AUC, one vs rest", True, {"multiclass": multiclass.roc_auc_ovr}),
    "ece": Metric(
        "Calibration error (ECE)", False, {"binary": binary.ece, "multiclass": multiclass.ece}
    ),
    "rmse": Metric("RMSE", False, {"regression": regression.rmse}, unit=False),
    "mae": Metric("Mean absolute error", False, {"regression": regression.mae}, unit=False),
    "r2": Metric("R²", True, {"regression": regression.r2}, unit=False),
}


def allowed(task: Task) -> tuple[str, ...]:
    """Return the names of the metrics that this task has."""
    return tuple(name for name, metric in METRICS.items() if task in metric.functions)


def check(names: Iterable[str], task: Task) -> None:
    """Raise MetricError, naming the allowed ones, for a metric that this task does not have."""
    for name in names:
        if name not in allowed(task):
            raise MetricError(
                f"evaluation.metrics: there is no metric {name!r} for a {task} target: "
                f"choose from {', '.join(allowed(task))}"
            )


def prepare(
    task: Task,
    target: NDArray[Any],
    predictions: NDArray[Any],
    rows: Index | None = None,
    threshold: float = 0.5,
) -> Rows:
    """Sort what can be sorted once; `rows` picks some of the rows (all without it).

    `threshold` is the probability above which the last of two labels is the decision.

    Raises MetricError for predictions of the wrong shape, that are not finite or, for a
    class, not probabilities.
    """
    _check_predictions(task, target, predictions)
    if rows is None:
        rows = np.arange(len(target))
    values = predictions[rows].astype(np.float64)
    match task:
        case "binary":
            return binary.Binary(target[rows], np.clip(values, 0, 1), rows, threshold)
        case "multiclass":
            return multiclass.Multiclass(target[rows], np.clip(values, 0, 1), rows)
        case "regression":
            return regression.Regression(target[rows], values, rows)


def values(rows: Rows, names: Iterable[str], task: Task, weights: Array) -> Array:
    """Return every named metric (draws, metrics) of `rows` under weights (draws, all rows)."""
    mine = np.take(weights, rows.rows, axis=1)
    return np.column_stack([METRICS[name].functions[task](rows, mine) for name in names])


def compute(
    task: Task,
    names: Iterable[str],
    target: NDArray[Any],
    predictions: NDArray[Any],
    weights: ArrayLike | None = None,
    threshold: float = 0.5,
) -> dict[str, float]:
    """Return the named metrics of some predictions; NaN where one is undefined."""
    names = tuple(names)
    check(names, task)
    given = np.ones(len(target)) if weights is None else np.asarray(weights, dtype=np.float64)
    row = values(
        prepare(task, target, predictions, threshold=threshold), names, task, given[None, :]
    )[0]
    return dict(zip(names, row.tolist(), strict=True))


def _check_predictions(task: Task, target: NDArray[Any], predictions: NDArray[Any]) -> None:
    """Refuse what would otherwise sort or average to a plausible figure."""
    if len(predictions) != len(target) or predictions.ndim != (2 if task == "multiclass" else 1):
        raise MetricError(
            f"{len(target)} rows got predictions of shape {predictions.shape}: "
            "train the model again with `dvc repro`"
        )
    if not np.isfinite(predictions).all():
        raise MetricError(
            f"{int((~np.isfinite(predictions)).sum())} of the predictions are not finite numbers: "
            "look at the model's parameters and the range of its inputs"
        )
    low, high = predictions.min(initial=0.0), predictions.max(initial=0.0)
    if task != "regression" and (low < -SLACK or high > 1 + SLACK):
        raise MetricError(
            f"the predictions lie between {low:g} and {high:g} and are no probabilities: "
            "choose a model that has predict_proba"
        )
