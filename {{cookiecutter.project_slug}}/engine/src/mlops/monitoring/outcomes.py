"""Predictions beside what turned out to be true of them, read from a server's log folder.

DuckDB finds which report belongs to which prediction, by their keys alone, and spills what does
not fit into its memory. The predictions themselves are read file by file, so that their order is
the log's, however they were joined, and memory does not grow with them.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import ProjectError
from ..log_layout import FEEDBACK, PREDICTIONS, REPORTED, TAKEN_SINCE

MEMORY = "320MB"  # of DuckDB; what is more spills into a temporary folder (TMPDIR)
THREADS = 2
CHUNK = 2_500_000  # predictions whose reports are looked for at once, so that their keys fit
BATCH = 20_000
PLACES = 40  # bits of a position in its file; the number of the file stands above them
MOMENT = pa.timestamp("us")
ADDED = {"outcome_time": MOMENT, "value": pa.float64(), "currency": pa.string()} | {
    "action": pa.string()
}
UNREADABLE = (pa.ArrowException, OSError)


class OutcomesError(ProjectError):
    """The log folder cannot be read as one table."""


class Part(NamedTuple):
    """A file of predictions: its rows, its columns, and what they are called in the file."""

    path: Path
    rows: int
    schema: pa.Schema
    names: dict[str, str]


class Reports(NamedTuple):
    """Files of feedback that are read alike, with their numbers among all of them."""

    files: list[str]
    numbers: list[int]
    has_outcome: bool
    has_more: bool  # a value or an action


def outcomes(
    folder: Path,
    first_day: date | None = None,
    last_day: date | None = None,
    model12: str | None = None,
    maturity_days: int | None = None,
    at: date | None = None,
    columns: Sequence[str] | None = None,
    roles: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the predictions of days, each with the latest of what was reported of it.

    Each batch has the `columns` asked for (or all) and `outcome`, `outcome_time`, `value`,
    `currency` and `action`, null where not known; rows come by date, file and position. Reports
    count up to the end of the day `at`, which is otherwise the last of the log; with
    `maturity_days`, predictions count that are at least so many days older than it. Raises
    OutcomesError.
    """
    if maturity_days is not None:
        mature = (at or _last_day(folder)) - timedelta(days=maturity_days)
        last_day = min(last_day or mature, mature)
    parts = [_part(path) for path in prediction_files(folder, first_day, last_day, model12)]
    if not parts:
        _check_any(folder)
        return
    schema = _schema(folder, parts)
    kind = schema.field("prediction").type
    # Nothing is reported of what was not answered yet.
    reports = list(_reports(feedback_files(folder, first_day, at), kind))
    wanted = [name for name in schema.names if columns is None or name in columns]
    output = pa.schema([schema.field(name) for name in wanted], schema.metadata)
    for name, added in {"outcome": kind, **ADDED}.items():
        output = output.append(pa.field(name, added))
    reading = wanted if roles is None or "role" in wanted else [*wanted, "role"]
    with tempfile.TemporaryDirectory(prefix="mlops-") as spill, closing(_connection(spill)) as base:
        found_of = partial(_matched, base, reports=reports, kind=kind, folder=folder)
        matches = Matches(chain.from_iterable(map(found_of, _chunks(parts))), kind)
        for number, part in enumerate(parts):
            for start, batch in _batches(part, reading, schema):
                place = (number << PLACES) + start
                found = [*batch.columns[: len(wanted)], *matches.take(place, batch.num_rows)]
                whole = pa.RecordBatch.from_arrays(found, schema=output)
                if roles is not None:
                    whole = whole.filter(pc.is_in(batch["role"], pa.array(roles, pa.string())))
                if whole.num_rows:
                    yield whole


def joined(folder: Path) -> pa.Table:
    """Return every recorded prediction with what was reported of it, in the order of the log.

    Predictions of a shadow are rows of their own, with the same outcome. Raises OutcomesError.
    """
    batches = list(outcomes(folder))
    if not batches:
        raise _nothing(folder)
    return pa.Table.from_batches(batches)


