"""Intervals measured on the calibration rows, and whether they hold what they promise."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config.settings import Settings
from ..data import prepared
from ..features.encoding import Encoder
from ..metrics import bootstrap
from ..metrics.arrays import Array, mean
from ..metrics.bootstrap import Estimate
from ..runtime.hooks import answering
from ..runtime.intervals import Intervals
from .measurement import Measurement, estimated, rounded
from .slices import Slice

CALIBRATION = "calibration"
Columns = Mapping[str, NDArray[Any]]


class Coverage(NamedTuple):
    """The share of holdout rows, and of each judged slice, whose truth an interval holds.

    `width` is the mean width of an interval, or the mean number of labels in a set.
    """

    promised: float
    overall: Estimate
    width: float
    slices: list[tuple[Slice, Estimate]]

    @property
    def missed(self) -> list[tuple[Slice, Estimate]]:
        """The slices that are covered less than is promised, beyond chance; the least first."""
        below = [one for one in self.slices if one[1].high < self.promised]
        return sorted(below, key=lambda one: one[1].value)

    def figures(self) -> dict[str, Any]:
        """Return what metrics.json says of them."""
        return {"coverage": estimated(self.overall), "width": rounded(self.width)}


def calibrated(
    settings: Settings,
    data: Path,
    encoder: Encoder,
    predict: Callable[[NDArray[np.float32]], Array],
) -> Intervals | None:
    """Return the intervals of what is served for data/calibration.

    None where the contract promises none. Raises IntervalError for too few rows.
    """
    contract = settings.data
    if contract.intervals is None:
        return None
    answer, by = answering(contract, encoder, predict), contract.intervals.by
    answers, targets, codes = [], [], []
    names = list(dict.fromkeys([*encoder.inputs, contract.target]))
    for columns in prepared.batches(data / CALIBRATION, contract, names):
        answers.append(answer(columns))
        targets.append(prepared.target(columns, contract))
        codes.append(columns[by] if by else np.zeros(len(targets[-1])))
    return Intervals.calibrated(
        contract,
        np.concatenate(targets),
        np.concatenate(answers),
        settings.training.transform,
        np.concatenate(codes),
    )


def held(
    intervals: Intervals, settings: Settings, columns: Columns, target: Array, predictions: Array
) -> tuple[Array, Array]:
    """Return whether each row's interval or set holds its truth (1 or 0), and how wide that is.

    `settings` are those that `columns` and `target` are coded by, whoever made the intervals.
    """
    contract = settings.data
    codes = None if intervals.by is None else columns[intervals.by]
    if contract.task == "regression":
        ends = intervals.around(predictions, contract, codes)
        within = (ends[:, 0] <= target) & (target <= ends[:, 1])
        return within.astype(np.float64), ends[:, 1] - ends[:, 0]
    among = intervals.sets(predictions, contract, settings.evaluation.threshold, codes)
    return (
        among[np.arange(len(target)), target].astype(np.float64),
        among.sum(axis=1).astype(np.float64),
    )


def shares(above: Array, parts: Sequence[Slice]) -> Callable[[Array], Array]:
    """Return what gives the weighted mean of `above` (rows,), of all rows and of each slice."""
    within = [part.rows for part in parts]

    def measured(weights: Array) -> Array:
        return np.column_stack(
            [mean(weights, above), *(mean(weights[:, rows], above[rows]) for rows in within)]
        )

    return measured


def coverage(
    intervals: Intervals,
    settings: Settings,
    columns: Columns,
    target: Array,
    predictions: Array,
    measured: Measurement,
) -> Coverage:
    """Measure what the intervals hold of the holdout, drawn as the metrics were."""
    covered, widths = held(intervals, settings, columns, target, predictions)
    asked = settings.evaluation
    parts = [part for part, found in measured.slices if found is not None]
    statistic = shares(covered, parts)
    values = statistic(np.ones((1, len(target))))[0]
    within = [None, *(part.rows for part in parts)]
    codes = measured.units.codes
    draws = bootstrap.resample(
        statistic, len(target), asked.resamples, settings.seed, codes, parts=within
    )
    estimates = [
        bootstrap.estimate(float(value), column, asked.confidence)
        for value, column in zip(values, draws.T, strict=True)
    ]
    return Coverage(
        intervals.coverage,
        estimates[0],
        float(widths.mean()),
        list(zip(parts, estimates[1:], strict=True)),
    )
