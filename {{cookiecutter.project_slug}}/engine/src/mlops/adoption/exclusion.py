"""Columns of a new table that a contract leaves out, since they give the target away."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

import msgspec
import numpy as np
import pandas as pd

from ..contract import Column, Source
from ..data.leakage import MOST_ROWS, Candidate, leaks, pairs
from ..data.parsing import parse
from .dateparts import assembled
from .statistics import words
from .timeliness import moments

# Of two dates, one whose name says that something was over by then.
AFTERWARDS = {"status", "outcome", "result", "update", "updated", "modified", "changed", "closed"}
AFTERWARDS |= {"close", "end", "ended", "finish", "finished", "resolved", "last", "exit", "left"}
AFTERWARDS |= {"cancel", "canceled", "cancelled", "cancellation", "paid", "returned", "delivered"}
HOUR = 3.6e9  # microseconds


class Moments(NamedTuple):
    """A datetime column, or a date in several: its `columns`, and hours since 1970."""

    columns: tuple[str, ...]
    hours: np.ndarray


def leave_out(
    frame: pd.DataFrame, columns: Mapping[str, Column], source: Source
) -> tuple[dict[str, Column], list[str]]:
    """Return the contract with role ignored, and the evidence, for what gives the target away.

    Beside it stand the pairs of columns that do so together, which are to be checked: which of two
    is the later one, numbers do not say.
    """
    frame = frame.iloc[:: -(-len(frame) // MOST_ROWS)]
    name = next(name for name, column in columns.items() if "target" in column.roles)
    target, classes = (
        numbers(frame[name], columns[name], source),
        columns[name].type == "category",
    )
    parts = dict(_candidates(frame, columns, source, classes))
    found = leaks(parts | dict(_elapsed(frame, columns, source)), target, classes)
    for key in [key for key in found if key not in columns]:
        said = found.pop(key)
        found |= dict.fromkeys((name for name in key.split("\0") if name in columns), said)
    left = {key: one for key, one in parts.items() if one.column == key and one.column not in found}
    told = [
        f"{one} and {other} together {said}: is each known when predicting?"
        for one, other, said in pairs(left, target, classes)
    ]
    return {
        name: msgspec.structs.replace(column, role="ignored", reason=found[name])
        if name in found
        else column
        for name, column in columns.items()
    }, told


def numbers(series: pd.Series, column: Column, source: Source) -> np.ndarray:
    """Return a raw column as float64: category codes, hours since 1970, or the numbers."""
    values = parse(series, column, source).values
    if column.type == "category":
        codes = pd.Index(column.categories).get_indexer(values).astype(np.float64)
        return np.asarray(np.where(codes < 0, np.nan, codes))
    if column.type == "datetime":
        return _hours(values.to_numpy())
    return np.asarray(values, dtype=np.float64)


def _hours(when: np.ndarray) -> np.ndarray:
    ticks = when.astype("datetime64[us]")
    return np.where(np.isnat(ticks), np.nan, ticks.astype(np.int64) / HOUR)


def _candidates(
    frame: pd.DataFrame, columns: Mapping[str, Column], source: Source, classes: bool
) -> Iterator[tuple[str, Candidate]]:
    """Yield the features; a number that follows a date has a trend, and the date is no leak."""
    for name, column in columns.items():
        if "feature" not in column.roles or column.type == "text":
            continue
        if column.type != "datetime" or classes:
            values = numbers(frame[name], column, source)
            yield name, Candidate(name, values, column.type != "category")


def _elapsed(
    frame: pd.DataFrame, columns: Mapping[str, Column], source: Source
) -> Iterator[tuple[str, Candidate]]:
    """Yield the time between each two dates, those in parts too: features derive it or find it."""
    dates = moments(frame, columns, source)
    found = {name: Moments((name,), _hours(when.to_numpy())) for name, when in dates.items()}
    features = [name for name, column in columns.items() if "feature" in column.roles]
    for name, parts, when in assembled(frame[features]):
        found.setdefault(f"the {name} in parts", Moments(parts, _hours(when)))
    for one, other in combinations(found, 2):
        hours = found[other].hours - found[one].hours
        later = _later(found[one], found[other], float(np.nansum(hours)))
        if not all("feature" in columns[name].roles for name in later.columns):
            later = found[one] if later is found[other] else found[other]
        yield f"the time from {one} to {other}", Candidate("\0".join(later.columns), hours)


def _later(one: Moments, other: Moments, hours: float) -> Moments:
    """Return of two dates the one that is known later: by its name, a single column, the clock."""
    late = [bool(AFTERWARDS & set().union(*map(words, m.columns))) for m in (one, other)]
    if late[0] != late[1]:
        return one if late[0] else other
    if len(one.columns) != len(other.columns):
        return one if len(one.columns) < len(other.columns) else other
    return other if hours >= 0 else one
