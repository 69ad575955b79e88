"""A person in a server's log: which files have rows of a key, by whichever name the log has of it.

That is the column itself, where it is an input and no personal data; the entity of a view, as it
is or as a keyed hash; and a routing key, of which the log has the hash.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..config.views import View
from ..data.errors import DataError
from ..files import atomic_file, sha256
from ..log_layout import CLOSED, FEATURES, FEEDBACK, OPEN, PREDICTIONS, SPOOL, stored
from ..progress import progress
from ..views.online import key
from .forgetting import Held, Wanted, parquet_without

ENTITY, UNIT = FEATURES[1], "unit"
ROW = ("request_id", "row")
HASH = re.compile("[0-9a-f]{16}")

Known = Callable[[Any], str | None]  # from what the log has to the key that was asked for
Hashed = Callable[[bytes], str]
Segment = Callable[[Path], Iterator[pa.RecordBatch]]


class Logged(NamedTuple):
    """What a search of a log came to: files with rows of the keys, and the keys that are there.

    `waiting` are segments of the spool with such rows, which only compaction turns into files, and
    `writing` how many a server still writes to. `hidden` are views whose entities nobody can tell.
    """

    held: list[Held]
    keys: set[str]
    waiting: list[Path]
    writing: int
    hidden: list[str]


class Named:
    """By what a log may name the persons of some keys; `hashed` is how it hashes, if that is known.

    `views` are those that may have looked them up.
    """

    def __init__(
        self, wanted: Wanted, views: Mapping[str, View], hashed: Hashed | None = None
    ) -> None:
        self._column, self._keys = stored(wanted.name), dict(wanted.keys)
        # The place of the key among those of an entity, in the order of the table's.
        self._places = {
            name: [view.entity[one] for one in view.table.keys].index(wanted.name)
            for name, view in views.items()
            if wanted.name in view.entity.values()
        }
        self._hashes = {} if hashed is None else dict(_hashes(self._keys, hashed))
        self._can_tell = hashed is not None
        self.hidden: set[str] = set()

    def found(self, rows: pa.Table | pa.RecordBatch) -> tuple[np.ndarray, set[str]]:
        """Return which rows are of a key, counted from 0, and the keys."""
        mask, keys = np.zeros(rows.num_rows, bool), set[str]()
        for values, known in self._columns(rows):
            told: dict[Any, str | None] = {}
            for at, value in enumerate(values.to_pylist()):
                if value is None:
                    continue
                if value not in told:
                    told[value] = known(value)
                if (asked := told[value]) is not None:
                    mask[at] = True
                    keys.add(asked)
        return mask.nonzero()[0], keys

    def reads(self, schema: pa.Schema) -> list[str]:
        """Return the columns of a file that may name a person."""
        return [n for n in (*ROW, self._column, UNIT, ENTITY) if n in schema.names]

    def _columns(self, rows: pa.Table | pa.RecordBatch) -> Iterator[tuple[Any, Known]]:
        names = rows.schema.names
        if self._column in names:
            yield rows.column(self._column), lambda value: self._keys.get(_text(value))
        if UNIT in names and self._hashes:
            yield rows.column(UNIT), self._hashes.get
        if ENTITY not in names:
            return
        entities = pa.table({ENTITY: rows.column(ENTITY)}).flatten()
        for name in self._places:
            if f"{ENTITY}.{name}" in entities.column_names:
                yield entities.column(f"{ENTITY}.{name}"), self._entity(name)

    def _entity(self, view: str) -> Known:
        """Return what tells an entity of a view: a JSON list of its keys or hashes, or one hash."""
        place = self._places[view]

        def known(text: str) -> str | None:
            if not text.startswith("["):
                if not self._can_tell:
                    self.hidden.add(view)
                return self._hashes.get(text)
            parts = msgspec.json.decode(text)
            one = parts[place]
            if len(parts) > 1 and isinstance(one, str) and HASH.fullmatch(one):
                if not self._can_tell:
                    self.hidden.add(view)
                if one in self._hashes:
                    return self._hashes[one]
            return self._keys.get(_text(one))

        return known


def search(log: Path, named: Named, segments: Segment) -> Logged:
    """Return what a log has of the keys; `segments` reads one of the spool.

    Raises DataError for a folder that is no log, and for a file that cannot be read.
    """
    predictions, reports = (
        sorted((log / room).glob("date=*/**/*.parquet")) for room in (PREDICTIONS, FEEDBACK)
    )
    spooled = sorted((log / SPOOL).glob(f"*/*{CLOSED}"))
    writing = len([*(log / SPOOL).glob(f"*/*{OPEN}")])
    if not (predictions or spooled or writing):
        raise DataError(f"{log} has neither predictions nor a spool: name the log with --log")
    held, keys, answered = [], set[str](), set[tuple[Any, ...]]()
    for path in progress(predictions, "search of the log", unit="file"):
        rows = _read(path, named.reads)
        places, of = named.found(rows)
        if len(places):
            held.append(Held(path, places, sha256(path)))
            keys |= of
            answered |= _rows(rows, places)
    for path in reports if answered else ():
        rows = _read(path, lambda _: [*ROW])
        told = zip(*(rows.column(name).to_pylist() for name in ROW), strict=True)
        places = np.array([pair in answered for pair in told], bool).nonzero()[0]
        if len(places):
            held.append(Held(path, places, sha256(path)))
    waiting = []
    for path in spooled:
        if found := set().union(*(named.found(rows)[1] for rows in segments(path))):
            waiting.append(path)
            keys |= found
    return Logged(held, keys, waiting, writing, sorted(named.hidden))


def forget(held: Sequence[Held]) -> None:
    """Take the rows out of files of a log: all are written before the first is replaced."""
    with ExitStack() as staged:
        for one in held:
            parquet_without(one, staged.enter_context(atomic_file(one.path)))


def told(log: Path, logged: Logged) -> Iterator[str]:
    """Yield lines: what was removed of a log, and what remains of the keys. None names a key."""
    rows = sum(len(one.rows) for one in logged.held)
    yield f"removed of the log: {rows:,} rows of {len(logged.held):,} files"
    for one in logged.held:
        yield f"  {one.path.relative_to(log).as_posix()}: {len(one.rows):,} rows"
    for path in logged.waiting:
        yield f"  remains in {path.relative_to(log).as_posix()}, which is no file of rows yet"
    if logged.waiting:
        yield (
            f"  `python -m mlops.serving.recording {log / SPOOL}/*` writes these: then forget again"
        )
    if logged.writing:
        yield (
            f"check: {logged.writing} segments are still written to, and were not searched: forget "
            "again when they are closed"
        )
    if logged.hidden:
        yield (
            f"check: entities of {', '.join(logged.hidden)} are hashes that cannot be told here: "
            "set MLOPS_LOG_KEY to the secret of the log"
        )
    yield "  counts of days stay, which name nobody; the monitor counts those days again"
    yield "  a bucket that the log was shipped to keeps its segments until its rule removes them"


def _read(path: Path, reads: Callable[[pa.Schema], list[str]]) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            return file.read(columns=reads(file.schema_arrow))
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} cannot be read ({reason}): bring it back, or delete it") from error


def _rows(rows: pa.Table, places: np.ndarray) -> set[tuple[Any, ...]]:
    chosen = rows.take(pa.array(places))
    return set(zip(*(chosen.column(name).to_pylist() for name in ROW), strict=True))


def _text(value: Any) -> str:
    """Return a value of a log as keys are written."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value).strip()


def _hashes(keys: Mapping[str, str], hashed: Hashed) -> Iterator[tuple[str, str]]:
    """Yield each hash that a key may have, as an entity or as a routing key, with the key."""
    for text, asked in keys.items():
        yield hashed(key((text,))), asked
        if text.lstrip("-").isdecimal():
            yield hashed(key((int(text),))), asked
        yield hashed(text.encode()), asked
