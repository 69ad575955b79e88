"""One run over the partitions of a dataset, in three steps: fetched, made, put into place."""

import datetime
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..data.errors import DataError
from ..data.hashing import row_hash
from ..origins import Partition
from ..progress import progress
from . import retention
from .canonical import DELETED, TYPES, days, mended, unified, zone
from .dataset import Dataset
from .environment import Secrets
from .merging import FRESH, merged, ordered
from .moves import Keys
from .outcome import Ingested
from .partitions import Partitions
from .reading import Reading, lineage, tables
from .spool import NO_DAY, Spool
from .tombstones import Tombstones
from .window import Window


class Run:
    """A dataset, the days asked for, and a folder to make its partitions in."""

    def __init__(
        self,
        dataset: Dataset,
        partition: Partition,
        place: Partitions,
        there: Sequence[str],
        window: Window,
        staging: Path,
        first: datetime.date | None = None,
    ) -> None:
        self.dataset, self.partition, self.place = dataset, partition, place
        self.window, self.staging = window, staging
        self.done = Ingested(dataset)
        self.reading = Reading(dataset, window, Secrets())
        self.spool = Spool(staging / "spool")
        self.keys = Keys(partition.key, staging / "keys")
        # Of a day that the answer is complete about, what was there does not count.
        replaced = partition.complete or not partition.key
        self.there = list(there)
        self.first = first  # day that may be kept
        self.standing = {d for d in there if not (replaced and window.has(d))}
        self.tombs: Tombstones | None = None
        self._deleted = False
        if partition.version is not None:
            self.tombs = Tombstones(dataset.folder, partition.key, partition.version)

    def fetch(self, bounded: bool) -> None:
        """Put the answer to the spool, by day."""
        with closing(tables(self.reading)) as answer:
            self._take(answer, bounded)
        if not self.done.rows and (self.partition.complete or not self.there):
            raise DataError(
                f"{self.dataset.name} has no rows at its origin: what {self.dataset.folder} held "
                "stays; remove partitions by hand where that is meant"
            )

    def _take(self, answer: Iterator[pa.Table], bounded: bool) -> None:
        for table in answer:
            moments = days(table[self.partition.by], zone(self.dataset))
            table, moments = self._within(table, moments, bounded)
            if self.partition.key:
                # Before tombstones: a row that was deleted is no reason to keep another day's.
                self.keys.add(table, moments)
            self.done.rows += table.num_rows
            self.spool.add(table, moments)

    def _within(
        self, table: pa.Table, moments: np.ndarray, bounded: bool
    ) -> tuple[pa.Table, np.ndarray]:
        """Return the rows that count; raises DataError for a row without a day."""
        dayless = np.isnat(moments)
        if self.partition.deleted is not None:
            dayless &= ~table[DELETED].to_numpy(zero_copy_only=False)
        if dayless.any():
            raise DataError(
                f"{int(dayless.sum()):,} fetched rows have no {self.partition.by}, which says "
                f"their day: leave such rows out at the origin of {self.dataset.name}"
            )
        if self.window.is_open:
            return table, moments
        first = np.datetime64(self.window.since or datetime.date.min, "D")
        end = np.datetime64(self.window.until or datetime.date.max, "D")
        inside = np.isnat(moments) | ((moments >= first) & (moments < end))
        if not bounded:  # everything was fetched, and some was asked for
            return table.filter(pa.array(inside)), moments[inside]
        if not inside.all() and not self.partition.key:
            stray = moments[~inside][0]
            raise DataError(
                f"the answer has a row of {stray}, a day that was not asked for: bound the days of "
                f"{self.partition.by} in `source.origin`, or name `partition.key`, by which rows "
                f"that come late are added to {self.dataset.file}'s other days"
            )
        return table, moments

    def make(self) -> None:
        """Write every partition that the answer changes below the staging folder."""
        answered = set(self.spool.days())
        moved, concerned = np.empty(0, np.uint64), set[str]()
        homes: dict[str, pa.Table] = {}
        if self.partition.key:
            held = {
                day: partial(self.place.read, day, self.partition.key)
                for day in self.standing
                if self._may_hold(day)
            }
            moved, concerned = self.keys.moved(held)
            homes = self._settled(moved, [*sorted(concerned), *({NO_DAY} & answered)])
        touched = (answered - {NO_DAY}) | concerned | {*homes}
        inside = {day for day in self.there if self.window.has(day)}
        if self.partition.complete:
            touched |= inside
        else:
            expired = retention.over(inside, self.first)
            self.done.silent = sorted(inside - answered - set(expired))
        touched |= {*retention.over(self.there, self.first)}
        for day in progress(sorted(touched), f"write {self.dataset.name}", unit="day"):
            self._make(day, moved, homes.get(day))
        if self.done.expired and not (set(self.there) | set(self.done.written)) - set(
            self.done.removed
        ):
            raise DataError(
                f"every row of {self.dataset.name} is older than its `retention`, "
                f"{self.dataset.retention}: bring newer ones, check the clock, or remove "
                f"{self.dataset.folder} by hand where that is meant"
            )

    def _may_hold(self, day: str) -> bool:
        """Say whether a partition may have a key of the answer."""
        ends = self.keys.ends
        return ends is not None and self.place.may_hold(day, self.partition.key[0], *ends)

    def _rows(self, day: str) -> pa.Table | None:
        """Return what is known of a day, from the answer and from what was there."""
        pieces = []
        for piece in self.spool.read(day):
            if self.tombs is not None:
                piece = self.tombs.standing(piece) if DELETED in piece.column_names else piece
            pieces.append(_marked(piece, 1))
        if day in self.standing:
            pieces.append(_marked(self._held(day), 0))
        pieces = [piece for piece in pieces if piece.num_rows]
        return unified(pieces, self.dataset) if pieces else None

    def _held(self, day: str) -> pa.Table:
        """Return a partition with the columns that are declared now."""
        table = self.place.read(day)
        for name, column in self.dataset.columns.items():
            if name not in table.column_names:
                table = table.append_column(name, pa.nulls(table.num_rows, TYPES[column.type]))
        return table.select([*self.dataset.columns])

    def _settled(self, moved: np.ndarray, on: Sequence[str]) -> dict[str, pa.Table]:
        """Return the rows of keys that stood on several days, by the one day where they stay."""
        found = []
        for day in dict.fromkeys(on):
            rows = self._rows(day)
            if rows is None:
                continue
            if day != NO_DAY:
                mine = np.isin(self.keys.hashes(rows), moved)
                rows = rows.filter(pa.array(mine))
            found.append(rows)
        found = [rows for rows in found if rows.num_rows]
        if not found:
            return {}
        rows = self._merged(unified(found, self.dataset))
        own = days(rows[self.partition.by], zone(self.dataset)).astype(str)
        return {day: rows.filter(pa.array(own == day)) for day in sorted(set(own))}

    def _merged(self, rows: pa.Table) -> pa.Table:
        found = merged(rows, self.partition.key, self.partition.version)
        self.done.ties += found.ties
        if self.tombs is not None and found.deleted.num_rows:
            self._deleted |= self.tombs.add(found.deleted)
        return found.rows

    def _make(self, day: str, moved: np.ndarray, home: pa.Table | None) -> None:
        if retention.over([day], self.first):
            self.done.too_old += sum(piece.num_rows for piece in self.spool.read(day))
            if day in self.there:
                self.done.removed.append(day)
                self.done.expired.append(day)
            return
        rows = self._rows(day)
        if rows is not None and self.partition.key:
            if len(moved):
                rows = rows.filter(pa.array(~np.isin(self.keys.hashes(rows), moved)))
            rows = self._merged(rows)
        parts = [part for part in (rows, home) if part is not None and part.num_rows]
        if not parts:
            if day in self.there:
                self.done.removed.append(day)
            return
        plain = unified([part.select([*self.dataset.columns]) for part in parts], self.dataset)
        made = ordered(mended(plain, self.dataset), self.partition.key)
        if self._is_there(day, made):
            self.done.same += 1
            return
        self.place.stage(day, made, self._lineage(day), self.staging)
        self.done.written.append(day)

    def _is_there(self, day: str, made: pa.Table) -> bool:
        if day not in self.there or self.place.lineage(day) is None:
            return False
        held = self.place.read(day)
        return bool(held.schema.equals(made.schema) and held.equals(made))

    def _lineage(self, day: str) -> dict[str, Any]:
        """Return what a day's rows are from: whatever order they were answered in."""
        pieces = self.spool.read(day)
        names = [*self.dataset.columns]
        hashes = [row_hash(piece, names, "answer") for piece in pieces]
        whole = np.sort(np.concatenate([np.empty(0, np.uint64), *hashes]))
        return {
            "origin": lineage(self.reading.told),
            **self.window.shown(),
            "rows": len(whole),
            "sha256": sha256(whole.astype("<u8").tobytes()).hexdigest(),
        }

    def land(self) -> None:
        """Put every partition into place."""
        self.dataset.folder.mkdir(parents=True, exist_ok=True)
        for day in self.done.written:
            self.place.take(day, self.staging)
        for day in self.done.removed:
            self.place.remove(day)
        if self.tombs is not None and self._deleted:
            self.tombs.write()


def _marked(table: pa.Table, fresh: int) -> pa.Table:
    """Return rows with the columns by which they are merged."""
    if DELETED not in table.column_names:
        table = table.append_column(DELETED, pa.array(np.zeros(table.num_rows, dtype=bool)))
    return table.append_column(FRESH, pa.array(np.full(table.num_rows, fresh, dtype=np.int8)))