def unmatched(folder: Path) -> int:
    """Return of how many rows something was reported that were not recorded."""
    reports, parts = feedback_files(folder), prediction_files(folder)
    if not reports:
        return 0
    key = "SELECT request_id, row FROM read_parquet(?, hive_partitioning=false)"
    known = f" EXCEPT ({key})" if parts else ""
    sql = f"SELECT count(*) FROM (SELECT DISTINCT * FROM ({key}){known})"
    with tempfile.TemporaryDirectory(prefix="mlops-") as spill, closing(_connection(spill)) as base:
        try:
            given = [list(map(str, files)) for files in (reports, parts) if files]
            (count,) = base.execute(sql, given).fetchall()[0]
        except duckdb.Error as error:
            raise _failed(folder, error) from error
    return int(count)


def prediction_files(
    folder: Path,
    first_day: date | None = None,
    last_day: date | None = None,
    model12: str | None = None,
) -> list[Path]:
    """Return the files of predictions of days (UTC) and a model, by date, then by name."""
    model = "*" if model12 is None else model12
    return [
        path
        for day in _days(folder / PREDICTIONS, first_day, last_day)
        for path in sorted(day.glob(f"model={model}/part-*.parquet"))
    ]


def feedback_files(
    folder: Path, first_day: date | None = None, last_day: date | None = None
) -> list[Path]:
    """Return the files of what was reported on days (UTC), by date, then by name."""
    return [
        path
        for day in _days(folder / FEEDBACK, first_day, last_day)
        for path in sorted(day.glob("part-*.parquet"))
    ]


class Matches:
    """What was reported of predictions, given out in the order of their places."""

    def __init__(self, latest: Iterator[pa.RecordBatch], kind: pa.DataType) -> None:
        self._latest = latest
        self._rest = pa.RecordBatch.from_pylist([], schema=_matching(kind))
        self._schema = self._rest.schema

    def take(self, place: int, rows: int) -> list[pa.Array]:
        """Return the columns for as many places from one on, null where nothing was reported."""
        found = pa.Table.from_batches(list(self._before(place + rows)), self._schema)
        index = np.full(rows, -1)
        index[found["place"].to_numpy() - place] = np.arange(found.num_rows)
        chosen = pa.array(index, mask=index < 0)
        return [found[name].combine_chunks().take(chosen) for name in REPORTED]

    def _before(self, end: int) -> Iterator[pa.RecordBatch]:
        """Yield what belongs to places before one, and keep the rest."""
        while True:
            places = self._rest["place"].to_numpy()
            cut = int(np.searchsorted(places, end))
            yield self._rest.slice(0, cut)
            self._rest = self._rest.slice(cut)
            if self._rest.num_rows:
                return
            following = next(self._latest, None)
            if following is None:
                return
            self._rest = following


def _matching(kind: pa.DataType) -> pa.Schema:
    return pa.schema([("place", pa.int64()), ("outcome", kind), *ADDED.items()])


def _chunks(parts: Sequence[Part]) -> Iterator[tuple[int, Sequence[Part]]]:
    """Yield successive files of about so many rows, and the number of the first."""
    first = rows = 0
    for number, part in enumerate(parts):
        rows += part.rows
        if rows >= CHUNK or number + 1 == len(parts):
            yield first, parts[first : number + 1]
            first, rows = number + 1, 0


