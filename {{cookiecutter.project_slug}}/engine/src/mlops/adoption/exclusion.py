"""Columns of a new table that a contract leaves out, since they give the target away."""

from collections.abc import Iterator, Mapping
from itertools import combinations

import msgspec
import numpy as np
import pandas as pd

from ..contract import Column, Source
from ..data.leakage import MOST_ROWS, Candidate, leaks
from ..data.parsing import parse


def leave_out(
    frame: pd.DataFrame, columns: Mapping[str, Column], source: Source
) -> dict[str, Column]:
    """Return the contract with role ignored, and the evidence, for what gives the target away."""
    frame = frame.iloc[:: -(-len(frame) // MOST_ROWS)]
    name = next(name for name, column in columns.items() if "target" in column.roles)
    target = numbers(frame[name], columns[name], source)
    found = leaks(
        dict(_candidates(frame, columns, source)), target, columns[name].type == "category"
    )
    return {
        name: msgspec.structs.replace(column, role="ignored", reason=found[name])
        if name in found
        else column
        for name, column in columns.items()
    }


def numbers(series: pd.Series, column: Column, source: Source) -> np.ndarray:
    """Return a raw column as float64: category codes, hours since 1970, or the numbers."""
    values = parse(series, column, source).values
    if column.type == "category":
        codes = pd.Index(column.categories).get_indexer(values).astype(np.float64)
        return np.asarray(np.where(codes < 0, np.nan, codes))
    if column.type == "datetime":
        hours = values.to_numpy().astype("datetime64[us]").astype(np.int64) / 3.6e9
        return np.asarray(np.where(values.isna(), np.nan, hours))
    return np.asarray(values, dtype=np.float64)


def _candidates(
    frame: pd.DataFrame, columns: Mapping[str, Column], source: Source
) -> Iterator[tuple[str, Candidate]]:
    """Yield the features, and the time between each two datetimes, which features derive."""
    moments = {}
    for name, column in columns.items():
        if column.type == "datetime" and {"feature", "time"} & set(column.roles):
            moments[name] = numbers(frame[name], column, source)
        if "feature" in column.roles and column.type != "text":
            values = moments[name] if name in moments else numbers(frame[name], column, source)
            yield name, Candidate(name, values, column.type != "category")
    for one, other in combinations(moments, 2):
        elapsed = moments[other] - moments[one]
        later = other if np.nansum(elapsed) >= 0 else one
        if "feature" not in columns[later].roles:
            later = one if later == other else other
        yield f"the time from {one} to {other}", Candidate(later, elapsed)
