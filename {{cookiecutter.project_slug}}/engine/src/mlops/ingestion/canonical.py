"""Fetched rows in one form: the same value gives the same bytes, whatever brought it."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from ..contract import Column
from ..data.errors import DataError
from ..data.parsing import EXPECTED, parse, texts
from .dataset import Dataset

OFFSET = re.compile(r"(?:[Zz]|[+-]\d\d:?\d\d)\s*$")
NAIVE, AWARE = pa.timestamp("us"), pa.timestamp("us", tz="UTC")
TYPES = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "category": pa.string(),
    "text": pa.string(),
    "datetime": NAIVE,
}
DELETED = "__deleted"


def canonical(frame: pd.DataFrame, dataset: Dataset) -> pa.Table:
    """Return the declared columns, in their order, as numbers, moments, truths or texts.

    A column with a cell that is not of its type stays text, for `prepare` to name the cell. Texts
    that mean "no value" are null. Other columns are left out; raises DataError where a declared
    one is missing, and where a cell is unreadable that says the day, key or version of a row.
    """
    partition = dataset.source.partition
    wanted = [*dataset.columns]
    if partition is not None and partition.deleted is not None:
        wanted.append(partition.deleted)
    if absent := [name for name in wanted if name not in frame.columns]:
        raise DataError(
            f"the answer for {dataset.name} lacks {', '.join(absent)}: have the origin give it, or "
            f"correct {dataset.file}"
        )
    exact = {partition.by, *partition.key, partition.version} if partition else set()
    arrays = {}
    for name, column in dataset.columns.items():
        arrays[name] = _array(frame[name], column, dataset, name if name in exact else None)
    if partition is not None and partition.deleted is not None:
        flag = Column(type="boolean", nullable=True)
        values = _array(frame[partition.deleted], flag, dataset, partition.deleted)
        arrays[DELETED] = values.fill_null(False)
    return pa.table(arrays)


def _array(series: pd.Series, column: Column, dataset: Dataset, exact: str | None) -> pa.Array:
    read = parse(series, column, dataset.source)
    typed = _typed(series, read.values, column, dataset)
    if not bool(read.bad.any()):
        return typed
    if exact is not None:
        raise DataError(
            f"{exact} of {int(read.bad.sum()):,} fetched rows is not {EXPECTED[column.type]}: "
            f"correct the origin, or the column's declaration in {dataset.file}"
        )
    # What can be read is written as in a column without a broken cell: the frames do not matter.
    written = _written(pa.chunked_array([typed])).mask(read.bad.to_numpy(), texts(series))
    return pa.array(written, pa.string(), from_pandas=True)


def _typed(series: pd.Series, values: pd.Series, column: Column, dataset: Dataset) -> pa.Array:
    if column.type == "datetime":
        return _moments(series, values, zone(dataset))
    if column.type == "boolean":
        return pa.array(values == 1.0, pa.bool_(), mask=values.isna().to_numpy())
    if column.type == "integer" and not column.identifies:
        try:
            values = values.astype("Int64")
        except (TypeError, ValueError, OverflowError):  # beyond 64 bits
            return pa.array(values, pa.float64(), from_pandas=True)
    return pa.array(values, TYPES[column.type], from_pandas=True)


def zone(dataset: Dataset) -> str:
    """Return the time zone whose days the partitions are."""
    partition = dataset.source.partition
    return (partition.time_zone if partition else "") or dataset.time_zone


def _moments(series: pd.Series, utc: pd.Series, name: str) -> pa.Array:
    """Return moments without an offset as they are, and others in UTC; a mixture in UTC."""
    aware = _aware(series)
    there = utc.notna()
    if not bool(aware[there].any()):
        return pa.array(utc, NAIVE, from_pandas=True)
    absolute = utc.where(aware | ~there, _absolute(utc, name))
    return pa.array(absolute, NAIVE, from_pandas=True).cast(AWARE)


def _aware(series: pd.Series) -> pd.Series:
    """Say of each moment whether it has an offset."""
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        return pd.Series(True, index=series.index)
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return pd.Series(False, index=series.index)
    if series.dtype == object:
        return series.map(lambda one: getattr(one, "tzinfo", None) is not None).astype(bool)
    return texts(series).str.contains(OFFSET).fillna(False).astype(bool)


def _absolute(naive: pd.Series, name: str) -> pd.Series:
    """Return local moments in UTC; of an hour that comes twice, the first."""
    local = naive.dt.tz_localize(name, ambiguous=[True] * len(naive), nonexistent="shift_forward")
    return local.dt.tz_convert("UTC").dt.tz_localize(None)


def days(moments: pa.ChunkedArray, name: str) -> np.ndarray:
    """Return the day of each moment in a time zone, as datetime64[D]; NaT for none."""
    series = moments.to_pandas()
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_convert(name).dt.tz_localize(None)
    return series.to_numpy("datetime64[us]").astype("datetime64[D]")


def unified(pieces: Sequence[pa.Table], dataset: Dataset) -> pa.Table:
    """Return pieces of one day as one table, where a column was text in one of them, text in all.

    The types depend on what the pieces hold together, and not on their order.
    """
    if not pieces:
        raise ValueError("no piece")
    columns = {}
    for name in pieces[0].column_names:
        found = {piece.schema.field(name).type for piece in pieces}
        arrays = [piece.column(name) for piece in pieces]
        if len(found) > 1:
            arrays = [_as(array, found, zone(dataset)) for array in arrays]
        columns[name] = pa.chunked_array([c for array in arrays for c in array.chunks])
    return pa.table(columns).combine_chunks()


def mended(table: pa.Table, dataset: Dataset) -> pa.Table:
    """Return rows with the type that is declared where no broken cell holds a column back now."""
    for at, (name, column) in enumerate(dataset.columns.items()):
        if table[name].type == pa.string() and TYPES[column.type] != pa.string():
            made = _array(table[name].to_pandas(), column, dataset, None)
            table = table.set_column(at, name, made)
    return table


def _as(array: pa.ChunkedArray, found: set[pa.DataType], name: str) -> pa.ChunkedArray:
    if found == {NAIVE, AWARE}:
        if array.type == AWARE:
            return array
        absolute = _absolute(array.to_pandas(), name)
        return pa.chunked_array([pa.array(absolute, NAIVE, from_pandas=True).cast(AWARE)])
    if found == {pa.int64(), pa.float64()}:
        return array.cast(pa.float64(), safe=False)
    if array.type == pa.string():
        return array
    return pa.chunked_array([pa.array(_written(array), pa.string(), from_pandas=True)])


def _written(array: pa.ChunkedArray) -> pd.Series:
    return texts(array.to_pandas(types_mapper=_whole))


def _whole(kind: pa.DataType) -> pd.api.extensions.ExtensionDtype | None:
    """Keep whole numbers and truths that miss some as what they are."""
    return {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get(kind)
