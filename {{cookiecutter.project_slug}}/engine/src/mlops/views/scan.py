"""Rows of some entities, read and sorted without DuckDB: where tables are scored, as in an image.

They are those of the query of a join. A call reads each file through, and holds in memory what may
count.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..config.views import Table, View, seconds
from ..data.arrays import plain
from .entities import ENTITY
from .history import NONE, Places
from .partitions import Partition
from .tables import MICROSECONDS, ROWS, check_place, micro, rewritten

EVENT, KNOWN = "_event", "_known"
MOMENT = pa.timestamp("us")


class Scan:
    """Reads the files of tables; each is checked, cell by cell, and written as Parquet once."""

    def __init__(self, spill: Path) -> None:
        self._spill = spill
        self._typed: dict[tuple[str, Path], Path] = {}

    def batches(
        self,
        view: View,
        known: pa.Table,
        files: Sequence[Partition],
        names: Sequence[str],
        first: np.datetime64,
        last: np.datetime64,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of entities that may count from `first` to `last`, by entity and event.

        `known` has the keys of each entity and its number. The columns are that number, the event
        and known time in microseconds, and `names`. Raises DataError for a file that breaks its
        declaration.
        """
        since, until = micro(first) - seconds(view.ttl) * MICROSECONDS, micro(last)
        numbered = known.to_pandas()
        found = []
        for file in files:
            for rows in self._read(view.table, file):
                columns = _columns(view.table, rows, numbered, names)
                events, times = (_whole(columns[name]) for name in (EVENT, KNOWN))
                counts = (_whole(columns[ENTITY]) != NONE) & (events > since) & (times <= until)
                found.append(pa.table(columns).filter(pa.array(counts)))
        if found:
            order = [(name, "ascending") for name in (ENTITY, EVENT)]
            yield from pa.concat_tables(found).sort_by(order).to_batches(max_chunksize=ROWS)

    def _read(self, table: Table, file: Partition) -> Iterator[pa.Table]:
        """Yield the typed rows of a file."""
        path = self._typed.get((table.name, file.path))
        if path is None:
            path = self._spill / f"{len(self._typed)}.parquet"
            rewritten(table, file, path)
        with pq.ParquetFile(path) as opened:
            for batch in opened.iter_batches(batch_size=ROWS):
                rows = pa.Table.from_batches([batch])
                if (table.name, file.path) not in self._typed and file.begins is not None:
                    check_place(table, file, *_times(table, rows))
                yield rows
        self._typed[table.name, file.path] = path


def _columns(
    table: Table, rows: pa.Table, known: pd.DataFrame, names: Sequence[str]
) -> dict[str, pa.Array | pa.ChunkedArray]:
    keys = rows.select(table.keys).to_pandas().merge(known, "left", on=table.keys)
    entities = keys[ENTITY].fillna(NONE).to_numpy(np.int64)
    events, times = _times(table, rows)
    kept = {name: _naive(rows.column(name)) for name in names}
    return {ENTITY: pa.array(entities), EVENT: pa.array(events), KNOWN: pa.array(times), **kept}


def _times(table: Table, rows: pa.Table) -> tuple[Places, Places]:
    """Return when rows happened, and when they were known: never before."""
    events = _whole(rows.column(table.event_time).cast(pa.int64()))
    if table.known_time is None:
        return events, events + seconds(table.lag or "0 days") * MICROSECONDS
    known = _whole(rows.column(table.known_time).cast(pa.int64()))
    return events, np.maximum(events, known)


def _whole(values: pa.Array | pa.ChunkedArray) -> Places:
    return plain(values, np.dtype(np.int64), NONE)


def _naive(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return moments without their zone, which is UTC."""
    return values.cast(MOMENT) if pa.types.is_timestamp(values.type) else values
