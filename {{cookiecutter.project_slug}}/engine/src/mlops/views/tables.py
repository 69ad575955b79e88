"""The files of a table as typed rows, which DuckDB reads; none that break its declaration.

A Parquet file of the declared types is checked where it is, by one query. Any other is read as a
raw file is, checked cell by cell, and written again as Parquet beside the spilled rows.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace

from ..config.views import Table, seconds
from ..contract import Column
from ..data import sources
from ..data.errors import DataError
from ..data.validation import check_names, refuse, validated
from ..data.zones import to_utc_sql
from ..progress import progress
from .partitions import Partition

if TYPE_CHECKING:
    import duckdb

TYPES = {
    "number": ("DOUBLE", pa.float64()),
    "integer": ("BIGINT", pa.int64()),
    "boolean": ("BOOLEAN", pa.bool_()),
    "datetime": ("TIMESTAMP", pa.timestamp("us", "UTC")),
    "category": ("VARCHAR", pa.string()),
    "text": ("VARCHAR", pa.string()),
}
ROWS = 200_000
BLANK = r"[\s\x0b\x1c-\x1f\x85\p{Z}]"  # whatever `strip` takes away
MICROSECONDS = 1_000_000
DAY = 86_400 * MICROSECONDS


def quoted(name: str) -> str:
    """Return a name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: object) -> str:
    """Return a text as SQL writes it."""
    return "'" + str(text).replace("'", "''") + "'"


def micro(moment: np.datetime64) -> int:
    """Return the microseconds of a moment since 1970."""
    return int(moment.astype("datetime64[us]").astype(np.int64))


class Tables:
    """Files as relations of DuckDB with the declared types, datetimes in UTC; each checked once."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", spill: Path) -> None:
        self._connection, self._spill = connection, spill
        self._readable: dict[tuple[str, Path], tuple[Path, pa.Schema]] = {}

    def relation(self, table: Table, files: Sequence[Partition], names: Sequence[str]) -> str:
        """Return a query of the named columns of files, in no order.

        Raises DataError for a file that breaks the table's declaration, as `prepare` does.
        """
        alike: dict[str, list[str]] = {}
        for one in progress(files, f"{table.name}: check", unit="file"):
            path, schema = self._checked(table, one)
            chosen = ", ".join(
                f"{self._value(table, name, schema, path)} AS {quoted(name)}" for name in names
            )
            alike.setdefault(chosen, []).append(literal(path))
        if not alike:
            nothing = (
                f"CAST(NULL AS {TYPES[table.columns[n].type][0]}) AS {quoted(n)}" for n in names
            )
            return f"SELECT {', '.join(nothing)} LIMIT 0"
        return " UNION ALL ".join(
            f"SELECT {chosen} FROM read_parquet([{', '.join(paths)}], hive_partitioning = false)"
            for chosen, paths in alike.items()
        )

    def _checked(self, table: Table, file: Partition) -> tuple[Path, pa.Schema]:
        """Return the Parquet file to read in place of a table's, which may be itself."""
        known = (table.name, file.path)
        if known not in self._readable:
            path, schema = file.path, _schema(file.path)
            if schema is None or not _fits(table, schema) or self._breaks(table, path, schema):
                path = self._spill / f"{len(self._readable)}.parquet"
                rewritten(table, file, path)
                schema = pq.read_schema(path)
            if self._is_misplaced(table, file, path, schema):
                raise _misplaced(table, file)
            self._readable[known] = path, schema
        return self._readable[known]

    def _breaks(self, table: Table, path: Path, schema: pa.Schema) -> bool:
        """Say whether a cell is not as declared, or may not be."""
        return self._has(
            path,
            [
                condition
                for name, column in table.kept()
                for condition in _broken(
                    column, self._value(table, name, schema, path), quoted(name), table
                )
            ],
        )

    def _is_misplaced(self, table: Table, file: Partition, path: Path, schema: pa.Schema) -> bool:
        if file.begins is None or file.ends is None:
            return False
        begins, ends = micro(file.begins), micro(file.ends)
        event = f"epoch_us({self._value(table, table.event_time, schema, path)})"
        known = event + f" + {seconds(table.lag or '0 days') * MICROSECONDS}"
        if table.known_time is not None:
            known = f"epoch_us({self._value(table, table.known_time, schema, path)})"
        return self._has(path, [f"{event} >= {ends}", f"greatest({known}, {event}) < {begins}"])

    def _has(self, path: Path, conditions: Sequence[str]) -> bool:
        """Say whether a file has a row of which one of the conditions is true."""
        where = " OR ".join(f"({one})" for one in conditions) or "false"
        query = f"SELECT 1 FROM read_parquet({literal(path)}) WHERE {where} LIMIT 1"
        return bool(self._connection.execute(query).fetchall())

    def _value(self, table: Table, name: str, schema: pa.Schema, path: Path) -> str:
        """Return the expression of a column's typed value."""
        column, given = quoted(name), schema.field(name).type
        kind = table.columns[name].type
        if kind == "number" and pa.types.is_floating(given):
            return f"CASE WHEN NOT isnan({column}) THEN CAST({column} AS DOUBLE) END"
        if kind != "datetime":
            return f"CAST({column} AS {TYPES[kind][0]})"
        if given.tz is not None:
            return f"CAST(make_timestamp(epoch_us({column})) AS TIMESTAMP)"
        if table.zone == "UTC":
            return f"CAST({column} AS TIMESTAMP)"
        query = f"SELECT min(epoch_us({column})), max(epoch_us({column})) FROM read_parquet(?)"
        ends = self._connection.execute(query, [str(path)]).fetchall()[0]
        if ends[0] is None:
            return f"CAST({column} AS TIMESTAMP)"
        days = (ends[0] // DAY, ends[1] // DAY)
        return f"make_timestamp({to_utc_sql(f'epoch_us({column})', table.zone, *days)})"


def _schema(path: Path) -> pa.Schema | None:
    """Return a Parquet file's schema; None for another file."""
    with path.open("rb") as stream:
        if stream.read(4) != sources.PARQUET:
            return None
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError):
        return None


