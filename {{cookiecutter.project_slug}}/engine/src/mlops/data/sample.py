"""The sample data, written: simulated subscription churn in monthly Parquet files."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import ProjectError
from ..files import atomic_directory
from ..progress import progress
from .simulation import LABELS, Columns, month_after_start, simulate

CHUNK = 1 << 16  # customers simulated together; all months of them before the next
MAX_MONTHS = 120
MARK = {b"simulation": b"churn"}


def write(
    folder: Path, rows: int = 20_000, months: int = 12, drift: float = 0.0, seed: int = 20
) -> list[Path]:
    """Write `rows` customer-months as one Parquet file a month, and return the files.

    As many rows a month and the same seed give the same earlier files, however many months
    follow. Replaces an older sample in `folder`, all or nothing, and refuses a folder with
    anything else in it.
    """
    _check(folder, rows, months, drift, seed)
    names = [f"{month_after_start(month)}.parquet" for month in range(months)]
    until = np.array([rows * month // months for month in range(months + 1)])
    sizes = np.diff(until)  # depends on rows / months only
    schema = _schema()
    with ExitStack() as stack:
        staging = stack.enter_context(atomic_directory(folder))
        shown = progress(title="sample", total=rows, unit=" rows", unit_scale=True)
        bar = stack.enter_context(shown)
        writers = [
            stack.enter_context(pq.ParquetWriter(staging / name, schema, compression="zstd"))
            for name in names
        ]
        for chunk, first in enumerate(range(0, sizes.max(), CHUNK)):
            places = min(CHUNK, sizes.max() - first)
            for month, columns in enumerate(simulate(chunk, places, months, drift, seed)):
                size = min(places, sizes[month] - first)
                if size:
                    writers[month].write_table(_table(columns, schema).slice(0, size))
                    bar.update(size)
    return [folder / name for name in names]


def _schema() -> pa.Schema:
    category, moment = pa.dictionary(pa.int8(), pa.string()), pa.timestamp("us")
    types = {
        "customer_id": pa.string(),
        "household_id": pa.string(),
        "email": pa.string(),
        "month": moment,
        **dict.fromkeys(LABELS, category),
        "tenure_months": pa.int64(),
        "monthly_fee": pa.float64(),
        "usage_hours": pa.float64(),
        "support_calls": pa.int64(),
        "satisfaction": pa.int64(),
        "days_since_login": pa.int64(),
        "auto_renew": pa.bool_(),
        "billed_at": moment,
        "paid_at": moment,
        "churned": pa.bool_(),
    }
    return pa.schema(types.items(), metadata=MARK)


def _table(columns: Columns, schema: pa.Schema) -> pa.Table:
    arrays: dict[str, Any] = {
        "customer_id": _identifiers("C", columns["customer"]),
        "household_id": _identifiers("H", columns["household"]),
    }
    name = pc.utf8_lower(arrays["customer_id"])
    arrays["email"] = pc.binary_join_element_wise(name, "example.org", "@")
    for field in schema:
        values = columns.get(field.name)
        if values is None:
            continue
        if field.name in LABELS:
            codes = pa.array(values, from_pandas=True).cast(pa.int8())
            arrays[field.name] = pa.DictionaryArray.from_arrays(codes, list(LABELS[field.name]))
        else:
            arrays[field.name] = pa.array(values, from_pandas=True).cast(field.type)
    return pa.table({name: arrays[name] for name in schema.names}, schema=schema)


def _identifiers(letter: str, numbers: np.ndarray) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width=10, padding="0")
    return pc.binary_join_element_wise(letter, digits, "")


def _check(folder: Path, rows: int, months: int, drift: float, seed: int) -> None:
    """Raise ProjectError for a size that makes no sense, or a folder that holds other files."""
    if not 1 <= months <= MAX_MONTHS:
        raise ProjectError(f"--months is {months}: choose 1 to {MAX_MONTHS}")
    if rows < months:
        raise ProjectError(f"--rows is {rows}: give at least one row for each of {months} months")
    if not 0 <= drift <= 1:
        raise ProjectError(f"--drift is {drift}: choose 0 (none) to 1 (all of it)")
    if seed < 0:
        raise ProjectError(f"--seed is {seed}: choose 0 or more")
    if folder.exists() and not folder.is_dir():
        raise ProjectError(f"{folder} is a file: give the sample a folder")
    strangers = [path for path in folder.glob("*") if not _is_ours(path)]
    if strangers:
        raise ProjectError(
            f"{strangers[0]} is no part of the sample, which would replace everything in "
            f"{folder}: move it away, or give the sample another folder"
        )


def _is_ours(path: Path) -> bool:
    if path.name.startswith("."):
        return path.name.endswith(".tmp")
    try:
        return (pq.read_schema(path).metadata or {}).items() >= MARK.items()
    except (pa.ArrowInvalid, OSError):
        return False
