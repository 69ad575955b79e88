"""What turned out to be true of answers, in sums that add up over days."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from ..metrics.arrays import surprisal
from .cells import Layout, by_output, places


class Outcomes(msgspec.Struct):
    """What turned out to be true of some days' answers, as far as it is known.

    `losses` has for each group (all rows have none of a name) and each loss its rows, sum and sum
    of squares; `calibration` for each cell of an output its rows, and the sums of what was
    predicted and of what was true.
    """

    losses: dict[str, dict[str, tuple[int, float, float]]] = {}
    calibration: list[list[tuple[int, float, float]]] = []

    def __add__(self, other: "Outcomes") -> "Outcomes":
        groups = sorted({*self.losses, *other.losses})
        return Outcomes(
            {g: _added(self.losses.get(g, {}), other.losses.get(g, {})) for g in groups},
            [
                [_plus(a, b) for a, b in zip(one, two, strict=True)]
                for one, two in zip(self.calibration, other.calibration, strict=True)
            ]
            if self.calibration and other.calibration
            else self.calibration or other.calibration,
        )


Sums = tuple[int, float, float]


def _plus(one: Sums, other: Sums) -> Sums:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _added(one: Mapping[str, Sums], other: Mapping[str, Sums]) -> dict[str, Sums]:
    nothing = (0, 0.0, 0.0)
    return {n: _plus(one.get(n, nothing), other.get(n, nothing)) for n in {**one, **other}}


def losses(
    target: np.ndarray, predictions: np.ndarray, labels: Sequence[str], threshold: float
) -> dict[str, np.ndarray]:
    """Return what each answer lost, by the losses that add up over rows."""
    if not labels:
        error = predictions - target
        return {"absolute_error": np.abs(error), "squared_error": np.square(error)}
    if predictions.ndim == 1:
        given = np.where(target == 1, predictions, 1 - predictions)
        return {
            "log_loss": surprisal(given),
            "brier": np.square(predictions - target),
            "error": ((predictions > threshold) != (target == 1)).astype(np.float64),
        }
    given = predictions[np.arange(len(target)), target.astype(np.intp)]
    wrong = predictions.argmax(axis=1) != target
    return {"log_loss": surprisal(given), "error": wrong.astype(np.float64)}


def outcomes(
    layout: Layout,
    target: np.ndarray,
    predictions: np.ndarray,
    columns: Mapping[str, np.ndarray],
    labels: Sequence[str],
) -> Outcomes:
    """Return the losses of rows, of all and of each slice, and how they are calibrated.

    `target` has class codes, or numbers for a regression.
    """
    lost = losses(target, predictions, labels, layout.threshold)
    groups = {"": {name: _sums(loss) for name, loss in lost.items()}}
    for column, names in layout.sliced.items():
        place = places(columns[column], len(names))
        rows = np.bincount(place, minlength=len(names))
        for name, loss in lost.items():
            sums = np.bincount(place, loss, minlength=len(names))
            squares = np.bincount(place, np.square(loss), minlength=len(names))
            for at in np.flatnonzero(rows):
                known = groups.setdefault(f"{column}={names[at]}", {})
                known[name] = (int(rows[at]), float(sums[at]), float(squares[at]))
    answers = by_output(predictions)
    calibrated = []
    for output, cells in enumerate(layout.outputs):
        given = answers[:, output]
        true = target if not labels or len(layout.outputs) == 1 else target == output
        place = cells.of(given.astype(np.float32))
        rows = np.bincount(place, minlength=cells.size)
        said = np.bincount(place, given, minlength=cells.size)
        came = np.bincount(place, np.asarray(true, dtype=np.float64), minlength=cells.size)
        calibrated.append(list(zip(rows.tolist(), said.tolist(), came.tolist(), strict=True)))
    return Outcomes(groups, calibrated)


def _sums(loss: np.ndarray) -> Sums:
    return len(loss), float(loss.sum()), float(np.square(loss).sum())