def _fits(table: Table, schema: pa.Schema) -> bool:
    """Say whether a file's columns are the declared ones, of types that need no parsing."""
    if sorted(schema.names) != sorted(table.columns):
        return False
    return all(_is(column, schema.field(name).type) for name, column in table.kept())


def _is(column: Column, given: pa.DataType) -> bool:
    if column.missing or column.units or column.format:
        return False
    match column.type:
        case "number":
            return bool(pa.types.is_floating(given) or pa.types.is_integer(given))
        case "integer":
            return bool(pa.types.is_integer(given)) and given != pa.uint64()
        case "boolean":
            return bool(pa.types.is_boolean(given))
        case "datetime":
            return bool(pa.types.is_timestamp(given))
        case _:
            values = given.value_type if pa.types.is_dictionary(given) else given
            return bool(pa.types.is_string(values) or pa.types.is_large_string(values))


def _broken(column: Column, value: str, name: str, table: Table) -> list[str]:
    """Return what must be true of no row, or a file is read cell by cell."""
    broken = [] if column.nullable else [f"{value} IS NULL"]
    if column.type in ("number", "integer"):
        broken += [f"{value} < {column.min!r}"] * (column.min is not None)
        broken += [f"{value} > {column.max!r}"] * (column.max is not None)
    if column.type == "number":
        broken.append(f"isinf({value})")
    if column.type in ("category", "text"):
        broken.append(f"regexp_matches({name}, '^{BLANK}|{BLANK}$')")
        missing = ", ".join(map(literal, table.source.missing))
        broken += [f"{name} IN ({missing})"] * bool(missing)
    if column.categories:
        broken.append(f"{name} NOT IN ({', '.join(map(literal, column.categories))})")
    return broken


def rewritten(table: Table, file: Partition, out: Path) -> None:
    """Write a file's rows as Parquet with the declared types; raises DataError for broken cells."""
    # A whole number in a table names something as often as not: all are read to the last digit.
    columns = {
        name: replace(column, role="id") if column.type == "integer" else column
        for name, column in table.columns.items()
    }
    exact = replace(table, columns=columns)
    names = [name for name, _ in table.kept()]
    schema = pa.schema([pa.field(n, TYPES[table.columns[n].type][1]) for n in names])
    findings = []
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for frame in sources.frames([file.path], table.source, ROWS):
            check_names(frame, exact)
            values, broken = validated(frame, exact)
            findings += broken
            if not findings:
                writer.write_table(_typed(values, schema, columns))
    refuse(findings, exact)


def _typed(values: "object", schema: pa.Schema, columns: Mapping[str, Column]) -> pa.Table:
    arrays = []
    for field in schema:
        series = values[field.name]  # type: ignore[index]
        if columns[field.name].type == "boolean":
            arrays.append(pa.array(series == 1.0, pa.bool_(), mask=series.isna().to_numpy()))
        elif columns[field.name].type == "datetime":
            arrays.append(pa.array(series, pa.timestamp("us"), from_pandas=True).cast(field.type))
        else:
            arrays.append(pa.array(series, field.type, from_pandas=True))
    return pa.Table.from_arrays(arrays, schema=schema)


def check_place(table: Table, file: Partition, events: np.ndarray, known: np.ndarray) -> None:
    """Raise DataError where rows are in the folder of another day; times are in microseconds."""
    if file.begins is None or file.ends is None:
        return
    if (events >= micro(file.ends)).any() or (known < micro(file.begins)).any():
        raise _misplaced(table, file)


def _misplaced(table: Table, file: Partition) -> DataError:
    return DataError(
        f"{file.path} holds rows that happened after its day, {file.day}, or were known more than "
        f"`lateness`, {table.lateness}, before it: give {table.place} a longer `lateness`, or put "
        "them in the folder of their day"
    )
