"""Tables with a history: Delta and Iceberg, of which a version or snapshot is read."""

import datetime
from collections.abc import Generator, Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from ...data import sources
from ...origins import Delta, Iceberg
from ..canonical import zone
from ..environment import address
from ..packages import needed
from ..reading import ROWS, Reading


def frames(origin: Delta | Iceberg, reading: Reading) -> Generator[pd.DataFrame]:
    """Yield the rows of the window's days."""
    batches = _delta(origin, reading) if isinstance(origin, Delta) else _iceberg(origin, reading)
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS):
            yield sources.exact(batch.slice(start, ROWS), batch.schema.names)


def _delta(origin: Delta, reading: Reading) -> Iterator[pa.RecordBatch]:
    deltalake = needed("deltalake", "an origin of kind delta")
    options = reading.secrets.read_options(origin.options_env)
    table = deltalake.DeltaTable(origin.url, version=origin.version, storage_options=options)
    url, version = address(origin.url), table.version()
    reading.told |= {"kind": "delta", "url": url, "version": version}
    held = table.to_pyarrow_dataset()
    yield from held.to_batches(filter=_within(held.schema, reading), batch_size=ROWS)


def _iceberg(origin: Iceberg, reading: Reading) -> Iterator[pa.RecordBatch]:
    catalogs = needed("pyiceberg.catalog", "an origin of kind iceberg", "pyiceberg")
    properties = reading.secrets.read_options(origin.properties_env)
    table = catalogs.load_catalog(origin.catalog, **properties).load_table(origin.table)
    snapshot = origin.snapshot
    if snapshot is None and (newest := table.current_snapshot()) is not None:
        snapshot = newest.snapshot_id
    reading.told |= {"kind": "iceberg", "table": origin.table, "snapshot": snapshot}
    reader = table.scan(snapshot_id=snapshot).to_arrow_batch_reader()
    within = _within(reader.schema, reading)
    for batch in reader:
        part = pa.Table.from_batches([batch])
        yield from (part if within is None else part.filter(within)).to_batches()


def _within(schema: pa.Schema, reading: Reading) -> Any:
    """Return the window as a filter on the column of days; None for every row."""
    partition = reading.source.partition
    if partition is None or reading.window.is_open:
        return None
    kind = schema.field(partition.by).type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return None  # texts: the run looks at each
    told, column = [], ds.field(partition.by)
    for day, is_first in ((reading.window.since, True), (reading.window.until, False)):
        if day is not None:
            moment = pa.scalar(_start(day, kind, zone(reading.dataset)), kind)
            told.append(column >= moment if is_first else column < moment)
    return told[0] if len(told) == 1 else told[0] & told[1]


def _start(day: datetime.date, kind: pa.DataType, name: str) -> datetime.date | pd.Timestamp:
    """Return the first moment of a day as a column of this type has it."""
    if pa.types.is_date(kind):
        return day
    return pd.Timestamp(day, tz=name if kind.tz else None)
