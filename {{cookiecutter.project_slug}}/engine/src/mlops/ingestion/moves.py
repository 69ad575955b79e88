"""Keys whose rows lie on several days: of such a row, one day alone may keep it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..data.errors import DataError
from ..data.hashing import row_hash

BUFFERED = 1_000_000  # keys in memory before they are written
BUCKETS = 64  # files, by the first bits of a hash: one at a time is looked at
ENTRY = np.dtype([("key", "<u8"), ("day", "<i4"), ("fresh", "?")])
_EPOCH = np.datetime64(0, "D")
_NONE = np.iinfo(np.int32).min


class Keys:
    """The keys of an answer, and of what was there, with the day of each, on disk by their hash."""

    def __init__(self, key: list[str], folder: Path) -> None:
        self._key, self._folder = key, folder
        self._held: list[np.ndarray] = []
        self._count = 0
        self._ends: list[Any] = []
        folder.mkdir(parents=True)

    def add(self, table: pa.Table, days: np.ndarray, fresh: bool = True) -> None:
        """Take the keys of rows, `fresh` from an answer; raises DataError for a row without one."""
        for name in self._key:
            if table[name].null_count:
                raise DataError(
                    f"{table[name].null_count:,} fetched rows have no {name}, which is of "
                    "`partition.key`: leave such rows out at the origin"
                )
        if fresh and table.num_rows:
            ends = pc.min_max(table[self._key[0]]).as_py().values()
            self._ends = [f({*ends, *self._ends}) for f in (min, max)]
        entries = np.empty(table.num_rows, ENTRY)
        entries["key"], entries["day"], entries["fresh"] = self.hashes(table), _numbers(days), fresh
        self._held.append(entries)
        self._count += len(entries)
        if self._count >= BUFFERED:
            self._flush()

    @property
    def ends(self) -> tuple[Any, Any] | None:
        """The least and the greatest value of the first key column in the answer."""
        return (self._ends[0], self._ends[1]) if self._ends else None

    def hashes(self, table: pa.Table) -> np.ndarray:
        """Return 64 bits for the key of each row."""
        return row_hash(table, self._key, "key")

    def moved(self, held: Mapping[str, Callable[[], pa.Table]]) -> tuple[np.ndarray, set[str]]:
        """Return the hashes of keys that stand on several days, and the days that have one of them.

        Days are those of the answer, and those of what was there: `held` reads the key columns of
        each.
        """
        for day in sorted(held):
            table = held[day]()
            self.add(table, np.full(table.num_rows, np.datetime64(day, "D")), fresh=False)
        self._flush()
        keys, concerned = [np.empty(0, np.uint64)], set[str]()
        for file in sorted(self._folder.iterdir()):
            entries = np.fromfile(file, ENTRY)
            found = _apart(entries)
            keys.append(found)
            numbers = np.unique(entries["day"][np.isin(entries["key"], found)])
            concerned |= {str(_EPOCH + int(number)) for number in numbers if number != _NONE}
        return np.unique(np.concatenate(keys)), concerned

    def _flush(self) -> None:
        entries = np.concatenate([np.empty(0, ENTRY), *self._held])
        buckets = (entries["key"] >> np.uint64(58)).astype(np.int64)
        for bucket in np.unique(buckets):
            with (self._folder / f"{bucket:02d}").open("ab") as stream:
                stream.write(entries[buckets == bucket].tobytes())
        self._held.clear()
        self._count = 0


def _apart(entries: np.ndarray) -> np.ndarray:
    """Return the keys of an answer that have rows on more than one day."""
    order = np.lexsort((entries["day"], entries["key"]))
    key, day = entries["key"][order], entries["day"][order]
    several = np.unique(key[1:][(key[1:] == key[:-1]) & (day[1:] != day[:-1])])
    fresh = np.unique(entries["key"][entries["fresh"]])
    return np.intersect1d(several, fresh, assume_unique=True)


def _numbers(days: np.ndarray) -> np.ndarray:
    """Return days as numbers, and one of its own for no day."""
    numbers = np.where(np.isnat(days), _EPOCH, days).astype("datetime64[D]").astype(np.int64)
    return np.where(np.isnat(days), _NONE, numbers).astype(np.int32)
