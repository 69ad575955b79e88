"""Intervals and label sets beside predictions, that hold the truth as often as is promised.

Split-conformal: how far predictions are from the truth on rows that no model was fitted on is how
far they may be elsewhere. Vovk, Gammerman and Shafer, "Algorithmic learning in a random world",
2005; Lei et al., "Distribution-free predictive inference for regression", Journal of the American
Statistical Association 113, 2018. Sets of labels: Sadinle, Lei and Wasserman, "Least ambiguous
set-valued classifiers with bounded error levels", the same 114, 2019.
"""

import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, Self

import msgspec
import numpy as np

from ..contract import Contract
from ..errors import ProjectError

INTERVALS = "intervals.json"
Scale = Literal["none", "log", "log1p", "sqrt"]
TINY = float(np.finfo(np.float64).tiny)


class IntervalError(ProjectError):
    """Intervals cannot be measured or read."""


class _Scale(NamedTuple):
    """Where distances are measured: there, back, and the least that each takes."""

    there: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]
    least: float = -math.inf
    least_back: float = -math.inf


# As training.transform: an error that grows with the target gets an interval that does.
SCALES: Mapping[str, _Scale] = {
    "none": _Scale(np.asarray, np.asarray),
    "log": _Scale(np.log, np.exp, TINY),
    "log1p": _Scale(np.log1p, np.expm1, float(np.nextafter(-1, 0))),
    "sqrt": _Scale(np.sqrt, np.square, 0.0, 0.0),
}


class Intervals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the truth is from a prediction in the share `coverage` of `rows` calibration rows.

    Of a regression `width` is a distance on `scale`; of classes, one less the probability of the
    true label. `widths` has those of the labels of the column `by` that have rows enough.
    """

    coverage: float
    rows: int
    width: float
    scale: Scale = "none"
    by: str | None = None
    widths: dict[str, float] = {}

    def __post_init__(self) -> None:
        if not all(math.isfinite(w) and w >= 0 for w in (self.width, *self.widths.values())):
            raise ValueError("a width is a finite number of 0 or more")

    @classmethod
    def calibrated(
        cls,
        contract: Contract,
        target: np.ndarray,
        predictions: np.ndarray,
        scale: Scale = "none",
        codes: np.ndarray | None = None,
    ) -> Self:
        """Return the intervals that `target` (rows,) has around `predictions` of the same rows.

        `codes` are those of the column that the contract has them differ by. Raises IntervalError
        for too few rows.
        """
        promised = contract.intervals
        assert promised is not None
        distances = _distances(target, predictions, scale, contract)
        if (width := _quantile(distances, promised.coverage)) is None:
            raise IntervalError(
                f"{len(distances)} calibration rows are too few for intervals that hold "
                f"{promised.coverage:.3g} of all: {_least(promised.coverage)} are needed; add rows "
                "to data/raw, raise split.calibration, or lower intervals.coverage in conf/data"
            )
        widths = {}
        if promised.by is not None and codes is not None:
            for code, label in enumerate(contract.labels_of(promised.by)):
                own = _quantile(distances[codes == code], promised.coverage)
                if own is not None:
                    widths[label] = own
        return cls(promised.coverage, len(distances), width, scale, promised.by, widths)

    def around(
        self, predictions: np.ndarray, contract: Contract, codes: np.ndarray | None = None
    ) -> np.ndarray:
        """Return [low, high] of each prediction of a regression, float64 (rows, 2).

        They keep within the bounds that the contract has for the target.
        """
        scale, widths = SCALES[self.scale], self._widths(len(predictions), contract, codes)
        middle = scale.there(np.maximum(predictions, scale.least))
        ends = np.stack([np.maximum(middle - widths, scale.least_back), middle + widths], axis=1)
        column = contract.columns[contract.target]
        return np.clip(scale.back(ends), column.min, column.max)

    def sets(
        self,
        predictions: np.ndarray,
        contract: Contract,
        threshold: float,
        codes: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return which labels are in the set of each row, bool (rows, labels).

        What is decided is always among them.
        """
        shares = _shares(predictions)
        widths = self._widths(len(shares), contract, codes)
        among = 1 - shares <= widths[:, np.newaxis]
        if contract.task == "binary":
            decided = (predictions > threshold).astype(np.intp)
        else:
            decided = shares.argmax(axis=1)
        among[np.arange(len(among)), decided] = True
        return among

    def distance(self, other: Self) -> float:
        """Return how far the widths of two are at most apart; infinite where others are meant."""
        if (self.rows, self.scale, set(self.widths)) != (
            other.rows,
            other.scale,
            set(other.widths),
        ):
            return math.inf
        pairs = [(self.width, other.width)]
        pairs += [(width, other.widths[label]) for label, width in self.widths.items()]
        return max(abs(one - two) for one, two in pairs)

    def _widths(self, rows: int, contract: Contract, codes: np.ndarray | None) -> np.ndarray:
        """Return the width of each row: its label's, or that of all where it has none."""
        if self.by is None or codes is None:
            return np.full(rows, self.width)
        labels = contract.labels_of(self.by)
        known = np.array([*(self.widths.get(label, self.width) for label in labels), self.width])
        places = np.nan_to_num(codes, nan=len(labels)).astype(np.intp)
        return known[np.minimum(places, len(labels))]


def parsed(content: bytes | None, contract: Contract) -> Intervals | None:
    """Return the intervals of a bundle's file; raises IntervalError for others than promised."""
    promised = contract.intervals
    if content is None and promised is None:
        return None
    try:
        if content is None or promised is None:
            raise ValueError("the contract promises others")
        found = msgspec.json.decode(content, type=Intervals)
        if (found.coverage, found.by) != (promised.coverage, promised.by):
            raise ValueError("the contract promises others")
    except (ValueError, RecursionError) as error:
        raise IntervalError(
            f"{INTERVALS} of the bundle cannot be used ({error}): rebuild it with `dvc repro`"
        ) from error
    return found


def _distances(
    target: np.ndarray, predictions: np.ndarray, scale: Scale, contract: Contract
) -> np.ndarray:
    if contract.task == "regression":
        on = SCALES[scale]
        there = [on.there(np.maximum(one, on.least)) for one in (target, predictions)]
        return np.abs(there[0] - there[1])
    shares = _shares(predictions)
    distances: np.ndarray = 1 - shares[np.arange(len(target)), target]
    return distances


def _shares(predictions: np.ndarray) -> np.ndarray:
    """Return the probability of each label, (rows, labels)."""
    if predictions.ndim == 2:
        return predictions
    return np.stack([1 - predictions, predictions], axis=1)


def _quantile(distances: np.ndarray, coverage: float) -> float | None:
    """Return the distance that covers a further row in the share `coverage`, None of too few."""
    rank = _rank(len(distances), coverage)
    if rank > len(distances):
        return None
    return float(np.partition(distances, rank - 1)[rank - 1])


def _rank(rows: int, coverage: float) -> int:
    return math.ceil((rows + 1) * coverage - 1e-9)


def _least(coverage: float) -> int:
    return math.ceil(coverage / (1 - coverage) - 1e-9)
