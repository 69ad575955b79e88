"""The newest values of a view's entities, computed as offline and handed to an online store."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ..config.views import View
from ..progress import progress
from .join import Join
from .online import (
    Entry,
    OnlineError,
    Store,
    Values,
    about,
    key,
    microseconds,
    table_name,
)
from .values import KNOWN_TIME

ROWS = 200_000  # entities whose values are computed at a time


class Materialised(NamedTuple):
    """What a run did: how many entities a view has, how many were written, and how many are gone.

    `dropped` are the tables of other definitions that were removed.
    """

    entities: int
    written: int
    gone: int
    dropped: tuple[str, ...] = ()


def materialise(
    view: View, store: Store, at: datetime, root: Path = Path(), prune: bool = False
) -> Materialised:
    """Have a store hold what a view says of every entity at a moment; `prune` drops the view's
    other definitions.

    Every entity is computed again, and what differs is written: a row that arrived late, or that
    left a window, changes an entity of which no time of any row tells. Until the end the store
    answers as of before. Raises OnlineError where it holds the view of a later time.
    """
    table, moment, told = table_name(view), microseconds(at), about(view)
    held = store.tables()
    values = Values(view)
    seen: set[bytes] = set()
    with Join(root) as join:
        names = join.entities(view, np.datetime64(moment, "us"))
        if not names.num_rows and table not in held:
            raise OnlineError(
                f"nothing of {view.table.folder} is known at {at:%Y-%m-%dT%H:%M:%SZ}: fetch it "
                "with `dvc pull`, or correct --at"
            )
        entries = _entries(view, names, moment, join, values, seen)
        known = held.get(table)
        if known is None:
            written, gone = store.load(table, told, entries, moment), 0
        else:
            store.begin(table, told, moment)
            written = store.upsert(table, entries)
            lost = [one for one in store.keys(table) if one not in seen]
            # First as of now without history, so that nobody sees an entity without it too early.
            defaults = values.encode(values.defaults)
            store.upsert(table, ((one, moment, defaults) for one in lost))
            store.complete(table, moment)
            gone = store.remove(table, lost, moment)
    others = tuple(
        name for name, other in held.items() if other.view == view.name and name != table
    )
    for name in others if prune else ():
        store.drop(name)
    return Materialised(len(seen), written, gone, others if prune else ())


def _entries(
    view: View, names: pa.Table, moment: int, join: Join, values: Values, seen: set[bytes]
) -> Iterator[Entry]:
    """Yield the entry of every entity."""
    bar = progress(total=names.num_rows, title=view.name, unit=" entities", unit_scale=True)
    with bar:
        for start in range(0, names.num_rows, ROWS):
            part = names.slice(start, ROWS)
            at = np.full(part.num_rows, moment, dtype="datetime64[us]")
            found = join.values_at(view, part, at)
            there = found.column(KNOWN_TIME).is_valid()  # of the others, every row is too old
            part, found = part.filter(there), found.filter(there).drop_columns([KNOWN_TIME])
            for entity, value in zip(keys(view, part), encoded(values, found), strict=True):
                seen.add(entity)
                yield entity, moment, value
            bar.update(len(at))


def keys(view: View, entities: pa.Table) -> Iterator[bytes]:
    """Yield the key of each entity of a table with a column for each key of the view's."""
    columns = (entities.column(name).to_pylist() for name in view.table.keys)
    return map(key, zip(*columns, strict=True))


def encoded(values: Values, table: pa.Table) -> Iterable[bytes]:
    """Return the values of each row as a store has them."""
    return values.encoded([_listed(table.column(at), kind) for at, kind in enumerate(values.types)])


def _listed(column: pa.ChunkedArray, kind: str) -> list[object] | np.ndarray:
    """Return a column as values that a store has: whole numbers as such, moments as well."""
    if kind == "integer":
        column = column.cast(pa.int64())
    elif kind == "datetime":
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    elif kind == "number":
        column = column.cast(pa.float64())
        if not column.null_count:
            return column.to_numpy()
    found: list[object] = column.to_pylist()
    return found
