"""The embedded store: one SQLite file, whose readers and writer do not wait for each other.

A view has two tables. What is short enough to be a whole number (the key of most entities: of one
number, or of a text of five bytes) is the row's own number: the inner pages of such a tree hold
nothing else, so that they stay in the processor's cache and a look-up takes half the time. All
other keys are in a table by their bytes.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias, TypeVar
from urllib.parse import quote, unquote, urlsplit

import msgspec

from ...files import atomic_file
from ...views.online import About, Entry, OnlineError, OutageError, Snapshot
from .stores import newer

WAIT = 60.0  # seconds that one writer waits for another
KEYS = 1 << 13  # of one statement, at most
APART = 8  # keys that are sought one by one; of more, a list is quicker
STEP = 16  # how many more keys the next statement has, up to LARGE; then twice as many
LARGE = 256
ROWS = 100  # of one statement that writes: a third of the time that single ones take
PAGE = 1 << 13  # bytes of a page of a new file: more make it smaller, and an update longer
MAPPED = 1 << 30  # bytes of the file that are read without a system call
NUMBERED, NAMED = "numbered", "named"  # the two tables of a view
KIND: dict[type, str] = {int: NUMBERED, bytes: NAMED}  # by what a key is sought by
SHORT = 7  # bytes, of which every value is a whole number that SQLite has
WHOLE = b"\x91\xcf"  # what msgpack has before the eight bytes of one large number
Sought: TypeAlias = int | bytes
T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS views (
    name TEXT PRIMARY KEY, content BLOB NOT NULL, newest INTEGER NOT NULL, as_of INTEGER
) WITHOUT ROWID
"""


def opened(url: str, timeout: float, write: bool) -> "Sqlite":
    """Return the store in the file of an address; raises OnlineError where there is none."""
    path = Path(unquote(urlsplit(url).path.removeprefix("/")))
    if not path.name:
        raise OnlineError(f"{url} names no file: write it like sqlite:///data/online.db")
    if not write and not path.is_file():
        raise OnlineError(f"there is no online store {path}: run `mlops materialise --store {url}`")
    return Sqlite(path, write)


