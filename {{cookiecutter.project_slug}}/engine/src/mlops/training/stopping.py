"""Early stopping: how many rounds of boosting, told by folds of the rows' hashes."""

import math
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from ..errors import ProjectError
from ..runtime.target_encoding import TargetEncoded

Fold = tuple[np.ndarray, np.ndarray]  # row indices that train, and that tell when to stop
NO_GPU = ".*(No visible GPU|from GPU to CPU)"  # what XGBoost warns of where it finds none
COUNTS = ("n_estimators", "max_iter", "iterations")  # what libraries call the number of rounds


class StoppingError(ProjectError):
    """The model cannot be stopped early."""


class Stopped(NamedTuple):
    """The rounds of a fit to all rows: the mean, rounded up, of the best number of each fold."""

    rounds: int
    most: int
    folds: tuple[int, ...]

    def told(self) -> dict[str, Any]:
        """Return it as training.json holds it."""
        return {"rounds": self.rounds, "most": self.most, "folds": list(self.folds)}


class Rows(NamedTuple):
    """A matrix with its target, weights where there are some, and folds of a target encoding."""

    matrix: np.ndarray
    target: np.ndarray
    weights: np.ndarray | None = None
    apart: np.ndarray | None = None

    def at(self, rows: np.ndarray) -> "Rows":
        """Return some of the rows."""
        weights, apart = (
            None if part is None else part[rows] for part in (self.weights, self.apart)
        )
        return Rows(self.matrix[rows], self.target[rows], weights, apart)


def stop(
    model: Any, rows: Rows, folds: Sequence[Fold], patience: int, categorical: Sequence[int] = ()
) -> Stopped:
    """Set the rounds of an unfitted model to those after which held-out rows gained nothing.

    On each fold it is fitted until the library's own loss on the rows of the fold has not improved
    for `patience` rounds. `model` may have steps, a transformation or a calibration around it;
    `categorical` are columns of codes, which LightGBM is told when it is fitted. Raises
    StoppingError for a model that has no rounds.
    """
    steps, booster, transform = _taken_apart(model)
    known = booster.get_params()
    name = next((count for count in COUNTS if known.get(count)), None)
    library = _library(booster)
    if name is None or library is None:
        raise StoppingError(
            f"{type(booster).__name__} has no rounds that could be stopped early: set "
            "training.early_stopping.rounds to 0, or choose lightgbm, boosting, xgboost or catboost"
        )
    found = []
    for train, test in folds:
        training, held = rows.at(train), rows.at(test)
        if transform is not None:
            training = training._replace(target=transform(training.target))
            held = held._replace(target=transform(held.target))
        if steps is not None:
            before, told = clone(steps), {}
            if isinstance(before[0], TargetEncoded) and training.apart is not None:
                told["targetencoded__folds"] = training.apart
            matrix = before.fit_transform(training.matrix, training.target, **told)
            training = training._replace(matrix=matrix)
            held = held._replace(matrix=before.transform(held.matrix))
        with warnings.catch_warnings():
            # What is said below, or in the line of the stage.
            warnings.filterwarnings("ignore", "Early stopping is not available in dart mode")
            warnings.filterwarnings("ignore", NO_GPU, UserWarning)
            found.append(library(clone(booster), training, held, patience, categorical))
    if min(found) < 1:
        raise StoppingError(
            f"{type(booster).__name__} did not say after how many rounds it was best (as with "
            "boosting_type dart): set training.early_stopping.rounds to 0"
        )
    best = Stopped(math.ceil(float(np.mean(found))), int(known[name]), tuple(found))
    booster.set_params(**{name: best.rounds})
    return best


def _taken_apart(model: Any) -> tuple[Any, Any, Callable[[np.ndarray], np.ndarray] | None]:
    """Return the steps before the booster, if any, the booster, and what changes the target."""
    transform = None
    while True:
        if (inner := getattr(model, "regressor", None)) is not None:
            transform, model = model.func, inner
        elif isinstance(model, Pipeline):
            before, (_, last) = model[:-1], model.steps[-1]
            return before, last, transform
        elif (inner := getattr(model, "estimator", None)) is not None:
            model = inner
        else:
            return None, model, transform


def _library(booster: Any) -> Callable[..., int] | None:
    modules = [f"{kind.__module__}." for kind in type(booster).__mro__]
    for prefix, stopped in LIBRARIES.items():
        if any(module.startswith(prefix) for module in modules):
            return stopped
    return None


def _lightgbm(
    booster: Any, training: Rows, held: Rows, patience: int, categorical: Sequence[int]
) -> int:
    import lightgbm

    told: dict[str, Any] = {"categorical_feature": list(categorical)} if categorical else {}
    weights = None if held.weights is None else [held.weights]
    booster.fit(
        training.matrix,
        training.target,
        sample_weight=training.weights,
        eval_X=(held.matrix,),
        eval_y=(held.target,),
        eval_sample_weight=weights,
        callbacks=[lightgbm.early_stopping(patience, verbose=False)],
        **told,
    )
    return int(booster.best_iteration_ or 0)


def _xgboost(booster: Any, training: Rows, held: Rows, patience: int, *_: Any) -> int:
    booster.set_params(early_stopping_rounds=patience)
    booster.fit(
        training.matrix,
        training.target,
        sample_weight=training.weights,
        eval_set=[(held.matrix, held.target)],
        sample_weight_eval_set=None if held.weights is None else [held.weights],
        verbose=False,
    )
    return int(booster.best_iteration) + 1


def _catboost(booster: Any, training: Rows, held: Rows, patience: int, *_: Any) -> int:
    pool = import_module("catboost").Pool  # no project has it that has not chosen it
    booster.fit(
        pool(training.matrix, training.target, weight=training.weights),
        eval_set=pool(held.matrix, held.target, weight=held.weights),
        early_stopping_rounds=patience,
    )
    return int(booster.get_best_iteration()) + 1


def _histogram(booster: Any, training: Rows, held: Rows, patience: int, *_: Any) -> int:
    booster.set_params(early_stopping=True, n_iter_no_change=patience, scoring="loss", tol=0.0)
    booster.fit(
        training.matrix,
        training.target,
        sample_weight=training.weights,
        X_val=held.matrix,
        y_val=held.target,
        sample_weight_val=held.weights,
    )
    # The first score is that of no round.
    return max(1, int(np.argmax(booster.validation_score_)))


LIBRARIES: dict[str, Callable[..., int]] = {
    "lightgbm.": _lightgbm,
    "xgboost.": _xgboost,
    "catboost.": _catboost,
    "sklearn.ensemble._hist_gradient_boosting.": _histogram,
}