def _matched(
    base: duckdb.DuckDBPyConnection,
    chunk: tuple[int, Sequence[Part]],
    reports: Sequence[Reports],
    kind: pa.DataType,
    folder: Path,
) -> Iterator[pa.RecordBatch]:
    """Yield the places of a chunk of which something was reported, with the latest, in order."""
    if not reports:
        return
    first, parts = chunk
    given: list[int | list[str] | list[int]] = [first, [str(part.path) for part in parts]]
    told = []
    for group in reports:
        told.append(_told(group, "VARCHAR" if pa.types.is_string(kind) else "DOUBLE"))
        given += [group.numbers, group.files]
    sql = f"""
        SELECT place, time, outcome, value, currency, action
        FROM (
            SELECT request_id, row,
                ((file_index::BIGINT + ?) << {PLACES}) + file_row_number AS place
            FROM read_parquet(?, hive_partitioning=false)
        ) JOIN ({" UNION ALL ".join(told)}) USING (request_id, row)
        ORDER BY place, time, told
    """
    held: pa.Table | None = None
    try:
        for batch in base.sql(sql, params=given).to_arrow_reader(BATCH):
            found = pa.Table.from_batches([batch])
            if held is not None:
                found = pa.concat_tables([held, found])
            places = found["place"].to_numpy()
            whole = int(np.searchsorted(places, places[-1])) if len(places) else 0
            held = found.slice(whole)
            if whole:
                yield _latest(found.slice(0, whole), kind)
    except duckdb.Error as error:
        raise _failed(folder, error) from error
    if held is not None and held.num_rows:
        yield _latest(held, kind)


def _told(group: Reports, kind: str) -> str:
    """Return what selects the reports of some files, and numbers them as they stand in the log."""
    outcome = "outcome" if group.has_outcome else "NULL"
    more = "value, currency, action"
    if not group.has_more:
        more = "NULL::DOUBLE AS value, NULL::VARCHAR AS currency, NULL::VARCHAR AS action"
    return f"""
        SELECT request_id, row, time, {outcome}::{kind} AS outcome, {more},
            ((?::BIGINT[])[file_index::BIGINT + 1] << {PLACES}) + file_row_number AS told
        FROM read_parquet(?, hive_partitioning=false)
    """


def _latest(told: pa.Table, kind: pa.DataType) -> pa.RecordBatch:
    """Return the last outcome, value and action of each place; its rows stand in their order."""
    places = told["place"].to_numpy()
    ends = np.append(np.flatnonzero(np.diff(places)), len(places) - 1)
    starts = np.append(0, ends[:-1] + 1)
    last = {name: _last(told[name], starts, ends) for name in ("outcome", "value", "action")}
    of = {"outcome_time": "outcome", "currency": "value"}
    columns = [pa.array(places[ends])]
    for name in REPORTED:
        column = told["time" if name == "outcome_time" else name].combine_chunks()
        columns.append(column.take(last[of.get(name, name)]))
    schema = _matching(kind)
    return pa.RecordBatch.from_arrays(
        [c.cast(f.type) for c, f in zip(columns, schema, strict=True)], schema=schema
    )