class Sqlite:
    """The store in one file; each thread has a connection of its own."""

    remote = False

    def __init__(self, path: Path, write: bool = False) -> None:
        self._path = path
        self._write = write
        self._of_thread = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._one: dict[tuple[str, str], str] = {}
        self._many: dict[tuple[str, str, int], str] = {}

    def read(self, table: str, keys: Sequence[bytes]) -> Snapshot:
        """Return what is stored for keys, as of one moment."""
        try:
            if len(keys) == 1:
                return self._read_one(table, keys[0])
            return self._read_many(table, keys)
        except sqlite3.Error as error:
            if "no such table" in str(error):
                return Snapshot(None, [None] * len(keys))
            raise OutageError(str(error)) from error

    def tables(self) -> dict[str, About]:
        """Return what the store holds."""
        if self._write and not self._path.exists():
            return {}
        try:
            rows = self._connection.execute("SELECT name, content, as_of FROM views").fetchall()
        except sqlite3.Error as error:
            if "no such table" in str(error):
                return {}
            raise OutageError(str(error)) from error
        return {
            name: msgspec.structs.replace(msgspec.json.decode(content, type=About), as_of=as_of)
            for name, content, as_of in rows
        }

    def begin(self, table: str, about: About, at: int) -> None:
        """Make the table where there is none, and let nothing older in from now on."""
        with self._transaction() as connection:
            _make(connection, table, about, at)
            newest = _newest(connection, table)
        if newest > at:
            raise OnlineError(newer(about.view))

    def load(self, table: str, about: About, entries: Iterable[Entry], at: int) -> int:
        """Write a table that is not there yet, whole or not at all."""
        if self._path.exists():
            with self._transaction() as connection:
                return _load(connection, table, about, entries, at)
        # Nobody reads a new file yet, so that it needs no journal: half the time.
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(self._path) as staging:
            connection = sqlite3.connect(staging, isolation_level=None)
            try:
                connection.execute(f"PRAGMA page_size={PAGE}")
                connection.execute("PRAGMA journal_mode=OFF")
                connection.execute("PRAGMA synchronous=OFF")
                connection.execute(SCHEMA)
                connection.execute("BEGIN")
                written = _load(connection, table, about, entries, at)
                connection.execute("COMMIT")
                connection.execute("PRAGMA journal_mode=WAL")
            finally:
                connection.close()
        return written

    def upsert(self, table: str, entries: Iterable[Entry]) -> int:
        """Write what is newer than what stands there and differs."""
        conflict = (
            "ON CONFLICT (key) DO UPDATE SET as_of = excluded.as_of, value = excluded.value "
            "WHERE excluded.as_of > standing.as_of AND excluded.value <> standing.value"
        )
        with self._transaction() as connection:
            newest, before = _newest(connection, table), connection.total_changes
            _insert(connection, table, (one for one in entries if one[1] >= newest), conflict)
            return connection.total_changes - before

    def complete(self, table: str, at: int) -> None:
        """Say that every entity is known for this time, unless something newer has begun."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE views SET as_of = max(coalesce(as_of, ?1), ?1) "
                "WHERE name = ?2 AND newest <= ?1",  # which kept some of these values out
                (at, table),
            )

    def keys(self, table: str) -> Iterator[bytes]:
        """Yield the key of every entity."""
        for (number,) in self._connection.execute(f"SELECT key FROM {_quoted(NUMBERED, table)}"):
            yield _key(number)
        for (found,) in self._connection.execute(f"SELECT key FROM {_quoted(NAMED, table)}"):
            yield found

    def remove(self, table: str, keys: Iterable[bytes], at: int) -> int:
        """Remove entities, unless something newer has begun."""
        with self._transaction() as connection:
            if _newest(connection, table) > at:
                return 0
            before = connection.total_changes
            sought = [*map(_sought, keys)]
            for kind, of_kind in _apart(sought, sought):
                statement = f"DELETE FROM {_quoted(kind, table)} WHERE key = ?"
                connection.executemany(statement, ((one,) for one in of_kind))
            return connection.total_changes - before

    def drop(self, table: str) -> None:
        """Remove a table."""
        with self._transaction() as connection:
            for kind in (NUMBERED, NAMED):
                connection.execute(f"DROP TABLE IF EXISTS {_quoted(kind, table)}")
            connection.execute("DELETE FROM views WHERE name = ?", (table,))

    def close(self) -> None:
        """Close the file, in every thread."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        self._of_thread = threading.local()

    @property
    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._of_thread, "connection", None)
        if found is None:
            found = self._of_thread.connection = self._connected()
        return found

    def _connected(self) -> sqlite3.Connection:
        place = f"file:{quote(str(self._path.absolute()))}?mode={'rwc' if self._write else 'ro'}"
        try:
            if self._write:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                place,
                uri=True,
                isolation_level=None,
                timeout=WAIT if self._write else 0,
                check_same_thread=False,  # whoever stops the server closes those of its threads
            )
            connection.execute(f"PRAGMA mmap_size={MAPPED}")
            if self._write:
                connection.execute("PRAGMA journal_mode=WAL")
                # What is lost with the machine is materialised again; nothing is torn.
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute(SCHEMA)
        except (sqlite3.Error, OSError) as error:
            if self._write:
                raise self._unusable(error) from error
            raise OutageError(str(error)) from error
        self._opened.append(connection)
        return connection

    def _read_one(self, table: str, key: bytes) -> Snapshot:
        sought = _sought(key)
        kind = KIND[type(sought)]
        statement = self._one.get((kind, table))
        if statement is None:
            # One statement, so that both are of one moment.
            statement = self._one[kind, table] = (
                f"SELECT views.as_of, found.as_of, found.value FROM views LEFT JOIN "
                f"{_quoted(kind, table)} AS found ON found.key = ? "
                f"WHERE views.name = '{_text(table)}'"
            )
        row = self._connection.execute(statement, (sought,)).fetchone()
        if row is None:
            return Snapshot(None, [None])
        whole, as_of, value = row
        return Snapshot(whole, [None if as_of is None else (as_of, value)])

    def _read_many(self, table: str, keys: Sequence[bytes]) -> Snapshot:
        found: dict[Sought, tuple[int, bytes]] = {}
        sought = [int.from_bytes(key) if len(key) <= SHORT else _sought(key) for key in keys]
        whole: int | None = None
        for kind, of_kind in _apart(sought, sought):
            for start in range(0, len(of_kind), KEYS):
                part = list(dict.fromkeys(of_kind[start : start + KEYS]))
                size = _size(len(part))
                part += part[:1] * (size - len(part))
                statement = self._many.get((kind, table, size))
                if statement is None:
                    statement = self._statement(kind, table, size)
                of_part: int | None = None
                for key, as_of, value in self._connection.execute(statement, (table, *part)):
                    if key is None:
                        of_part = as_of
                    else:
                        found[key] = as_of, value
                if of_part is None:
                    return Snapshot(None, [None] * len(keys))
                # What was read in another statement is known for the earlier of both.
                whole = of_part if whole is None else min(whole, of_part)
        return Snapshot(whole, [found.get(one) for one in sought])

    def _statement(self, kind: str, table: str, size: int) -> str:
        found = f"SELECT key, as_of, value FROM {_quoted(kind, table)} WHERE key "
        rows = [found + "= ?"] * size if size <= APART else [f"{found}IN ({','.join('?' * size)})"]
        whole = "SELECT NULL, as_of, NULL FROM views WHERE name = ?"
        statement = self._many[kind, table, size] = " UNION ALL ".join([whole, *rows])
        return statement

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the file for one transaction; a failure leaves it as it was."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> OnlineError:
        return OnlineError(
            f"{self._path} cannot be written as an online store ({error}): let this user write it "
            "and its folder, or name another with --store"
        )


