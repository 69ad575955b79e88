"""Redis as an online store: a string for each entity, written by a script that compares times."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import msgspec
import redis  # type: ignore[import-not-found, unused-ignore]

from ...views.online import About, Entry, OnlineError, OutageError, Snapshot
from .stores import Remote, newer, shown

WRITING = 60.0  # seconds for one answer while nobody waits
CHUNK = 500  # entities of one call of a script, during which Redis answers nobody else
TABLES = "mlops:tables"
EVER = 1 << 62  # after every time
SIZE = 8  # bytes of the time before a value, big-endian
BEGIN = """
local newest = tonumber(redis.call('HGET', KEYS[1], 'newest') or '0')
if newest > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'newest', ARGV[1], 'content', ARGV[2])
redis.call('SADD', KEYS[2], ARGV[3])
return 1
"""
# KEYS: the table, then entities; ARGV: of each the time, and the time with the values.
UPSERT = """
local newest = tonumber(redis.call('HGET', KEYS[1], 'newest') or '0')
local written = 0
for i = 2, #KEYS do
  local at = tonumber(ARGV[2 * i - 3])
  local given = ARGV[2 * i - 2]
  local there = redis.call('GET', KEYS[i])
  if at >= newest and (not there or (struct.unpack('>I8', there) < at
      and string.sub(there, 9) ~= string.sub(given, 9))) then
    redis.call('SET', KEYS[i], given)
    written = written + 1
  end
end
return written
"""
COMPLETE = """
local newest = tonumber(redis.call('HGET', KEYS[2], 'newest') or '0')
if newest > tonumber(ARGV[1]) then return end
local known = tonumber(redis.call('GET', KEYS[1]) or '0')
if known < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
"""
REMOVE = """
local newest = tonumber(redis.call('HGET', KEYS[1], 'newest') or '0')
if newest > tonumber(ARGV[1]) then return 0 end
local removed = 0
for i = 2, #KEYS do removed = removed + redis.call('UNLINK', KEYS[i]) end
return removed
"""
Result = TypeVar("Result")


def opened(url: str, timeout: float, write: bool) -> "Redis":
    """Return the store at an address; nothing is asked of it yet."""
    seconds = WRITING if write else timeout
    client = redis.Redis.from_url(
        url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=None
    )
    return Redis(client, shown(url), write)


class Redis(Remote):
    """The store in one database of a server."""

    def __init__(self, client: "redis.Redis", place: str, write: bool = False) -> None:
        self._client: Any = client
        self._place = place
        self._write = write
        self._upsert = client.register_script(UPSERT)

    def read(self, table: str, keys: Sequence[bytes]) -> Snapshot:
        """Return what is stored for keys, as of one moment: MGET reads all at once."""
        prefix = _prefix(table)
        names = [_as_of(table), *(prefix + key for key in keys)]
        whole, *found = self._asked(lambda: self._client.mget(names))
        rows = [
            None if value is None else (int.from_bytes(value[:SIZE]), value[SIZE:])
            for value in found
        ]
        return Snapshot(None if whole is None else int(whole), rows)

    def tables(self) -> dict[str, About]:
        """Return what the store holds."""
        return self._asked(self._tables)

    def begin(self, table: str, about: About, at: int) -> None:
        """Make the table where there is none, and let nothing older in from now on."""
        content = msgspec.json.encode(msgspec.structs.replace(about, as_of=None))
        keys = [_about(table), TABLES]
        begin = self._client.register_script(BEGIN)
        if not self._asked(lambda: begin(keys=keys, args=[at, content, table])):
            raise OnlineError(newer(about.view))

    def upsert(self, table: str, entries: Iterable[Entry]) -> int:
        """Write what is newer than what stands there and differs."""
        given, prefix, written = iter(entries), _prefix(table), 0
        while rows := list(islice(given, CHUNK)):
            keys = [_about(table), *(prefix + key for key, _, _ in rows)]
            args: list[Any] = []
            for _, as_of, value in rows:
                args += [as_of, as_of.to_bytes(SIZE) + value]
            written += self._asked(partial(self._upsert, keys=keys, args=args))
        return written

    def complete(self, table: str, at: int) -> None:
        """Say that every entity is known for this time, unless something newer has begun."""
        complete = self._client.register_script(COMPLETE)
        self._asked(lambda: complete(keys=[_as_of(table), _about(table)], args=[at]))

    def keys(self, table: str) -> Iterator[bytes]:
        """Yield the key of every entity."""
        prefix = _prefix(table)
        pattern = b"".join(b"\\" + bytes([c]) if c in b"*?[]\\^-" else bytes([c]) for c in prefix)
        for name in self._client.scan_iter(match=pattern + b"*", count=10_000):
            yield name[len(prefix) :]

    def remove(self, table: str, keys: Iterable[bytes], at: int) -> int:
        """Remove entities, unless something newer has begun."""
        remove = self._client.register_script(REMOVE)
        given, prefix, removed = iter(keys), _prefix(table), 0
        while names := [prefix + key for key in islice(given, CHUNK)]:
            whole = [_about(table), *names]
            removed += self._asked(partial(remove, keys=whole, args=[at]))
        return removed

    def drop(self, table: str) -> None:
        """Remove a table."""
        self._asked(lambda: self._client.srem(TABLES, table))
        self._asked(lambda: self._client.unlink(_about(table), _as_of(table)))
        self.remove(table, self.keys(table), EVER)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _tables(self) -> dict[str, About]:
        names = sorted(name.decode() for name in self._client.smembers(TABLES))
        found = {}
        for name in names:
            content = self._client.hget(_about(name), "content")
            as_of = self._client.get(_as_of(name))
            if content is not None:
                told = msgspec.json.decode(content, type=About)
                as_of = None if as_of is None else int(as_of)
                found[name] = msgspec.structs.replace(told, as_of=as_of)
        return found

    def _asked(self, ask: Callable[[], Result]) -> Result:
        try:
            return ask()
        except (redis.RedisError, OSError) as error:
            if not self._write:
                raise OutageError(type(error).__name__) from error
            raise OnlineError(
                f"the online store {self._place} does not answer ({type(error).__name__}): start "
                "it, or correct its address"
            ) from error


# The braces keep a table on one node of a cluster, without which no script could see it.
def _prefix(table: str) -> bytes:
    return f"mlops:{{{table}}}:of:".encode()


def _about(table: str) -> bytes:
    return f"mlops:{{{table}}}:about".encode()


def _as_of(table: str) -> bytes:
    return f"mlops:{{{table}}}:as_of".encode()
