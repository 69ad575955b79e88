"""Everything that is measured on one holdout, and its figures as metrics.json holds them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config.settings import Evaluation
from ..contract import Task
from ..metrics import bootstrap, catalogue
from ..metrics.arrays import Array, mean
from ..metrics.bootstrap import Estimate
from .slices import Slice
from .units import Units

DIGITS = 6
ROWS = Units((), (), "rows")

Estimates = dict[str, Estimate]


class Measurement(NamedTuple):
    """Each metric with its interval, on the holdout and on each judged slice.

    `slices` pairs every slice with its metrics, None where it has too few rows to be judged.
    `units` is what was resampled.
    """

    rows: int
    overall: Estimates
    slices: list[tuple[Slice, Estimates | None]]
    units: Units

    def figures(self) -> dict[str, Any]:
        """Return what `dvc metrics` shows: rounded, with null for what is undefined."""
        return {
            "holdout": _figures(self.overall),
            "slices": {
                part.name: {"rows": len(part.rows)} | (_figures(estimates) if estimates else {})
                for part, estimates in self.slices
            },
            "rows": {"holdout": self.rows},
        }


def measure(
    task: Task,
    target: NDArray[Any],
    predictions: Array,
    parts: Sequence[Slice],
    evaluation: Evaluation,
    seed: int,
    drawn: Units = ROWS,
    threads: int = 1,
) -> Measurement:
    """Measure holdout and slices under the same bootstrap weights, so that they can be compared.

    Whole units are `drawn`: rows of one are not independent, and an interval that takes them for
    independent is too narrow.
    """
    names, confidence = evaluation.measured, evaluation.confidence
    catalogue.check(names, task)
    judged = [part for part in parts if part.judged]
    samples = [
        catalogue.prepare(task, target, predictions, rows, evaluation.threshold)
        for rows in (None, *(part.rows for part in judged))
    ]

    def figures(weights: Array) -> Array:
        return np.hstack([catalogue.values(rows, names, task, weights) for rows in samples])

    values = figures(np.ones((1, len(target))))[0]
    within = [None, *(part.rows for part in judged)]
    draws = bootstrap.resample(
        figures, len(target), evaluation.resamples, seed, drawn.codes, threads, within
    )
    width, known = len(names), catalogue.known()
    estimates = [
        known[names[at % width]].within(bootstrap.estimate(float(value), column, confidence))
        for at, (value, column) in enumerate(zip(values, draws.T, strict=True))
    ]
    rows = [
        dict(zip(names, estimates[at : at + width], strict=True))
        for at in range(0, len(estimates), width)
    ]
    by_slice = iter(rows[1:])
    return Measurement(
        rows=len(target),
        overall=rows[0],
        slices=[(part, next(by_slice) if part.judged else None) for part in parts],
        units=drawn,
    )


def gained(
    mine: Array, rows: Mapping[str, Array], evaluation: Evaluation, seed: int, drawn: Units
) -> tuple[Estimate, Estimates, Estimates]:
    """Measure what a row brings, what it brings otherwise, and by how much more, drawn together.

    `mine` and each of `rows` are (rows,), by what else could be done.
    """
    stacked = np.column_stack([mine, *rows.values(), *(mine - one for one in rows.values())])

    def means(weights: Array) -> Array:
        return np.column_stack([mean(weights, one) for one in stacked.T])

    draws = bootstrap.resample(means, len(mine), evaluation.resamples, seed, drawn.codes)
    found = [
        bootstrap.estimate(float(values.mean()), column, evaluation.confidence)
        for values, column in zip(stacked.T, draws.T, strict=True)
    ]
    others, gains = found[1 : 1 + len(rows)], found[1 + len(rows) :]
    return found[0], dict(zip(rows, others, strict=True)), dict(zip(rows, gains, strict=True))


def worth_figures(worth: Estimate, others: Estimates, gains: Estimates) -> dict[str, Any]:
    """Return what metrics.json says of what `gained` measures."""
    return {"per_row": estimated(worth), "otherwise": _figures(others), "gain": _figures(gains)}


def _figures(estimates: Estimates) -> dict[str, Any]:
    return {name: estimated(estimate) for name, estimate in estimates.items()}


def estimated(estimate: Estimate) -> dict[str, Any]:
    """Return a figure with its interval, rounded."""
    return {
        "value": rounded(estimate.value),
        "low": rounded(estimate.low),
        "high": rounded(estimate.high),
        **({"undefined_draws": estimate.undefined} if estimate.undefined else {}),
    }


def rounded(value: float) -> float | None:
    """Return a figure that is the same on every machine: significant digits beyond it are noise."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
