"""Predictions for training rows by models that have not seen them."""

from typing import Any, NamedTuple

import numpy as np

from ..compute.backend import backend
from ..contract import Task
from ..runtime.model import estimator

Predictions = np.ndarray


class CrossFit(NamedTuple):
    """`own`: each training row by the model of the other folds. `other`: (folds, other rows, …)."""

    own: Predictions
    other: Predictions


def cross_fit(
    task: Task,
    matrix: np.ndarray,
    target: np.ndarray,
    fold: np.ndarray,
    other: np.ndarray,
    classes: int,
    seed: int = 0,
) -> CrossFit:
    """Predict every row of `matrix` out of fold, and `other` by the same models.

    Classes have a column of probabilities each, two classes as well; a number has none. The
    models are small boosted trees, whatever the experiment trains: all that is asked of them is
    what the columns say about the target.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    width = () if task == "regression" else (classes,)

    def answered(test: int) -> tuple[Predictions, Predictions]:
        rows = fold == test
        model = kind(
            max_iter=40,
            learning_rate=0.15,
            max_leaf_nodes=15,
            min_samples_leaf=40,
            early_stopping=False,
            random_state=seed,
        ).fit(matrix[~rows], target[~rows])
        return (
            _answers(model, task, matrix[rows], classes),
            _answers(model, task, other, classes),
        )

    own, others = np.zeros((len(target), *width)), []
    tests = np.unique(fold).tolist()
    with backend() as pool:
        for test, (held, beside) in zip(tests, pool.map(answered, tests), strict=True):
            own[fold == test] = held
            others.append(beside)
    return CrossFit(own, np.array(others))


def _answers(model: Any, task: Task, matrix: np.ndarray, classes: int) -> Predictions:
    """Return predictions with a column for every class, also for those that a fold had not."""
    if task == "regression":
        return estimator(model, task)(matrix)
    answers = np.zeros((len(matrix), classes))
    answers[:, model.classes_.astype(np.intp)] = estimator(model, "multiclass")(matrix)
    return answers
