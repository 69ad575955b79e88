"""Features that a function of src/project/features.py computes of the rows of the past."""

from typing import Any

import numpy as np
import pyarrow as pa

from .. import owner
from ..config.settings import ConfigError
from ..config.views import View
from ..data.arrays import floats, plain
from ..features.aggregates import Aggregate, Groups, aggregates

KINDS = {"integer": "number", "boolean": "number"}  # by type, where it is called otherwise


def aggregate(view: View, name: str) -> Aggregate:
    """Return the aggregate that a feature names; raises ConfigError where it does not fit."""
    feature = view.features[name]
    place = f"conf/feature_views/{view.name}.yaml: {name}"
    known = aggregates()
    found = known.get(str(feature.function))
    if found is None:
        offered = ", ".join(sorted(known)) or "none yet"
        raise ConfigError(
            f"{place} names the function {feature.function!r}: write it in "
            f"src/project/features.py under `@aggregate(…)`, or choose from {offered}"
        )
    types = [view.table.columns[column].type for column in feature.columns]
    kinds = tuple(KINDS.get(kind, kind) for kind in types)
    if kinds != found.kinds:
        raise ConfigError(
            f"{place} gives {found.name} {', '.join(kinds)}, and it reads "
            f"{', '.join(found.kinds)}: name other `columns`"
        )
    if KINDS.get(feature.type, feature.type) != "number":
        raise ConfigError(
            f"{place} is a {feature.type}, and a function returns numbers: give it another type"
        )
    return found


def computed(
    view: View, name: str, rows: pa.Table, offsets: np.ndarray, ages: np.ndarray
) -> pa.Array:
    """Return a feature of each group; raises ConfigError, with the line, where it fails."""
    feature, found = view.features[name], aggregate(view, name)
    inputs = [
        _input(rows.column(column), kind)
        for column, kind in zip(feature.columns, found.kinds, strict=True)
    ]
    try:
        result = found.function(Groups(offsets, ages), *inputs, **feature.arguments)
    except Exception as error:  # whatever the owner's code raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(
            f"{owner.place(error, 'project.features')}: {found.name} fails for {name} of "
            f"{view.name} ({reason}): mend it there"
        ) from error
    return pa.array(result, from_pandas=True)


def _input(values: pa.ChunkedArray, kind: str) -> np.ndarray:
    if kind == "number":
        return floats(values)
    if kind == "datetime":
        whole = values.cast(pa.timestamp("us"))
        return plain(whole, np.dtype("datetime64[us]"), "NaT")
    objects: np.ndarray[Any, Any] = np.empty(len(values), dtype=object)
    objects[:] = values.to_pylist()
    return objects
