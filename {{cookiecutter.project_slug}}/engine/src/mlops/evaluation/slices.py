"""Parts of the holdout that get metrics of their own: one label of one column each."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config import settings
from ..contract import Column, Contract
from ..metrics.arrays import Index

MISSING = "(missing)"
UNSEEN = "(not declared)"


class Slice(NamedTuple):
    """The positions of the rows in which `column` has `label`; judged when there are enough."""

    column: str
    label: str
    rows: Index
    judged: bool

    @property
    def name(self) -> str:
        """How metrics.json calls the slice."""
        return f"{self.column}={self.label}"


def slices(
    columns: Mapping[str, NDArray[Any]], contract: Contract, limits: settings.Slices
) -> list[Slice]:
    """Return every slice that has rows, in the order of the contract and its labels."""
    return [
        Slice(name, label, rows, len(rows) >= limits.min_rows)
        for name, column in contract.columns.items()
        if name in columns and _sliced(column, limits)
        for label, rows in _labelled(columns[name], _labels(column))
    ]


def _sliced(column: Column, limits: settings.Slices) -> bool:
    if not {"feature", "group", "sensitive"} & set(column.roles):
        return False
    return column.type == "boolean" or 0 < len(column.categories) <= limits.max_categories


def _labels(column: Column) -> list[str]:
    return list(column.categories) or ["false", "true"]


def _labelled(codes: NDArray[Any], labels: list[str]) -> Iterator[tuple[str, Index]]:
    """Yield the rows of each label, then of an undeclared one, then of none."""
    places = np.where(np.isnan(codes), len(labels) + 1, codes)
    for place, label in enumerate([*labels, UNSEEN, MISSING]):
        if len(rows := np.flatnonzero(places == place)):
            yield label, rows
