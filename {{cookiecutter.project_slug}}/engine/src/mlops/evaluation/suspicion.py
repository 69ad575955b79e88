"""What makes a figure hard to believe: a score too good to be true, a model on one feature."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import Task
from ..metrics import catalogue
from ..metrics.arrays import Array
from .importance import Importance

TOO_GOOD = 0.98
METRICS: dict[Task, str] = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "r2"}
LEANS = 0.8  # share of what all features together contribute
FEATURES = 3  # of fewer, one may well carry the model
LEAST = 0.1  # of a score, which a feature must carry to be leant on


def suspicions(
    task: Task, target: NDArray[Any], predictions: Array, importances: Sequence[Importance]
) -> list[str]:
    """Return in a sentence each what should be looked at before the figures are believed."""
    return [*too_good(task, target, predictions), *_leaning(importances)]


def too_good(task: Task, target: NDArray[Any], predictions: Array) -> list[str]:
    """Say where a score is better than most questions allow."""
    if task != "regression" and len(np.unique(target)) < 2:
        return []
    metric = METRICS[task]
    found = catalogue.compute(task, [metric], target, predictions)[metric]
    if not found >= TOO_GOOD:
        return []
    title = catalogue.known()[metric].title
    return [
        f"{title} {found:.4g} is too good to be true for most questions: is every feature known "
        "when predicting?"
    ]


def _leaning(importances: Sequence[Importance]) -> list[str]:
    helping = [one for one in importances if one.drop > 0]
    if len(importances) < FEATURES or not helping:
        return []
    most = max(helping, key=lambda one: one.drop)
    share = most.drop / sum(one.drop for one in helping)
    if share < LEANS or most.drop < LEAST:
        return []
    return [
        f"the model leans on {most.feature}, which carries {share:.0%} of what its "
        f"{len(importances)} features contribute: is it known when predicting?"
    ]
