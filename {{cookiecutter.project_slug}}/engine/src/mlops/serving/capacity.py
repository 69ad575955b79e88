"""Which rows of a scored table get the second action, where only so many of a period may."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from ..config.value import TABLE, Value
from ..runtime.decision import Decision, most
from ..runtime.periods import numbered

Array = np.ndarray
WAITING = 100_000  # rows, from which on those that cannot be among the best any more are dropped


class Best:
    """The `most` rows of each period that are most probable, of those that are worth the action.

    Of equals the earlier row counts. What is kept of rows is bounded by `most` a period.
    """

    def __init__(self, most: int, per: str, least: float, actions: tuple[str, str]) -> None:
        self.most, self.per, self.actions = most, per, actions
        self._least = least
        self._kept = np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        self._waiting: list[tuple[Array, Array, Array]] = []
        self._count = 0
        self.rows = 0  # worth it

    @classmethod
    def of(cls, value: Value | None, decision: Decision | None) -> Self | None:
        """Return what a bundle's capacity asks for; None where it sets no number of rows."""
        if value is None or decision is None or (allowed := most(value)) is None:
            return None
        assert value.capacity is not None
        least = decision.threshold if decision.break_even is None else decision.break_even
        rows = math.floor(allowed + 1e-9)
        return cls(rows, value.capacity.per or TABLE, least, decision.actions)

    def add(self, start: int, places: Array, probabilities: Array, moments: Array | None) -> None:
        """Take rows at `places` from `start` on; `moments` (datetime64) say when each was."""
        worth = probabilities > self._least
        rows = start + places[worth].astype(np.int64)
        periods = np.zeros(len(rows), dtype=np.int64)
        if moments is not None and self.per != TABLE:
            periods = numbered(moments[worth], self.per)
        self._take(probabilities[worth], rows, periods)
        self.rows += len(rows)

    def join(self, later: "Best", start: int) -> None:
        """Take the rows of a part of the table that was counted from its own first row on."""
        probabilities, rows, periods = later.kept()
        self._take(probabilities, rows + start, periods)
        self.rows += later.rows

    def kept(self) -> tuple[Array, Array, Array]:
        """Return probabilities, rows and periods of the best, and of the one after them."""
        if self._waiting:
            columns = zip(self._kept, *self._waiting, strict=True)
            probabilities, rows, periods = (np.concatenate(one) for one in columns)
            order = np.lexsort((rows, -probabilities, periods))
            rank = _ranks(periods[order])
            order = order[rank <= self.most]
            self._kept = probabilities[order], rows[order], periods[order]
            self._waiting, self._count = [], 0
        return self._kept

    def chosen(self) -> Array:
        """Return the rows that get the action, in their order."""
        _, rows, periods = self.kept()
        return np.sort(rows[_ranks(periods) < self.most])

    def notes(self) -> tuple[str, ...]:
        """Return how many of how many get the action, and where equals were told apart."""
        probabilities, _, periods = self.kept()
        ranks = _ranks(periods)
        each = "the table" if self.per == TABLE else f"each {self.per}"
        said = f"{int((ranks < self.most).sum()):,} of the {self.rows:,} rows that are worth it "
        said += f"get {self.actions[1]}: the best {self.most:,} of {each}"
        after = np.flatnonzero(ranks == self.most) if self.most else np.zeros(0, dtype=int)
        ties = int((probabilities[after] == probabilities[after - 1]).sum())
        if ties:
            of = f" (of {ties:,} {self.per}s)" if self.per != TABLE else ""
            said += f"; of equally probable ones the earlier rows{of}"
        return (said,)

    def _take(self, probabilities: Array, rows: Array, periods: Array) -> None:
        self._waiting.append((probabilities, rows, periods))
        self._count += len(rows)
        if self._count > max(WAITING, len(self._kept[0])):
            self.kept()


class Staged:
    """Answers in a file of Arrow batches, until it is known which rows get the second action."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pa.ipc.RecordBatchFileWriter | None = None

    def write(self, table: pa.Table) -> None:
        """Append a table."""
        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self._path), table.schema)
        self._writer.write_table(table)

    def tables(self, best: Best) -> Iterator[pa.Table]:
        """Yield what was written, with the action that each row gets."""
        if self._writer is None:
            return
        self._writer.close()
        chosen, start = best.chosen(), 0
        with pa.ipc.open_file(str(self._path)) as answers:
            for at in range(answers.num_record_batches):
                table = pa.Table.from_batches([answers.get_batch(at)])
                ends = np.searchsorted(chosen, [start, start + table.num_rows])
                yield _acted(table, chosen[ends[0] : ends[1]] - start, best.actions)
                start += table.num_rows


def _acted(table: pa.Table, chosen: Array, actions: tuple[str, str]) -> pa.Table:
    """Return answers with the second action for chosen rows; one without a prediction has none."""
    codes = np.zeros(table.num_rows, dtype=np.int32)
    codes[chosen] = 1
    place = table.column_names.index("action")
    has_none = np.asarray(table.column(place).is_null())
    return table.set_column(place, "action", pa.array(actions).take(pa.array(codes, mask=has_none)))


def _ranks(periods: Array) -> Array:
    """Return the place of each row among those of its period, which stand together."""
    starts = np.flatnonzero(np.append(True, periods[1:] != periods[:-1])[: len(periods)])
    counts = np.diff(np.append(starts, len(periods)))
    return np.arange(len(periods)) - np.repeat(starts, counts)