def _size(keys: int) -> int:
    """Return how many keys a statement has for some: few statements, which are prepared once."""
    if APART < keys <= LARGE:
        return -(-keys // STEP) * STEP
    return 1 << (keys - 1).bit_length()


def _make(connection: sqlite3.Connection, table: str, about: About, at: int) -> None:
    content = msgspec.json.encode(msgspec.structs.replace(about, as_of=None))
    for kind, key, other in ((NUMBERED, "INTEGER", ""), (NAMED, "BLOB", "WITHOUT ROWID")):
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {_quoted(kind, table)} "
            f"(key {key} PRIMARY KEY, as_of INTEGER NOT NULL, value BLOB NOT NULL) {other}"
        )
    connection.execute(
        "INSERT INTO views VALUES (?, ?, ?, NULL) ON CONFLICT DO UPDATE "
        "SET newest = max(newest, excluded.newest)",
        (table, content, at),
    )


def _load(
    connection: sqlite3.Connection, table: str, about: About, entries: Iterable[Entry], at: int
) -> int:
    _make(connection, table, about, at)
    before = connection.total_changes
    _insert(connection, table, entries)
    written = connection.total_changes - before
    connection.execute("UPDATE views SET as_of = ? WHERE name = ?", (at, table))
    return written


def _insert(
    connection: sqlite3.Connection, table: str, entries: Iterable[Entry], conflict: str = ""
) -> None:
    """Insert entries, many in a statement."""
    given = ((_sought(key), as_of, value) for key, as_of, value in entries)
    while rows := list(islice(given, ROWS)):
        for kind, of_kind in _apart(rows, [row[0] for row in rows]):
            name, places = _quoted(kind, table), ",".join(["(?,?,?)"] * len(of_kind))
            connection.execute(
                f"INSERT INTO {name} AS standing VALUES {places} {conflict}",
                list(chain.from_iterable(of_kind)),
            )


def _sought(key: bytes) -> Sought:
    """Return what a key is found by: a number where it is short, or has one large number."""
    # No two are alike: a list in msgpack does not begin with a zero.
    if len(key) <= SHORT:
        return int.from_bytes(key)
    if len(key) == len(WHOLE) + 8 and key.startswith(WHOLE) and key[len(WHOLE)] < 128:
        return -int.from_bytes(key[len(WHOLE) :])
    return key


def _key(number: int) -> bytes:
    """Return the key that is found by a number."""
    if number < 0:
        return WHOLE + (-number).to_bytes(8)
    return number.to_bytes((number.bit_length() + 7) // 8)


def _apart(items: list[T], sought: list[Sought]) -> list[tuple[str, list[T]]]:
    """Return items by the table that each is sought in."""
    kinds = set(map(type, sought))
    if len(kinds) == 1:  # as good as always, and nothing is copied
        return [(KIND[kinds.pop()], items)]
    return [
        (KIND[kind], [item for item, one in zip(items, sought, strict=True) if type(one) is kind])
        for kind in kinds
    ]


def _newest(connection: sqlite3.Connection, table: str) -> int:
    """Return the time that was begun last."""
    row = connection.execute("SELECT newest FROM views WHERE name = ?", (table,)).fetchone()
    return int(row[0]) if row else 0


def _quoted(kind: str, table: str) -> str:
    return f'"{kind}_' + table.replace('"', '""') + '"'


def _text(table: str) -> str:
    return table.replace("'", "''")
