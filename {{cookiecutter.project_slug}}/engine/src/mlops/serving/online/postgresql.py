"""PostgreSQL as an online store: one table of rows for all views, one statement a look-up."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import msgspec
import psycopg  # type: ignore[import-not-found, unused-ignore]

from ...views.online import About, Entry, OnlineError, OutageError, Snapshot
from .stores import Remote, newer, shown

CHUNK = 50_000  # entities of one transaction
CONNECTING = 2  # seconds: the least that libpq waits
SCHEMA = """
CREATE TABLE IF NOT EXISTS mlops_about (
    name text PRIMARY KEY, content bytea NOT NULL, newest bigint NOT NULL, as_of bigint
);
CREATE TABLE IF NOT EXISTS mlops_online (
    name text, key bytea, as_of bigint NOT NULL, value bytea NOT NULL, PRIMARY KEY (name, key)
)
"""
READ = (
    "SELECT NULL::bytea, as_of, NULL::bytea FROM mlops_about WHERE name = %s UNION ALL "
    "SELECT key, as_of, value FROM mlops_online WHERE name = %s AND key = ANY(%s)"
)
UPSERT = """
INSERT INTO mlops_online SELECT %s, given.key, given.as_of, given.value FROM given
WHERE given.as_of >= (SELECT newest FROM mlops_about WHERE name = %s)
ON CONFLICT (name, key) DO UPDATE SET as_of = excluded.as_of, value = excluded.value
WHERE excluded.as_of > mlops_online.as_of AND excluded.value <> mlops_online.value
"""
Result = TypeVar("Result")


def opened(url: str, timeout: float, write: bool) -> "Postgresql":
    """Return the store at an address; nothing is asked of it yet."""
    return Postgresql(url, timeout, write)


class Postgresql(Remote):
    """The store in one database; each thread has a connection of its own, made when asked."""

    def __init__(self, url: str, timeout: float, write: bool = False) -> None:
        self._url = url
        self._write = write
        milliseconds = int(timeout * 1000)
        self._told: dict[str, Any] = {"connect_timeout": CONNECTING}
        if not write:
            self._told |= {
                "options": f"-c statement_timeout={milliseconds}",
                "tcp_user_timeout": milliseconds,
            }
        self._of_thread = threading.local()
        self._opened: list[psycopg.Connection[Any]] = []

    def read(self, table: str, keys: Sequence[bytes]) -> Snapshot:
        """Return what is stored for keys, as of one moment."""
        given = (table, table, list(keys))
        rows = self._asked(lambda c: c.execute(READ, given, prepare=True).fetchall())
        whole = next((as_of for key, as_of, _ in rows if key is None), None)
        found = {bytes(key): (as_of, bytes(value)) for key, as_of, value in rows if key is not None}
        return Snapshot(whole, [found.get(key) for key in keys])

    def tables(self) -> dict[str, About]:
        """Return what the store holds."""
        try:
            rows = self._asked(
                lambda c: c.execute("SELECT name, content, as_of FROM mlops_about").fetchall()
            )
        except OutageError as error:
            if isinstance(error.__cause__, psycopg.errors.UndefinedTable):
                return {}
            raise
        return {
            name: msgspec.structs.replace(
                msgspec.json.decode(bytes(content), type=About), as_of=as_of
            )
            for name, content, as_of in rows
        }

    def begin(self, table: str, about: About, at: int) -> None:
        """Make the table where there is none, and let nothing older in from now on."""
        content = msgspec.json.encode(msgspec.structs.replace(about, as_of=None))
        statement = (
            "INSERT INTO mlops_about VALUES (%s, %s, %s, NULL) ON CONFLICT (name) DO UPDATE "
            "SET newest = greatest(mlops_about.newest, excluded.newest) RETURNING newest"
        )
        given = (table, content, at)
        rows = self._asked(lambda c: c.execute(statement, given).fetchall())
        if rows[0][0] > at:
            raise OnlineError(newer(about.view))

    def upsert(self, table: str, entries: Iterable[Entry]) -> int:
        """Write what is newer than what stands there and differs."""
        given, written = iter(entries), 0
        while rows := list(islice(given, CHUNK)):
            written += self._asked(partial(_upsert, table=table, rows=rows))
        return written

    def complete(self, table: str, at: int) -> None:
        """Say that every entity is known for this time, unless something newer has begun."""
        # What has begun since kept some of these values out.
        statement = (
            "UPDATE mlops_about SET as_of = greatest(as_of, %s) WHERE name = %s AND newest <= %s"
        )
        self._asked(lambda c: c.execute(statement, (at, table, at)))

    def keys(self, table: str) -> Iterator[bytes]:
        """Yield the key of every entity."""
        statement = "SELECT key FROM mlops_online WHERE name = %s"
        for (key,) in self._asked(lambda c: c.execute(statement, (table,)).fetchall()):
            yield bytes(key)

    def remove(self, table: str, keys: Iterable[bytes], at: int) -> int:
        """Remove entities, unless something newer has begun."""
        given, removed = iter(keys), 0
        while part := list(islice(given, CHUNK)):
            removed += self._asked(partial(_remove, table=table, keys=part, at=at))
        return removed

    def drop(self, table: str) -> None:
        """Remove a table."""

        def dropped(connection: "psycopg.Connection[Any]") -> None:
            with connection.transaction():
                connection.execute("DELETE FROM mlops_about WHERE name = %s", (table,))
                connection.execute("DELETE FROM mlops_online WHERE name = %s", (table,))

        self._asked(dropped)

    def close(self) -> None:
        """Close the connections of every thread."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()

    def _asked(self, ask: "Callable[[psycopg.Connection[Any]], Result]") -> Result:
        """Return an answer; a connection that broke is made anew by who asks next."""
        try:
            return ask(self._connection())
        except psycopg.Error as error:
            self._forget()
            if not self._write:
                raise OutageError(type(error).__name__) from error
            raise OnlineError(
                f"the online store {shown(self._url)} does not answer ({type(error).__name__}): "
                "start it, correct its address, or let this user make tables there"
            ) from error

    def _connection(self) -> "psycopg.Connection[Any]":
        found: psycopg.Connection[Any] | None = getattr(self._of_thread, "connection", None)
        if found is None or found.closed:
            found = psycopg.connect(self._url, autocommit=True, **self._told)
            if self._write:
                found.execute(SCHEMA)
            self._of_thread.connection = found
            self._opened.append(found)
        return found

    def _forget(self) -> None:
        found: psycopg.Connection[Any] | None = getattr(self._of_thread, "connection", None)
        if found is not None and found.broken:
            with suppress(psycopg.Error):
                found.close()
            self._opened = [one for one in self._opened if one is not found]
            self._of_thread.connection = None


def _remove(connection: "psycopg.Connection[Any]", table: str, keys: list[bytes], at: int) -> int:
    statement = (
        "DELETE FROM mlops_online WHERE name = %s AND key = ANY(%s) AND as_of <= %s "
        "AND (SELECT newest FROM mlops_about WHERE name = %s) <= %s"
    )
    return connection.execute(statement, (table, keys, at, table, at)).rowcount


def _upsert(connection: "psycopg.Connection[Any]", table: str, rows: list[Entry]) -> int:
    """Copy entries to the side, and put what is newer in, in one transaction."""
    with connection.transaction():
        connection.execute(
            "CREATE TEMPORARY TABLE given (key bytea, as_of bigint, value bytea) ON COMMIT DROP"
        )
        with connection.cursor().copy("COPY given FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["bytea", "int8", "bytea"])
            for row in rows:
                copy.write_row(row)
        return connection.execute(UPSERT, (table, table)).rowcount
