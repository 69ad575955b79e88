"""Fetched rows on disk by day, so that memory holds no more than a day and a buffer."""

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc

BUFFERED = 500_000  # rows in memory before they are written
NO_DAY = "none"


class Spool:
    """Tables of rows by their day below a folder; a day of NaT is that of rows without one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, list[pa.Table]] = defaultdict(list)
        self._rows = 0
        self._written: dict[str, int] = defaultdict(int)

    def add(self, table: pa.Table, days: np.ndarray) -> None:
        """Take rows with the datetime64[D] of each."""
        order = np.argsort(days, kind="stable")
        ordered, table = days[order], table.take(pa.array(order))
        # NaT differs from itself, and is sorted last.
        whole = int((~np.isnat(ordered)).sum())
        edges = np.flatnonzero(ordered[1:whole] != ordered[: max(whole - 1, 0)]) + 1
        bounds = sorted({0, *edges.tolist(), whole, len(ordered)})
        for start, end in pairwise(bounds):
            day = NO_DAY if start >= whole else str(ordered[start])
            self._held[day].append(table.slice(start, end - start))
        self._rows += len(ordered)
        if self._rows >= BUFFERED:
            self._flush()

    def days(self) -> list[str]:
        """Return the days of which there are rows, and NO_DAY where some have none."""
        return sorted({*self._held, *self._written})

    def read(self, day: str) -> list[pa.Table]:
        """Return the rows of a day, in pieces."""
        pieces = []
        for number in range(self._written.get(day, 0)):
            with pa.memory_map(str(self._file(day, number))) as stream:
                pieces.append(ipc.open_file(stream).read_all())
        return [*pieces, *self._held.get(day, [])]

    def _flush(self) -> None:
        for day, tables in self._held.items():
            by_schema: dict[pa.Schema, list[pa.Table]] = defaultdict(list)
            for table in tables:
                by_schema[table.schema].append(table)
            for alike in by_schema.values():
                file = self._file(day, self._written[day])
                file.parent.mkdir(parents=True, exist_ok=True)
                whole = pa.concat_tables(alike).combine_chunks()
                options = ipc.IpcWriteOptions(compression="zstd")
                with ipc.new_file(str(file), whole.schema, options=options) as writer:
                    writer.write_table(whole)
                self._written[day] += 1
        self._held.clear()
        self._rows = 0

    def _file(self, day: str, number: int) -> Path:
        return self._folder / day / f"{number}.arrow"
