"""The point-in-time join: what a feature view said of entities at moments, by what was known then.

DuckDB reads and sorts the rows of the table, on disk where memory does not hold them; they come
back a few entities at a time. Whatever is computed of a moment depends on the rows known then and
on nothing else: not on other moments, on files beyond its window, or on how many threads there are.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..compute.choice import chosen
from ..config.settings import ConfigError
from ..config.views import Feature, Table, View, seconds
from ..contract import HIDDEN
from ..data.arrays import plain
from ..data.errors import DataError
from .entities import ENTITY, coded
from .expressions import GROUP, PLACE, Expressions
from .functions import computed
from .history import NONE, History, Pairs, Places
from .partitions import Partition, needed, partitions
from .scan import EVENT, KNOWN, Scan
from .tables import MICROSECONDS, Tables, micro, quoted
from .values import Values

if TYPE_CHECKING:
    import duckdb

ROWS = 1 << 19  # in memory at once, or all of one entity


class Join:
    """Computes views for as long as it is open; each file of a table is checked once.

    `root` is the project's folder. Where DuckDB is not installed, as in the image that scores
    tables, all but SQL is computed without it.
    """

    def __init__(self, root: Path = Path(), threads: int | None = None) -> None:
        limits = chosen(root).joins
        self.root, self._memory = root, limits.memory
        self._threads = limits.threads if threads is None else threads
        place = None if limits.spill is None else root / limits.spill
        if place is not None:
            place.mkdir(parents=True, exist_ok=True)
        self._spill = tempfile.TemporaryDirectory(prefix="views-", dir=place)
        is_there = find_spec("duckdb") is not None
        self._scan = None if is_there else Scan(Path(self._spill.name))

    @cached_property
    def _connection(self) -> "duckdb.DuckDBPyConnection":
        import duckdb

        connection = duckdb.connect(
            ":memory:",
            config={
                **({} if self._threads is None else {"threads": self._threads}),
                "memory_limit": self._memory,
                "temp_directory": str(Path(self._spill.name) / "duckdb"),
                "preserve_insertion_order": False,  # it is asked for where it counts
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        connection.execute("SET TimeZone = 'UTC'")
        return connection

    @cached_property
    def _tables(self) -> Tables:
        return Tables(self._connection, Path(self._spill.name))

    @cached_property
    def expressions(self) -> Expressions:
        """What computes the owner's SQL."""
        return Expressions(self._threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for opened in ("_connection", "expressions"):
            if opened in self.__dict__:
                getattr(self, opened).close()
        self._spill.cleanup()

    def values_at(
        self,
        view: View,
        entities: pa.Table,
        at: np.ndarray,
        files: Sequence[Partition] | None = None,
    ) -> pa.Table:
        """Return the features of entities at moments, and the newest known time that was used.

        `entities` has a column for each key of the view's table, and as many rows as `at`, moments
        in UTC (datetime64[us]). The table that is returned has a column for each feature (float64,
        bool, timestamp[us] in UTC or string; null where it is missing) and `known_time`, null
        where no row counted. A row with a missing key or moment has no history. `files` are those
        of the table to look into, by default all that may count.

        Raises DataError for a file that breaks its declaration, and for rows of one time that
        nothing puts in order; ConfigError for a feature that cannot be computed.
        """
        moments = at.astype("datetime64[us]")
        codes, known = coded(view, entities, np.isnat(moments))
        whole = moments.astype(np.int64)
        found = Values(view, len(whole))
        order = np.lexsort((whole, codes))
        order = order[codes[order] != NONE]
        if len(order):
            ends = moments[order].min(), moments[order].max()
            if files is None:
                files = needed(partitions(view.table, self.root), view, *ends)
            for history in self._histories(view, known, files, *ends):
                first, last = np.searchsorted(
                    codes[order], [history.first, history.first + len(history.starts) - 1]
                )
                rows = order[first:last]
                self._compute(view, history, codes[rows], whole[rows], rows, found)
        return found.table()

    def entities(self, view: View, until: np.datetime64) -> pa.Table:
        """Return every entity of a view's table of which anything was known at a moment (UTC)."""
        files = needed(partitions(view.table, self.root), view, until, until)
        names = [*view.table.keys, *view.table.times]
        keys = ", ".join(map(quoted, view.table.keys))
        known = known_at(view.table)
        query = (
            f"SELECT DISTINCT {keys} FROM ({self._tables.relation(view.table, files, names)}) "
            f"WHERE {known} <= {micro(until)} ORDER BY {keys}"
        )
        return self._connection.sql(query).to_arrow_table()

    def select(
        self, table: Table, files: Sequence[Partition], what: str, tail: str = ""
    ) -> list[tuple[Any, ...]]:
        """Return the rows of `SELECT what FROM` the typed rows of some files, `tail` behind it."""
        relation = self._tables.relation(table, files, [name for name, _ in table.kept()])
        return list(self._connection.sql(f"SELECT {what} FROM ({relation}) {tail}").fetchall())

    def _histories(
        self,
        view: View,
        known: pa.Table,
        files: Sequence[Partition],
        first: np.datetime64,
        last: np.datetime64,
    ) -> Iterator[History]:
        """Yield the rows of a few entities at a time that may count from `first` to `last`."""
        table = view.table
        kept = list(dict.fromkeys([*table.tie_break, *self._reads(view, view.features)]))
        if self._scan is not None:
            yield from _cut(view, known, self._scan.batches(view, known, files, kept, first, last))
            return
        import duckdb

        names = list(dict.fromkeys([*table.keys, *table.times, *kept]))
        relation = self._tables.relation(table, files, names)
        on = " AND ".join(f"t.{quoted(key)} = e.{quoted(key)}" for key in table.keys)
        event = f"epoch_us({quoted(table.event_time)})"
        columns = "".join(f", t.{quoted(name)}" for name in kept)
        query = (
            f"SELECT {ENTITY}, {event} AS {EVENT}, {known_at(view.table)} AS {KNOWN}{columns} "
            f"FROM ({relation}) t JOIN entities e ON {on} "
            f"WHERE {EVENT} > {micro(first) - seconds(view.ttl) * MICROSECONDS} "
            f"AND {KNOWN} <= {micro(last)} ORDER BY {ENTITY}, {EVENT}"
        )
        self._connection.register("entities", known)
        try:
            with self._connection.sql(query).to_arrow_reader(ROWS) as rows:
                yield from _cut(view, known, rows)
        except duckdb.Error as error:
            raise DataError(
                f"{table.folder} cannot be joined ({str(error).partition(chr(10))[0]}): make room "
                "where it spills to (conf/compute, TMPDIR), and mend what cannot be read"
            ) from error
        finally:
            self._connection.unregister("entities")

    def _reads(self, view: View, features: Mapping[str, Feature]) -> list[str]:
        """Return the columns of the table that features read, each once."""
        read: dict[str, None] = {}
        for name, feature in features.items():
            if feature.sql is not None:
                if self._scan is not None:
                    raise ConfigError(
                        f"{name} of {view.name} is SQL, which DuckDB computes, and that is not "
                        "installed here: have `duckdb` in `serve` of the dependency groups in "
                        "pyproject.toml, then `make lock`, or run this where the pipeline runs"
                    )
                read |= dict.fromkeys(self.expressions.reads(view, name, feature))
            read |= dict.fromkeys([*feature.columns, *filter(None, [feature.latest])])
        return list(read)

    def _compute(
        self,
        view: View,
        history: History,
        entities: Places,
        moments: Places,
        rows: Places,
        found: "Values",
    ) -> None:
        by_window: dict[int, dict[str, Feature]] = {}
        for name, feature in view.features.items():
            window = seconds(feature.window or view.ttl) * MICROSECONDS
            if feature.latest is None:
                by_window.setdefault(window, {})[name] = feature
                continue
            places = history.latest(entities, moments, window)
            there = places != NONE
            values = history.rows.column(feature.latest).take(pa.array(places[there]))
            found.put(name, rows[there], values, history.known[places[there]])
        for window, features in by_window.items():
            for pairs in history.pairs(entities, moments, window):
                chosen = rows[pairs.chosen]
                known = np.maximum.reduceat(history.known[pairs.places], pairs.offsets[:-1])
                for name, values in self._aggregated(
                    view, features, history, pairs, moments[pairs.chosen]
                ):
                    found.put(name, chosen, values, known)

    def _aggregated(
        self,
        view: View,
        features: Mapping[str, Feature],
        history: History,
        pairs: Pairs,
        moments: Places,
    ) -> Iterator[tuple[str, pa.Array | pa.ChunkedArray]]:
        written = {name: one for name, one in features.items() if one.sql is not None}
        rows = history.rows.select(self._reads(view, features)).take(pa.array(pairs.places))
        if written:
            counts = np.diff(pairs.offsets)
            groups = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
            columns = dict(zip(rows.column_names, rows.columns, strict=True))
            numbered = pa.table({**columns, GROUP: groups, PLACE: np.arange(len(groups))})
            values = self.expressions.values(view, written, numbered)
            back = pa.array(np.argsort(plain(values.column(GROUP), np.dtype(np.int64), NONE)))
            for name in written:
                yield name, values.column(name).take(back)
        for name, feature in features.items():
            if feature.function is not None:
                ages = np.repeat(moments, np.diff(pairs.offsets)) - history.events[pairs.places]
                yield name, computed(view, name, rows, pairs.offsets, ages / MICROSECONDS)


def _cut(view: View, known: pa.Table, batches: Iterator[pa.RecordBatch]) -> Iterator[History]:
    """Yield histories of whole entities from sorted rows."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) < ROWS:
            continue
        table = pa.Table.from_batches(held)
        entities = plain(table.column(ENTITY), np.dtype(np.int64), NONE)
        whole = int(np.searchsorted(entities, entities[-1]))
        if whole:
            yield _history(view, known, table.slice(0, whole), entities[:whole])
            held = table.slice(whole).to_batches()
    if held:
        table = pa.Table.from_batches(held)
        entities = plain(table.column(ENTITY), np.dtype(np.int64), NONE)
        yield _history(view, known, table, entities)


def _history(view: View, keys: pa.Table, table: pa.Table, entities: Places) -> History:
    table = _in_order(view, table, entities)
    events, known = (plain(table.column(n), np.dtype(np.int64), NONE) for n in (EVENT, KNOWN))
    if any(feature.latest for feature in view.features.values()):
        _refuse_ties(view, keys, table, entities, events)
    return History(table, entities, events, known, int(entities[0]), int(entities[-1]))


def _in_order(view: View, table: pa.Table, entities: Places) -> pa.Table:
    """Put rows of one entity and time in the order of `tie_break`, then of all that they hold.

    They are few as a rule, and each column more to sort all rows by costs as much as the first.
    """
    events = plain(table.column(EVENT), np.dtype(np.int64), NONE)
    tied = (np.diff(entities) == 0) & (np.diff(events) == 0)
    if not tied.any():
        return table
    places = np.flatnonzero(np.append(tied, False) | np.append(False, tied))
    names = dict.fromkeys([ENTITY, EVENT, *view.table.tie_break, KNOWN, *table.column_names])
    few = table.take(pa.array(places))
    order = pc.sort_indices(few, sort_keys=[(name, "ascending") for name in names])
    whole = np.arange(table.num_rows)
    whole[places] = places[order.to_numpy()]
    return table.take(pa.array(whole))


def _refuse_ties(
    view: View, known: pa.Table, table: pa.Table, entities: Places, events: Places
) -> None:
    """Raise DataError where nothing says which of two rows is the newer."""
    tied = (np.diff(entities) == 0) & (np.diff(events) == 0)
    for name in view.table.tie_break:
        if not tied.any():
            return
        values = table.column(name).combine_chunks()
        encoded = values.dictionary_encode(null_encoding="encode")
        tied &= np.diff(plain(encoded.indices.cast(pa.int64()), np.dtype(np.int64), NONE)) == 0
    if tied.any():
        at = int(np.flatnonzero(tied)[0])
        key = known.slice(int(entities[at]), 1).to_pylist()[0]
        told = {n: HIDDEN if view.table.is_private(n) else key[n] for n in view.table.keys}
        who = ", ".join(f"{name} {value}" for name, value in told.items())
        raise DataError(
            f"{view.table.name} has several rows of {who} at {np.datetime64(int(events[at]), 'us')}"
            f" UTC, and nothing says which is the newest: name a column in `tie_break` of "
            f"{view.table.place} that differs in them, or keep one of them"
        )


def known_at(table: Table) -> str:
    """Return the expression of when a row was known: never before it happened."""
    event = f"epoch_us({quoted(table.event_time)})"
    if table.known_time is None:
        return f"({event} + {seconds(table.lag or '0 days') * MICROSECONDS})"
    return f"greatest({event}, epoch_us({quoted(table.known_time)}))"


def values_at(view: View, entities: pa.Table, at: np.ndarray, root: Path = Path()) -> pa.Table:
    """Return what a view said of entities at moments: `Join.values_at`, opened for this alone."""
    with Join(root) as join:
        return join.values_at(view, entities, at)


class Joining:
    """Base of what opens a join when one is first asked for, and closes it in the end."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._opened: Join | None = None

    @property
    def _join(self) -> Join:
        self._opened = self._opened or Join(self._root)
        return self._opened

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._opened is not None:
            self._opened.__exit__(kind, error, trace)
