"""The values of a view as they come together, whichever entities come first."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..config.views import Feature, View
from .history import Places

KNOWN_TIME = "known_time"
NEVER = np.iinfo(np.int64).min
RESULTS = {
    "number": pa.float64(),
    "integer": pa.float64(),
    "boolean": pa.bool_(),
    "datetime": pa.timestamp("us"),
    "category": pa.string(),
    "text": pa.string(),
}


class Values:
    """Features of rows, by default what they are where an entity has no history."""

    def __init__(self, view: View, rows: int) -> None:
        self._view = view
        self._rows = rows
        self._parts: dict[str, list[tuple[Places, Any]]] = {name: [] for name in view.features}
        self._known = np.full(rows, NEVER)

    def put(self, name: str, rows: Places, values: Any, known: Places) -> None:
        """Take a feature's values in some rows, and the newest known time that each used."""
        self._parts[name].append((rows, values))
        self._known[rows] = np.maximum(self._known[rows], known)

    def table(self) -> pa.Table:
        """Return a column for each feature, and `known_time`."""
        columns = {
            name: self._column(feature, self._parts.pop(name))
            for name, feature in self._view.features.items()
        }
        none = self._known == NEVER
        columns[KNOWN_TIME] = pa.array(self._known, pa.timestamp("us"), mask=none)
        return pa.table(columns)

    def _column(self, feature: Feature, parts: list[tuple[Places, Any]]) -> pa.Array:
        kind = RESULTS[feature.type]
        pieces = [_result(values, kind) for _, values in parts]
        default = pa.array([feature.default], kind)
        every = pa.concat_arrays([default, *pieces])
        places = np.zeros(self._rows, np.int64)
        start = 1
        for rows, values in parts:
            places[rows] = np.arange(start, start + len(values))
            start += len(values)
        return every.take(pa.array(places))


def _result(values: Any, kind: pa.DataType) -> pa.Array:
    """Return values as one array of a feature's type; a number that is not finite is missing."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("us"))
    values = values.cast(kind)
    if pa.types.is_floating(kind):
        values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, kind))
    return values
