"""`mlops ingest`: what an origin has of some days, into whole partitions.

All rows are fetched and all partitions made before the first one is replaced: an origin that
fails changes nothing. A run that is killed while it replaces leaves each partition old or new,
and the next completes it.
"""

import datetime
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from ..data import sources
from ..data.errors import DataError
from ..files import atomic_directory, locked, scratch
from ..origins import Partition
from .canonical import unified
from .dataset import Dataset
from .environment import Secrets
from .outcome import Ingested
from .partitions import Partitions
from .reading import Reading, is_bounded, tables
from .run import Run
from .spool import NO_DAY, Spool
from .window import Window, asked

LOCK = Path(".mlops/ingest.lock")


def ingest(
    dataset: Dataset,
    since: datetime.date | None = None,
    until: datetime.date | None = None,
    wait: Callable[[], object] = lambda: None,
) -> Ingested:
    """Fetch the days from `since` to before `until`, into partitions or else into one file.

    Raises DataError, and leaves what was there, where the origin fails or gives nothing.
    """
    if not dataset.source.is_fetched:
        raise DataError(
            "nothing says where the data come from: name a function of src/project/sources.py "
            "as `source: {ingest: …}` in the contract, or declare `source.origin`"
        )
    with locked(LOCK, wait):
        if dataset.source.partition is None:
            return _whole(dataset, Window(since, until))
        return _partitioned(dataset, dataset.source.partition, since, until)


def _whole(dataset: Dataset, window: Window) -> Ingested:
    """Write what is fetched as one file."""
    source, out = dataset.source, dataset.folder
    if source.origin is None:
        rows = sources.ingest(source, out, window.since, window.until)
        return Ingested(dataset, rows, [sources.INGESTED])
    sources.check_own(out)
    import pyarrow.parquet as pq

    spooled = out.with_name(f"spool.{out.name}")  # not one that `out` sweeps
    with scratch(spooled) as staging, atomic_directory(out) as folder:
        spool, rows = Spool(staging), 0
        with closing(tables(Reading(dataset, window, Secrets()))) as answer:
            for table in answer:
                spool.add(table, np.full(table.num_rows, np.datetime64("NaT", "D")))
                rows += table.num_rows
        if not rows:
            raise DataError(f"{dataset.name} has no rows at its origin: what {out} held stays")
        schema = unified([piece.schema.empty_table() for piece in spool.read(NO_DAY)], dataset)
        path = folder / sources.INGESTED
        with pq.ParquetWriter(path, schema.schema, compression="zstd") as writer:
            for piece in spool.read(NO_DAY):
                writer.write_table(unified([schema, piece], dataset))
    return Ingested(dataset, rows, [sources.INGESTED])


def _partitioned(
    dataset: Dataset,
    partition: Partition,
    since: datetime.date | None,
    until: datetime.date | None,
) -> Ingested:
    place = Partitions(dataset.folder)
    for day in place.leftovers() if dataset.folder.is_dir() else ():
        place.tidy(day)
    there = place.days()
    bounded = is_bounded(dataset.source)
    window = asked(dataset, since, until, there, bounded)
    with scratch(dataset.folder) as staging:
        run = Run(dataset, partition, place, there, window, staging)
        run.fetch(bounded)
        run.make()
        run.land()
    return run.done
