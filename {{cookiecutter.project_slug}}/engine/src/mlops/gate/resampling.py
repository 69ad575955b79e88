"""Figures of several models on the same holdout rows, under the same bootstrap weights."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..evaluation.evaluate import MANY_ROWS
from ..metrics import bootstrap, catalogue
from ..metrics.arrays import Array, Index
from ..metrics.bootstrap import Estimate
from .case import Case
from .rule import Finding

By = Literal["value", "bound"]
Sides = Literal["one", "two"]

TAIL_DRAWS = 5  # draws that must lie outside an interval, or its ends are guesses


class ResamplingError(ValueError):
    """The policy's resamples or confidence, or a model's answers, cannot give an interval."""


def level(case: Case, sides: Sides = "two") -> float:
    """Return the share of draws inside the interval; one-sided, the whole error is in one tail."""
    error = 1 - case.confidence
    if not 0 < error < 0.5:
        raise ResamplingError(f"confidence is {case.confidence:g}: give one from 0.5 to 1")
    if case.resamples * error < TAIL_DRAWS:
        raise ResamplingError(
            f"{case.resamples} resamples are too few for a confidence of {case.confidence:g}: "
            f"give {math.ceil(TAIL_DRAWS / error)} or more"
        )
    return 1 - error if sides == "two" else 1 - 2 * error


def draws(
    case: Case,
    statistic: Callable[[Array], Array],
    order: Index | None = None,
    parts: Sequence[Index | None] = (None,),
) -> Array:
    """Return `statistic` (weights (draws, rows) to (draws, figures)) of every resample.

    Drawn are the units of the holdout. `order` is how the statistic lists the rows, and `parts`
    which of them, so listed, each equal share of the figures rests on.
    """
    codes = [one if order is None else one[order] for one in case.units.codes]
    rows = len(case.target)
    threads = 2 if rows >= MANY_ROWS else 1
    return bootstrap.resample(statistic, rows, case.resamples, case.seed, codes, threads, parts)


def figures(
    case: Case,
    names: Sequence[str],
    models: Sequence[NDArray[Any]],
    parts: Sequence[Index] | None = None,
) -> tuple[Array, Array]:
    """Return metrics (models, parts, names), and their draws (resamples, models, parts, names).

    `models` are predictions, `parts` row positions (all rows without it). Every model is
    measured under the same weights, so that differences of draws are paired.
    """
    task = case.settings.data.task
    threshold = case.settings.evaluation.threshold
    catalogue.check(names, task)
    if any(len(model) != len(case.target) for model in models):
        raise ResamplingError("a model did not answer for every holdout row")
    # In the order of the first model, neighbours in memory stay neighbours for similar models.
    order = np.argsort(-models[0], kind="stable") if task == "binary" else _in_order(case)
    place = np.empty(len(order), dtype=np.intp)
    place[order] = _in_order(case)
    chosen = [None] if parts is None else [np.sort(place[part]) for part in parts]
    samples = [
        catalogue.prepare(task, case.target[order], model[order], rows, threshold)
        for model in models
        for rows in chosen
    ]

    def measured(weights: Array) -> Array:
        return np.hstack([catalogue.values(rows, names, task, weights) for rows in samples])

    shape = (len(models), len(chosen), len(names))
    plain = measured(np.ones((1, len(order)))).reshape(shape)
    drawn = draws(case, measured, order, chosen * len(models))
    return plain, drawn.reshape(-1, *shape)


def signs(names: Sequence[str]) -> Array:
    """Return 1 for each metric of which more is better and -1 for the others."""
    known = catalogue.known()
    return np.array([1.0 if known[name].greater_is_better else -1.0 for name in names])


def bounded(
    estimate: Estimate,
    threshold: float,
    said: str,
    part: str = "",
    *,
    by: By = "bound",
    at_least: bool = True,
    strictly: bool = False,
) -> Finding:
    """Return the finding of an estimate, or of the bad end of its interval, within `threshold`.

    `strictly` refuses equality. A figure or interval that is not finite is rejected.
    """
    value, low, high = estimate.value, estimate.low, estimate.high
    if not all(map(math.isfinite, (value, low, high, threshold))):
        reason = f"{said} cannot be computed on these rows"
        if math.isfinite(value):
            reason = (
                f"{said} is {value:.4g}, but has no interval: too few rows of some class, or too "
                "few units, to draw them again; add rows to data/raw, or hold out more"
            )
        return Finding("rejected", reason, part, *map(_finite, (value, low, high, threshold)))
    figure = value if by == "value" else low if at_least else high
    margin = figure - threshold if at_least else threshold - figure
    passed = margin > 0 if strictly else margin >= 0
    wanted = ("above" if strictly else "at least") if at_least else "at most"
    must = f"{'it' if by == 'value' else 'its bound'} must be {wanted} {threshold:.4g}"
    reason = f"{said} is {value:.4g} ({low:.4g} to {high:.4g}): {must}"
    return Finding("passed" if passed else "rejected", reason, part, value, low, high, threshold)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _in_order(case: Case) -> Index:
    return np.arange(len(case.target))
