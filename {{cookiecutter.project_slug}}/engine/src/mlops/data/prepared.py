"""Prepared rows: typed Parquet on disk, plain arrays in memory.

The rows of a role are a folder of parts, read in the order of their names; one file is read as such
a folder is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..contract import RESERVED, Column, Contract
from .arrays import Values, by_label, floats, plain
from .errors import DataError

ROW_HASH = RESERVED
BATCH = 200_000
ARROW = {
    "number": pa.float64(),
    "integer": pa.float64(),
    "boolean": pa.bool_(),
    "category": pa.dictionary(pa.int32(), pa.string()),
    "datetime": pa.timestamp("us"),
    "text": pa.string(),
}

Columns = Mapping[str, np.ndarray]


def arrow(column: Column) -> pa.DataType:
    """Return the type of a prepared column; a whole number that identifies stays one."""
    return pa.int64() if column.type == "integer" and column.identifies else ARROW[column.type]


def array(values: Values, column: Column) -> np.ndarray:
    """Return a typed Arrow column as the plain array that features are computed from.

    Numbers and booleans become float64 (NaN missing), but int64 where whole numbers identify and
    none is missing; categories float64 codes (their index in
    the contract, one past the last for an undeclared one, NaN missing); datetimes datetime64[us];
    texts objects.
    """
    match column.type:
        case "category":
            return codes(values, column.categories)
        case "datetime":
            return plain(values.cast(pa.timestamp("us")), np.dtype("datetime64[us]"), "NaT")
        case "text":
            texts = np.empty(len(values), dtype=object)
            texts[:] = values.to_pylist()
            return texts
        case "integer" if column.identifies and not values.null_count:
            return plain(values.cast(pa.int64(), safe=False), np.dtype(np.int64), 0)
        case _:
            return floats(values)


def codes(values: Values, categories: Sequence[str]) -> np.ndarray:
    """Return each label's index in `categories` as float64: unseen is one past the last."""
    places = {label: float(place) for place, label in enumerate(categories)}
    unseen = float(len(categories))
    return by_label(values, lambda label: places.get(label, unseen), np.dtype(np.float64), np.nan)


def arrays(
    table: pa.Table | pa.RecordBatch, contract: Contract, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return the named columns of a typed table as plain arrays."""
    return {name: array(table.column(name), contract.columns[name]) for name in names}


def read(
    path: Path, contract: Contract, names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Read prepared columns (all, or the named ones) of a role as plain arrays."""
    chosen = [n for n, _ in contract.kept()] if names is None else list(names)
    return arrays(table(path, chosen), contract, chosen)


def parts(path: Path) -> list[Path]:
    """Return the files that hold the rows of `path`, in their order.

    Raises FileNotFoundError where there is nothing, and DataError for a folder without a part.
    """
    if not path.is_dir():
        path.stat()
        return [path]
    found = sorted(file for file in path.rglob("*.parquet") if file.is_file())
    if not found:
        raise DataError(f"{path} holds no part of the prepared rows: run `dvc repro`")
    return found


def table(path: Path, names: Sequence[str]) -> pa.Table:
    """Read the named columns as they are; `pq.read_table` would import pandas."""
    return pa.concat_tables([_table(part, names) for part in parts(path)])


def _table(part: Path, names: Sequence[str]) -> pa.Table:
    with pq.ParquetFile(part) as file:
        return file.read(columns=list(names))


def batches(
    path: Path, contract: Contract, names: Sequence[str], rows: int = BATCH
) -> Iterator[dict[str, np.ndarray]]:
    """Yield prepared columns in batches, so that memory does not grow with the rows."""
    for part in parts(path):
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(batch_size=rows, columns=list(names)):
                yield arrays(batch, contract, names)


def row_count(path: Path) -> int:
    """Return the number of rows from the footers."""
    return sum(int(pq.read_metadata(part).num_rows) for part in parts(path))


def column_names(path: Path) -> list[str]:
    """Return the columns that every part has."""
    first, *others = ([*pq.read_schema(part).names] for part in parts(path))
    return [name for name in first if all(name in other for other in others)]


def row_hashes(path: Path) -> np.ndarray:
    """Return the uint64 hash that decided each row's role."""
    return plain(table(path, [ROW_HASH]).column(ROW_HASH), np.dtype(np.uint64), 0)


def matrix(
    path: Path,
    contract: Contract,
    names: Sequence[str],
    encode: Callable[[Columns], np.ndarray],
    width: int,
) -> np.ndarray:
    """Encode the named columns of a role into one float32 (rows, width) matrix, batch by batch."""
    encoded = np.empty((row_count(path), width), dtype=np.float32)
    start = 0
    for columns in batches(path, contract, names):
        part = encode(columns)
        encoded[start : start + len(part)] = part
        start += len(part)
    return encoded


def target(columns: Columns, contract: Contract) -> np.ndarray:
    """Return the target: class codes as int64 (binary: 1 is the last label), or float64."""
    values = columns[contract.target]
    return values if contract.task == "regression" else values.astype(np.int64)
