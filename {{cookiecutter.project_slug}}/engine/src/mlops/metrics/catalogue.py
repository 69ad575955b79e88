"""The metrics by name, the owner's beside ours: which tasks they suit, which way is better."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import owner
from ..contract import Task
from ..errors import ProjectError
from . import binary, multiclass, regression
from .arrays import Array, Index
from .bootstrap import Estimate

Rows = binary.Binary | multiclass.Multiclass | regression.Regression
Function = Callable[[Any, Array], Array]
Owned = TypeVar("Owned", bound=Callable[..., Any])

OWN = "policy.metrics"  # src/policy/metrics.py
SLACK = 1e-6  # by which rounding may take a float32 probability out of range


class MetricError(ProjectError):
    """A metric that does not exist or fails, or predictions that cannot be measured."""


class Metric(NamedTuple):
    """One metric: its title in reports, its direction, its function for each task that has it.

    A function takes rows (`Rows`) and weights (draws, rows) and returns a value a draw.
    `unit` says that its values lie between 0 and 1; those of others from `least` to `most`.
    """

    title: str
    greater_is_better: bool
    functions: Mapping[Task, Function]
    unit: bool = True
    least: float = -math.inf
    most: float = math.inf

    def within(self, found: Estimate) -> Estimate:
        """Return an estimate whose interval ends where the metric's values do.

        Where no value can lie nothing is lost: the interval holds the truth as often as before.
        """
        ends = (0.0, 1.0) if self.unit else (self.least, self.most)
        low, high = np.clip([found.low, found.high], *ends).tolist()
        return found._replace(low=low, high=high)


METRICS: dict[str, Metric] = {
    "roc_auc": Metric("ROC AUC", True, {"binary": binary.roc_auc}),
    "average_precision": Metric("Average precision", True, {"binary": binary.average_precision}),
    "log_loss": Metric(
        "Log loss",
        False,
        {"binary": binary.log_loss, "multiclass": multiclass.log_loss},
        unit=False,
        least=0,
    ),
    "brier": Metric(
        "Brier score",
        False,
        {"binary": binary.brier, "multiclass": multiclass.brier},
        unit=False,
        least=0,
        most=2,
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
    "rmse": Metric("RMSE", False, {"regression": regression.rmse}, unit=False, least=0),
    "mae": Metric(
        "Mean absolute error", False, {"regression": regression.mae}, unit=False, least=0
    ),
    "r2": Metric("R²", True, {"regression": regression.r2}, unit=False, most=1),
}


def metric(
    *,
    title: str,
    greater_is_better: bool,
    tasks: Iterable[Task],
    unit: bool = False,
    least: float = -math.inf,
    most: float = math.inf,
    vectorised: bool = False,
) -> Callable[[Owned], Owned]:
    """Make a function of src/policy/metrics.py a metric, under the function's name.

    It takes target, predictions and weights, one of each a row, and returns a number, NaN where
    it is undefined; one that has a parameter `threshold` is given `evaluation.threshold`. The
    target is 0 or 1, a class code, or a number; predictions are the probability of the last
    label, a probability of each class (rows, classes), or a number. Rows come in any order, and
    one of weight 2 counts twice. `vectorised` takes weights (draws, rows) and returns (draws,).
    `unit` says that the values lie between 0 and 1, else `least` and `most` where intervals end.
    """
    suited = tuple(tasks)
    if not suited or not set(suited) <= set(get_args(Task)):
        raise MetricError(f"`tasks` of a metric are some of {', '.join(get_args(Task))}")

    def declared(function: Owned) -> Owned:
        if function.__name__ in METRICS:
            raise MetricError(
                f"there is a metric {function.__name__} already, of the engine: rename yours"
            )
        measured = _adapted(function, vectorised)
        found = Metric(title, greater_is_better, dict.fromkeys(suited, measured), unit, least, most)
        vars(function)["metric"] = found
        return function

    return declared


def known() -> Mapping[str, Metric]:
    """Return every metric by name: ours, then those of src/policy/metrics.py."""
    return {**METRICS, **own()}


def own() -> Mapping[str, Metric]:
    """Return the metrics of src/policy/metrics.py by name."""
    module = owner.module(OWN)
    return {} if module is None else _declared(module)


@cache
def _declared(module: ModuleType) -> Mapping[str, Metric]:
    functions = [value for value in vars(module).values() if inspect.isfunction(value)]
    marked = {one.__name__: vars(one).get("metric") for one in functions}
    return {name: one for name, one in marked.items() if isinstance(one, Metric)}


def allowed(task: Task) -> tuple[str, ...]:
    """Return the names of the metrics that this task has."""
    return tuple(name for name, metric in known().items() if task in metric.functions)


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
    mine, all_metrics = np.take(weights, rows.rows, axis=1), known()
    return np.column_stack([all_metrics[name].functions[task](rows, mine) for name in names])


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


def _adapted(function: Callable[..., Any], vectorised: bool) -> Function:
    """Return an owner's function as one of rows and weights (draws, rows)."""
    decides = "threshold" in inspect.signature(function).parameters
    file = owner.shown(Path(function.__code__.co_filename))
    place = f"{file}:{function.__code__.co_firstlineno}"

    def measured(rows: Rows, weights: Array) -> Array:
        answers = rows.predictions
        more = {"threshold": getattr(rows, "threshold", 0.5)} if decides else {}
        try:
            # NaN is how a metric says that it is undefined, which warns of nothing.
            with np.errstate(divide="ignore", invalid="ignore"):
                if vectorised:
                    told = function(rows.target, answers, weights, **more)
                else:
                    told = [function(rows.target, answers, drawn, **more) for drawn in weights]
                found = np.asarray(told, dtype=np.float64)
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise MetricError(
                f"the metric {function.__name__} ({place}) fails ({reason}): mend it there"
            ) from error
        if found.shape != (len(weights),):
            wanted = "one number a draw" if vectorised else "a number"
            raise MetricError(
                f"the metric {function.__name__} ({place}) returned values of shape "
                f"{found.shape[1 - vectorised :]}: return {wanted}"
            )
        return found

    return measured


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
