"""What is wrong with tables and views: rows that a join would misread, and definitions."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config.expansion import TABLES, VIEWS, read_table, read_view
from ..config.views import Table, View, seconds
from ..errors import ProjectError
from ..progress import progress
from .functions import aggregate
from .join import Join, known_at
from .partitions import Partition, partitions
from .tables import MICROSECONDS, micro, quoted


class Finding(NamedTuple):
    """One thing that is wrong, with the remedy."""

    of: str
    reason: str

    def __str__(self) -> str:
        return f"{self.of}: {self.reason}"


def check(conf: Path, root: Path, now: np.datetime64) -> list[Finding]:
    """Return what is wrong with any table or view of conf/, at the moment `now` (UTC)."""
    found: list[Finding] = []
    views = list(_read_views(conf, found))
    names = sorted(path.stem for path in (conf / TABLES).glob("*.yaml"))
    with Join(root) as join:
        for view in views:
            found += _definition(join, view)
        for name in progress(names, "check", unit="table"):
            try:
                table = read_table(conf, name)
                files = partitions(table, root)
                found += _rows(join, table, files, now)
                for view in views:
                    if view.table.name == name and view.freshness is not None:
                        found += _freshness(join, view, files, now)
            except ProjectError as error:
                found.append(Finding(f"table {name}", str(error)))
    return found


def _read_views(conf: Path, found: list[Finding]) -> Iterator[View]:
    for path in sorted((conf / VIEWS).glob("*.yaml")):
        try:
            yield read_view(conf, path.stem)
        except ProjectError as error:
            found.append(Finding(f"view {path.stem}", str(error)))


def _definition(join: Join, view: View) -> Iterator[Finding]:
    try:
        join.expressions.check(view)
        for name, feature in view.features.items():
            if feature.function is not None:
                aggregate(view, name)
    except ProjectError as error:
        yield Finding(f"view {view.name}", str(error))


def _rows(
    join: Join, table: Table, files: list[Partition], now: np.datetime64
) -> Iterator[Finding]:
    event = f"epoch_us({quoted(table.event_time)})"
    counted = [f"count(*) FILTER (WHERE {event} > {micro(now)})"]
    if table.known_time is not None:
        counted.append(f"count(*) FILTER (WHERE epoch_us({quoted(table.known_time)}) < {event})")
    future, *before = join.select(table, files, ", ".join(counted))[0]
    of = f"table {table.name}"
    if future:
        yield Finding(
            of,
            f"{future:,} rows have yet to happen by {table.event_time}: correct them, or "
            f"`time_zone` in {table.place}",
        )
    if any(before):
        yield Finding(
            of,
            f"{before[0]:,} rows were known before they happened, by {table.known_time} and "
            f"{table.event_time}: correct them, or name the columns otherwise in {table.place}",
        )
    every = [quoted(name) for name, _ in table.kept()]
    order = [quoted(name) for name in (*table.keys, table.event_time, *table.tie_break)]
    twice, tied = (_repeated(join, table, files, columns) for columns in (every, order))
    if twice:
        yield Finding(of, f"{twice:,} rows repeat another in every column: keep each once")
    if tied > twice:
        yield Finding(
            of,
            f"{tied - twice:,} rows happened to the same entity at the same time as another, and "
            f"nothing says which is the newer: name a column in `tie_break` of {table.place}",
        )


def _repeated(join: Join, table: Table, files: list[Partition], columns: list[str]) -> int:
    """Return how many rows are like an earlier one in some columns."""
    alike = f"GROUP BY {', '.join(columns)} HAVING count(*) > 1"
    return sum(count - 1 for (count,) in join.select(table, files, "count(*)", alike))


def _freshness(
    join: Join, view: View, files: list[Partition], now: np.datetime64
) -> Iterator[Finding]:
    newest = join.select(view.table, files, f"max({known_at(view.table)})")[0][0]
    allowed = seconds(view.freshness or "0 days")
    if newest is None or micro(now) - newest <= allowed * MICROSECONDS:
        return
    since = datetime.fromtimestamp(newest / MICROSECONDS, UTC).isoformat(timespec="seconds")
    late = timedelta(seconds=(micro(now) - newest) // MICROSECONDS)
    yield Finding(
        f"view {view.name}",
        f"nothing is known of {view.table.name} since {since}, {late} ago, and `freshness` is "
        f"{view.freshness}: bring newer rows with `mlops ingest --table {view.table.name}`",
    )