def _last(column: pa.ChunkedArray, starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    """Return the position of the last value between starts and ends, null where there is none."""
    numbers = np.where(column.is_valid().to_numpy(), np.arange(len(column)), -1)
    found = np.maximum.accumulate(numbers)[ends]
    return pa.array(found, mask=found < starts)


def _part(path: Path) -> Part:
    """Return a file of predictions, without dictionaries, whose labels differ from file to file."""
    try:
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except UNREADABLE as error:
        raise _unreadable(path) from error
    taken = TAKEN_SINCE.get((schema.metadata or {}).get(b"format", b"").decode(), ())
    names, fields = {}, []
    for field in schema:
        name = f"input_{field.name}" if field.name in taken else field.name
        names[name] = field.name
        fields.append(pa.field(name, _plain(field.type)))
    return Part(path, rows, pa.schema(fields, schema.metadata), names)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _schema(folder: Path, parts: Sequence[Part]) -> pa.Schema:
    """Return the columns of all files together: one that some lack is null in them."""
    try:
        return pa.unify_schemas([part.schema for part in parts], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise _mixed(folder, str(error)) from error


def _reports(files: Sequence[Path], kind: pa.DataType) -> Iterator[Reports]:
    """Yield the files of feedback in groups that are read alike."""
    groups: dict[tuple[bool, bool], Reports] = {}
    for number, path in enumerate(files):
        try:
            with pq.ParquetFile(path) as file:
                metadata, schema = file.metadata, file.schema_arrow
        except UNREADABLE as error:
            raise _unreadable(path) from error
        has_outcome = _holds(metadata, schema, "outcome")
        if has_outcome and schema.field("outcome").type != kind:
            raise _mixed(path.parents[2], f"outcomes are {schema.field('outcome').type} in {path}")
        has_more = _holds(metadata, schema, "value") or _holds(metadata, schema, "action")
        group = groups.setdefault((has_outcome, has_more), Reports([], [], has_outcome, has_more))
        group.files.append(str(path))
        group.numbers.append(number)
    yield from groups.values()


def _holds(metadata: pq.FileMetaData, schema: pa.Schema, name: str) -> bool:
    """Say whether a column is there and has any value."""
    position = schema.get_field_index(name)
    if position < 0 or pa.types.is_null(schema.field(position).type):
        return False
    for number in range(metadata.num_row_groups):
        statistics = metadata.row_group(number).column(position).statistics
        if statistics is None or not statistics.has_null_count or statistics.num_values:
            return True
    return False


def _batches(
    part: Part, columns: Sequence[str], schema: pa.Schema
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield rows of a file as a table of this schema has them, and the position of the first."""
    start = 0
    there = [name for name in columns if name in part.names]
    typed = pa.schema([schema.field(name) for name in columns])
    try:
        with pq.ParquetFile(part.path) as file:
            for batch in file.iter_batches(BATCH, columns=[part.names[name] for name in there]):
                yield start, _as(batch, part, typed)
                start += batch.num_rows
    except UNREADABLE as error:
        raise _unreadable(part.path) from error


def _as(batch: pa.RecordBatch, part: Part, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        batch[part.names[field.name]].cast(field.type)
        if field.name in part.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _days(folder: Path, first_day: date | None, last_day: date | None) -> Iterator[Path]:
    """Yield the folders of days, in order; what is called otherwise is none of the log's."""
    for path in sorted(folder.glob("date=*")):
        day = _day(path)
        if day is not None and (first_day or day) <= day <= (last_day or day):
            yield path


def _day(path: Path) -> date | None:
    try:
        return date.fromisoformat(path.name.removeprefix("date="))
    except ValueError:
        return None


def _last_day(folder: Path) -> date:
    days = [_day(p) for name in (PREDICTIONS, FEEDBACK) for p in _days(folder / name, None, None)]
    if not days:
        raise _nothing(folder)
    return max(filter(None, days))


def _connection(spill: str) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        ":memory:",
        config={
            "threads": THREADS,
            "memory_limit": MEMORY,
            "temp_directory": spill,
            "preserve_insertion_order": False,  # which is asked for where it counts
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )


def _check_any(folder: Path) -> None:
    if not prediction_files(folder):
        raise _nothing(folder)


def _nothing(folder: Path) -> OutcomesError:
    return OutcomesError(f"{folder} holds no predictions yet: point at a server's log folder")


def _mixed(folder: Path, reason: str) -> OutcomesError:
    return OutcomesError(
        f"{folder} holds predictions of another task or type ({reason}): give every model of "
        "its own kind a log folder of its own"
    )


def _unreadable(path: Path) -> OutcomesError:
    return OutcomesError(
        f"{path} cannot be read as Parquet: bring it back, or remove it, and its rows with it"
    )


def _failed(folder: Path, error: duckdb.Error) -> OutcomesError:
    reason = str(error).partition("\n")[0]
    return OutcomesError(
        f"the log in {folder} cannot be joined ({reason}): make room where TMPDIR points, and "
        "bring back what was removed from it"
    )
