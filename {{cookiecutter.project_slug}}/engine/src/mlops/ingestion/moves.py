"""Keys whose rows lie on several days: of such a row, one day alone may keep it."""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from ..data.errors import DataError
from ..data.hashing import row_hash

_EPOCH = np.datetime64(0, "D")
_NONE = np.iinfo(np.int32).min


class Keys:
    """The keys of an answer by the day of their rows: 12 bytes a row, and no row itself."""

    def __init__(self, key: list[str]) -> None:
        self._key = key
        self._hashes: list[np.ndarray] = []
        self._days: list[np.ndarray] = []

    def add(self, table: pa.Table, days: np.ndarray) -> None:
        """Take the keys of rows; raises DataError for a row without one."""
        for name in self._key:
            if table[name].null_count:
                raise DataError(
                    f"{table[name].null_count:,} fetched rows have no {name}, which is of "
                    "`partition.key`: leave such rows out at the origin"
                )
        self._hashes.append(self.hashes(table))
        self._days.append(_numbers(days))

    def hashes(self, table: pa.Table) -> np.ndarray:
        """Return 64 bits for the key of each row."""
        return row_hash(table, self._key, "key")

    def moved(self, held: Mapping[str, Callable[[], pa.Table]]) -> tuple[np.ndarray, set[str]]:
        """Return the hashes of keys that stand on several days, and the days that have one of them.

        Days are those of the answer, and those of what was there: `held` reads the key columns of
        each.
        """
        hashes = np.concatenate([np.empty(0, np.uint64), *self._hashes])
        own = np.concatenate([np.empty(0, np.int32), *self._days])
        if not len(hashes):
            return hashes, set()
        order = np.argsort(hashes, kind="stable")
        hashes, own = hashes[order], own[order]
        apart = [hashes[1:][(hashes[1:] == hashes[:-1]) & (own[1:] != own[:-1])]]
        known: dict[str, np.ndarray] = {}
        for day in sorted(held):
            there = np.unique(self.hashes(held[day]()))
            at = np.minimum(np.searchsorted(hashes, there), len(hashes) - 1)
            again = hashes[at] == there
            elsewhere = own[at] != _numbers(np.array([day], "datetime64[D]"))[0]
            apart.append(there[again & elsewhere])
            known[day] = there[again]
        keys = np.unique(np.concatenate(apart))
        concerned = {day for day, there in known.items() if np.isin(there, keys).any()}
        if len(keys):
            numbers = np.unique(own[np.isin(hashes, keys)])
            concerned |= {str(_EPOCH + int(number)) for number in numbers if number != _NONE}
        return keys, concerned


def _numbers(days: np.ndarray) -> np.ndarray:
    """Return days as numbers, and one of its own for no day."""
    numbers = np.where(np.isnat(days), _EPOCH, days).astype("datetime64[D]").astype(np.int64)
    return np.where(np.isnat(days), _NONE, numbers).astype(np.int32)
