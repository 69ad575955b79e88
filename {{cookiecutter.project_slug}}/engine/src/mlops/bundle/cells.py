"""How the values of a column are cut into cells, of a bundle's features and of its outputs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from ..contract import Contract
from ..evaluation.slices import MISSING, UNSEEN


class Cells(NamedTuple):
    """How one column is cut: a number between edges, a category by its labels.

    The first cell of a number is below all that training saw, the last but one above. The last but
    one of a category is for labels that are not declared. The last is for what is missing.
    """

    name: str
    edges: np.ndarray
    labels: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many cells there are."""
        return len(self.labels) + 2 if self.labels else len(self.edges) + 2

    def of(self, values: np.ndarray) -> np.ndarray:
        """Return the cell of each float32 value."""
        last = self.size - 1
        absent = np.isnan(values)
        if self.labels:
            found = np.minimum(np.where(absent, last, values).astype(np.intp), last - 1)
        else:
            found = self.edges.searchsorted(values, side="right")
        found[absent] = last
        return found

    def quantiles(self, there: np.ndarray, shares: Sequence[float]) -> list[float | None]:
        """Return quantiles of counted numbers (without the last cell), evenly within each cell."""
        total = int(there.sum())
        if not total or not len(self.edges):
            return [None] * len(shares)
        ends = np.concatenate([self.edges[:1], self.edges, self.edges[-1:]]).astype(float)
        until = np.concatenate([[0], np.cumsum(there)]) / total
        return [float(np.interp(share, until, ends)) for share in shares]


class Layout(NamedTuple):
    """The cells of all features, and of all outputs, each in one flat array."""

    features: tuple[Cells, ...]
    outputs: tuple[Cells, ...]
    sliced: Mapping[str, tuple[str, ...]]  # the columns by which rows are counted apart
    threshold: float

    @classmethod
    def of(cls, profile: Mapping[str, Any], contract: Contract, limits: "Limits") -> Self:
        """Return the layout that a bundle's profile gives."""
        answers = profile["predictions"]
        outputs = answers if contract.task == "multiclass" else {"": answers}
        return cls(
            tuple(_cells(name, about) for name, about in profile["features"].items()),
            tuple(_cells(name, about) for name, about in outputs.items()),
            {
                name: (*contract.labels_of(name), UNSEEN, MISSING)
                for name in contract.names("feature")
                if (column := contract.columns[name]).type == "boolean"
                or 0 < len(column.categories) <= limits.categories
            },
            limits.threshold,
        )

    @property
    def starts(self) -> np.ndarray:
        """The first cell of each feature, and the number of all cells."""
        return np.cumsum([0, *(cells.size for cells in self.features)])

    def split(self, flat: Sequence[float] | np.ndarray) -> Iterator[tuple[Cells, np.ndarray]]:
        """Yield each feature with its part of a flat array (last axis)."""
        yield from _split(self.features, flat)

    def split_outputs(
        self, flat: Sequence[float] | np.ndarray
    ) -> Iterator[tuple[Cells, np.ndarray]]:
        """Yield each output with its part of a flat array."""
        yield from _split(self.outputs, flat)


def _split(
    columns: Sequence[Cells], flat: Sequence[float] | np.ndarray
) -> Iterator[tuple[Cells, np.ndarray]]:
    array, start = np.asarray(flat), 0
    for cells in columns:
        end = start + cells.size
        yield cells, array[..., start:end]
        start = end


class Limits(NamedTuple):
    """What of a bundle's evaluation decides how its rows are counted."""

    categories: int
    threshold: float


def _cells(name: str, about: Mapping[str, Any]) -> Cells:
    if "labels" in about:
        return Cells(name, np.empty(0, np.float32), tuple(about["labels"]))
    if "edges" not in about:  # all of it is missing
        return Cells(name, np.empty(0, np.float32))
    least, most = np.float32(about["minimum"]), np.float32(about["maximum"])
    inner = np.asarray(about["edges"], dtype=np.float32)
    above = np.nextafter(most, np.float32(np.inf))
    return Cells(name, np.unique(np.concatenate([[least], inner, [above]]).astype(np.float32)))


def places(codes: np.ndarray, labels: int) -> np.ndarray:
    """Return the place of each code among labels of which the last two are unseen and missing."""
    found = np.minimum(codes, labels - 2)
    return np.where(np.isnan(codes), labels - 1, found).astype(np.intp)


def by_output(predictions: np.ndarray) -> np.ndarray:
    return predictions[:, None] if predictions.ndim == 1 else predictions
