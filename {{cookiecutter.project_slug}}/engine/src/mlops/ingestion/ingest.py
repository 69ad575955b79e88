"""`mlops ingest`: what an origin has of some days, into whole partitions.

All rows are fetched and all partitions made before the first one is replaced: an origin that
fails changes nothing. A run that is killed while it replaces leaves each partition old or new,
and the next completes it.
"""

import datetime
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from ..data import sources
from ..data.errors import DataError
from ..files import atomic_directory, locked, scratch
from ..origins import Partition
from . import retention
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
    now: datetime.datetime | None = None,
    dry: bool = False,
) -> Ingested:
    """Fetch the days from `since` to before `until`, into partitions or else into one file.

    What is older at the moment `now` than may be kept is removed; `dry` changes nothing. Raises
    DataError, and leaves what was there, where the origin fails or gives nothing.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    if not dataset.source.is_fetched:
        raise DataError(
            "nothing says where the data come from: name a function of src/project/sources.py "
            "as `source: {ingest: …}` in the contract, or declare `source.origin`"
        )
    with locked(LOCK, wait):
        if dataset.source.partition is None:
            return _whole(dataset, Window(since, until), now, dry)
        return _partitioned(dataset, dataset.source.partition, since, until, now, dry)


def _whole(dataset: Dataset, window: Window, now: datetime.datetime, dry: bool) -> Ingested:
    """Write what is fetched as one file."""
    source, out = dataset.source, dataset.folder
    done = Ingested(dataset, written=[sources.INGESTED], dry=dry)
    if source.origin is None:
        if dry:
            raise DataError(
                f"{source.ingest} writes one file: declare `source.partition` in {dataset.file}, "
                "or leave out --dry-run"
            )
        done.rows = sources.ingest(source, out, window.since, window.until)
        return done
    sources.check_own(out)
    import pyarrow.parquet as pq

    first = retention.first_kept(dataset, now)
    spooled = out.with_name(f"spool.{out.name}")  # not one that `out` sweeps
    with scratch(spooled) as staging, ExitStack() as opened:
        spool = Spool(staging)
        with closing(tables(Reading(dataset, window, Secrets()))) as answer:
            for whole in answer:
                table = retention.kept(whole, dataset, first)
                spool.add(table, np.full(table.num_rows, np.datetime64("NaT", "D")))
                done.rows += table.num_rows
                done.too_old += whole.num_rows - table.num_rows
        if not done.rows:
            kept = " that may be kept" if done.too_old else ""
            raise DataError(
                f"{dataset.name} has no rows{kept} at its origin: what {out} held stays"
            )
        if dry:
            return done
        folder = opened.enter_context(atomic_directory(out))
        schema = unified([piece.schema.empty_table() for piece in spool.read(NO_DAY)], dataset)
        path = folder / sources.INGESTED
        with pq.ParquetWriter(path, schema.schema, compression="zstd") as writer:
            for piece in spool.read(NO_DAY):
                writer.write_table(unified([schema, piece], dataset))
    return done


def _partitioned(
    dataset: Dataset,
    partition: Partition,
    since: datetime.date | None,
    until: datetime.date | None,
    now: datetime.datetime,
    dry: bool,
) -> Ingested:
    place = Partitions(dataset.folder)
    for day in place.leftovers() if dataset.folder.is_dir() and not dry else ():
        place.tidy(day)
    there = place.days()
    bounded = is_bounded(dataset.source)
    window = asked(dataset, since, until, there, bounded)
    with scratch(dataset.folder) as staging:
        first = retention.first_kept(dataset, now)
        run = Run(dataset, partition, place, there, window, staging, first)
        run.fetch(bounded)
        run.make()
        run.done.dry = dry
        if not dry:
            run.land()
    return run.done
