"""Rows that come again: of those with one key, the highest version stands."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..data.errors import DataError
from .canonical import DELETED

FRESH = "__fresh"  # 1 for a row of the answer, 0 for one that was there


class Merged(NamedTuple):
    """The rows that stand, those whose deletion does, and how many versions were given twice."""

    rows: pa.Table
    deleted: pa.Table
    ties: int


def ordered(table: pa.Table, first: Sequence[str] = ()) -> pa.Table:
    """Return rows by some columns and then by all others: equal rows have equal places."""
    rest = [name for name in table.column_names if name not in first]
    keys = [(name, "ascending", "at_start") for name in (*first, *rest)]
    return table.take(pc.sort_indices(table, sort_keys=keys))


def merged(table: pa.Table, key: Sequence[str], version: str | None) -> Merged:
    """Return one row for each key of a table with the columns DELETED and FRESH.

    It is the one with the highest version; of several with that, a deletion, or else the last by
    what they say. Without a version it is that of the answer. Raises DataError where an answer
    has two different rows for a key and no version tells which is the newer.
    """
    if not table.num_rows:
        return Merged(table, table, 0)
    deciding = [version, DELETED] if version else [FRESH, DELETED]
    table = ordered(table, [*key, *deciding])
    alike = _alike(table, key)
    last = np.append(~alike, True)
    tied = alike & _alike(table, deciding[:1]) & ~_alike(table, _content(table))
    if version is None and bool((tied & (table[FRESH].to_numpy()[1:] == 1)).any()):
        raise DataError(
            f"the answer has different rows for one {', '.join(key)}: name the column that says "
            "which is the newest as `partition.version`"
        )
    # A tie that a higher version has settled is none.
    ties = int((tied & last[1:]).sum())
    kept = table.filter(pa.array(last))
    gone = kept[DELETED].to_numpy(zero_copy_only=False)
    return Merged(kept.filter(pa.array(~gone)), kept.filter(pa.array(gone)), ties)


def _content(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name != FRESH]


def _alike(table: pa.Table, names: Sequence[str]) -> np.ndarray:
    """Say of each row but the first whether it has the values of the one before."""
    same = np.ones(max(table.num_rows - 1, 0), dtype=bool)
    for name in names:
        column = table[name]
        before, after = column.slice(0, len(same)), column.slice(1)
        equal = pc.fill_null(pc.equal(before, after), False).to_numpy(zero_copy_only=False)
        neither = pc.and_(pc.is_null(before), pc.is_null(after)).to_numpy(zero_copy_only=False)
        same &= equal.astype(bool) | neither.astype(bool)
    return same
