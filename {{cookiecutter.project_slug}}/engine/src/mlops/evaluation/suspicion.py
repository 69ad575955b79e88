"""What makes a figure hard to believe: a score too good to be true, a model on one feature."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.settings import Settings
from ..contract import Task
from ..metrics import catalogue
from ..metrics.arrays import Array
from .importance import Importance
from .intervals import Coverage

TOO_GOOD = 0.98
# An AUC of 0.8 is then known within 0.07 on either side (Hanley and McNeil, The meaning and use of
# the area under a ROC curve, Radiology 143, 1982), an RMSE within a fifth.
LEAST_OF_A_CLASS = 20  # rows in the holdout
LEAST = 50
NAMED = 3
METRICS: dict[Task, str] = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "r2"}
LEANS = 0.8  # share of what all features together contribute
FEATURES = 3  # of fewer, one may well carry the model
LEAST_CARRIED = 0.1  # of a score, which a feature must carry to be leant on


def suspicions(
    task: Task, target: NDArray[Any], predictions: Array, importances: Sequence[Importance]
) -> list[str]:
    """Return in a sentence each what should be looked at before the figures are believed."""
    leaning = _leaning(importances)
    good = too_good(task, target, predictions)
    if good and not leaning and (named := _carrying(importances)):
        good = [f"{good[0]} It rests most on {named}"]
    return [*good, *leaning]


def scarce(settings: Settings, target: NDArray[Any]) -> list[str]:
    """Say which class, or that the whole holdout, has too few rows, and what would be enough."""
    data, rows = settings.data, len(target)
    share = settings.split.holdout if settings.split.method != "time" else None
    if data.task == "regression":
        if rows >= LEAST:
            return []
        return [
            f"{rows:,} holdout rows are too few to tell one model from another: {LEAST} would do"
        ]
    counts = np.bincount(target, minlength=len(data.labels))
    rare = [place for place in np.argsort(counts) if counts[place] < LEAST_OF_A_CLASS]
    if not rare:
        return []
    told = ", ".join(f"{data.labels[place]!r} in {counts[place]:,}" for place in rare[:NAMED])
    more = f" ({len(rare) - NAMED} more classes are as rare)" if len(rare) > NAMED else ""
    enough = f"{LEAST_OF_A_CLASS} of each class would do"
    if share is not None:
        enough += f", which is about {round(LEAST_OF_A_CLASS / share):,} in data/raw"
    return [
        f"{data.target} is {told} of {rows:,} holdout rows{more}, too few to tell one model from "
        f"another: {enough}"
    ]


def missed(settings: Settings, covered: Coverage | None) -> list[str]:
    """Say where intervals hold the truth less often than is promised, beyond chance."""
    if covered is None:
        return []
    what = "intervals" if settings.data.task == "regression" else "sets of labels"
    parts = [(part.name, found) for part, found in covered.missed]
    if covered.overall.high < covered.promised:
        parts = [("all rows", covered.overall), *parts]
    if not parts:
        return []
    told = ", ".join(f"{found.value:.1%} of {name}" for name, found in parts[:NAMED])
    more = f" and of {len(parts) - NAMED} more slices less than that" if len(parts) > NAMED else ""
    remedy = "the holdout is not as the calibration rows are"
    features = [
        part.column
        for part, _ in covered.missed
        if "feature" in settings.data.columns[part.column].roles
    ]
    if features and settings.data.intervals and settings.data.intervals.by not in features:
        remedy = f"`intervals: {{by: {features[0]}}}` in conf/data measures them for each label"
    return [f"{what} promise to hold {covered.promised:.1%} and hold {told}{more}: {remedy}"]


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


def _carrying(importances: Sequence[Importance]) -> str:
    """Name the features that carry most of a score, each with its share of what all contribute."""
    helping = sorted((one for one in importances if one.drop > 0), key=lambda one: -one.drop)
    whole = sum(one.drop for one in helping)
    return ", ".join(f"{one.feature} ({one.drop / whole:.0%})" for one in helping[:NAMED])


def _leaning(importances: Sequence[Importance]) -> list[str]:
    helping = [one for one in importances if one.drop > 0]
    if len(importances) < FEATURES or not helping:
        return []
    most = max(helping, key=lambda one: one.drop)
    share = most.drop / sum(one.drop for one in helping)
    if share < LEANS or most.drop < LEAST_CARRIED:
        return []
    return [
        f"the model leans on {most.feature}, which carries {share:.0%} of what its "
        f"{len(importances)} features contribute: is it known when predicting?"
    ]
