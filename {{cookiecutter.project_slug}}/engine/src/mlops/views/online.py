"""What an online store holds: the newest values of each entity, as bytes that restore them.

What writes a store and what reads it while a request is answered both ask here.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np

from ..config.views import View
from ..contract import Column, Contract
from ..errors import ProjectError

EPOCH = datetime(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)
SHOWN = 12  # of a digest
FLOAT = 0xCB  # what msgpack has before the eight bytes of a number
# What changes no value: another description must not ask for a store that is written anew.
SAID_ONLY = ("description", "owner", "online", "freshness", "stale", "name")
OF_COLUMN = ("type", "format", "missing", "units", "categories")

Entry = tuple[bytes, int, bytes]  # key, as-of time in microseconds since 1970, values

pack = msgspec.msgpack.Encoder().encode


class OnlineError(ProjectError):
    """The online store cannot be used, or holds something else."""


class OutageError(Exception):
    """The online store does not answer; what that means for a row is for its view to say."""


class About(msgspec.Struct, frozen=True):
    """What a store knows of a view: by which definition it is written, and up to when.

    `as_of` is the time that every value is known for (microseconds since 1970): none before the
    first materialisation is complete.
    """

    view: str
    definition: str
    features: list[str]
    as_of: int | None = None


class Snapshot(NamedTuple):
    """What one read found: for each key its as-of time and values, or none, all of one moment.

    `as_of` is that of the whole view: a value that has not changed since is known for it, too.
    """

    as_of: int | None
    rows: list[tuple[int, bytes] | None]


class Reader(Protocol):
    """A store as a server reads it; `remote` says whether a read waits for a network."""

    remote: bool

    def read(self, table: str, keys: Sequence[bytes]) -> Snapshot:
        """Return what is stored for keys, in one round trip; raises OutageError."""

    def tables(self) -> dict[str, About]:
        """Return what the store holds, by the name of the table; raises OutageError."""

    def close(self) -> None:
        """Let go of the store."""


class Store(Reader, Protocol):
    """A store as it is written; every operation is atomic for each entity."""

    def begin(self, table: str, about: About, at: int) -> None:
        """Make the table where there is none, and let nothing older than `at` in from now on.

        Raises OnlineError where something newer has begun.
        """

    def load(self, table: str, about: About, entries: Iterable[Entry], at: int) -> int:
        """Write a table that is not there yet, whole or not at all; return how many entities."""

    def upsert(self, table: str, entries: Iterable[Entry]) -> int:
        """Write what is newer than what stands there and differs; return how many that were."""

    def complete(self, table: str, at: int) -> None:
        """Say that every entity is known for this time, unless something newer has begun."""

    def keys(self, table: str) -> Iterator[bytes]:
        """Yield the key of every entity."""

    def remove(self, table: str, keys: Iterable[bytes], at: int) -> int:
        """Remove entities, unless something newer than `at` has begun, and return how many."""

    def drop(self, table: str) -> None:
        """Remove a table."""


def definition(view: View) -> str:
    """Return the SHA-256 of everything in a view that its values depend on."""
    said = msgspec.to_builtins(view)
    table = said["table"]
    columns = {
        name: {key: value for key, value in column.items() if key in OF_COLUMN}
        for name, column in table["columns"].items()
    }
    features = {name: _said(one, ("min", "max")) for name, one in said["features"].items()}
    terms = ("licence", "retention", "purpose", "restricted", "source", "columns")
    whole = {
        **_said(said, ("table", "features")),
        "features": features,
        "table": {**_said(table, terms), "name": table["name"], "columns": columns},
    }
    return sha256(msgspec.json.encode(whole, order="deterministic")).hexdigest()


def table_name(view: View) -> str:
    """Return what a view's table is called: another definition has another, beside it."""
    return f"{view.name}_{definition(view)[:SHOWN]}"


def about(view: View) -> About:
    """Return what a store is told of a view."""
    return About(view.name, definition(view), list(view.features))


def missing(view: View, tables: dict[str, About]) -> str:
    """Return why a store cannot answer for a view, with the remedy; nothing where it can."""
    held = tables.get(table_name(view))
    if held is not None and held.as_of is not None:
        return ""
    remedy = f"run `mlops materialise --view {view.name}` on this store"
    if held is None and any(other.view == view.name for other in tables.values()):
        return f"the online store holds {view.name} by another definition: {remedy}"
    return f"the online store does not hold {view.name} yet: {remedy}"


def microseconds(moment: datetime) -> int:
    """Return a time as microseconds since 1970; one without an offset is in UTC."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (moment - EPOCH) // MICROSECOND


def key_columns(view: View) -> dict[str, str]:
    """Return the contract's column for each key of the table, in the order of a store's key."""
    return {name: view.entity[name] for name in view.table.keys}


def names_persons(view: View, contract: Contract) -> bool:
    """Say whether an entity of a view is personal data, which the log knows by a keyed hash."""
    return view.table.restricted or any(map(contract.is_private, view.entity.values()))


def key(values: Sequence[Any]) -> bytes:
    """Return the key of an entity; whole numbers are ints, whatever holds them."""
    return pack([_plain_key(value) for value in values])


def key_text(stored: bytes) -> str:
    """Return a key as a person reads it: a JSON list of its values."""
    return msgspec.json.encode(msgspec.msgpack.decode(stored)).decode()


def hidden_text(stored: bytes, hashed: Callable[[bytes], str]) -> str:
    """Return a key as the log has it where it is personal data: its hash.

    Of several values that is a JSON list of a hash each, so that a person is found by one of them.
    """
    values = msgspec.msgpack.decode(stored)
    if len(values) == 1:
        return hashed(stored)
    return msgspec.json.encode([hashed(key((value,))) for value in values]).decode()


def _plain_key(value: Any) -> Any:
    if type(value) is int:  # most are
        return value
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, datetime):
        return microseconds(value)
    return value


class Values:
    """The values of a view's features to bytes and back, bit for bit; missing is None.

    `decode` returns values as a row has them; datetimes are naive, in UTC.
    """

    def __init__(self, view: View) -> None:
        self.types = [feature.type for feature in view.features.values()]
        fields = tuple(_field(kind) for kind in self.types)
        decode = msgspec.msgpack.Decoder(tuple[fields]).decode  # type: ignore[valid-type]
        moments = [at for at, kind in enumerate(self.types) if kind == "datetime"]
        # No method: where no moment is to be restored, the decoder alone is asked.
        self.decode = _restoring(decode, moments) if moments else decode
        self.defaults = tuple(
            _typed(feature.default, feature.type) for feature in view.features.values()
        )

    def encode(self, values: Sequence[Any]) -> bytes:
        """Return values as bytes: as they come out of a table, numbers as Python has them."""
        return pack([_stored(value, kind) for value, kind in zip(values, self.types, strict=True)])

    def encoded(self, columns: Sequence[Sequence[Any] | np.ndarray]) -> Iterator[bytes]:
        """Yield the bytes of each row of columns that hold what is stored already.

        A float64 array lacks no value; of such alone, all rows are encoded at once.
        """
        if all(isinstance(column, np.ndarray) for column in columns):
            return iter(_packed(np.column_stack(columns)))
        listed = (c.tolist() if isinstance(c, np.ndarray) else c for c in columns)
        return map(pack, zip(*listed, strict=True))


def _restoring(
    decode: Callable[[bytes], tuple[Any, ...]], moments: Sequence[int]
) -> Callable[[bytes], tuple[Any, ...]]:
    """Return what decodes values in which some are moments."""

    def restored(stored: bytes) -> tuple[Any, ...]:
        found = list(decode(stored))
        for at in moments:
            if found[at] is not None:
                found[at] = EPOCH + found[at] * MICROSECOND
        return tuple(found)

    return restored


def _packed(matrix: np.ndarray) -> list[bytes]:
    """Return each row (rows, columns) as the msgpack array that `pack` makes of its floats."""
    rows, width = matrix.shape
    head = pack([None] * width)[:-width]
    cell = np.dtype([("mark", "u1"), ("value", ">f8")])
    made = np.empty(rows, np.dtype([("head", f"V{len(head)}"), ("cells", cell, (width,))]))
    made["head"] = np.void(head)
    made["cells"]["mark"] = FLOAT
    made["cells"]["value"] = matrix
    whole: list[bytes] = made.view(f"V{made.itemsize}").tolist()
    return whole


def _field(kind: str) -> Any:
    plain = {"number": float, "integer": int, "boolean": bool, "datetime": int}
    return plain.get(kind, str) | None


def _stored(value: Any, kind: str) -> Any:
    """Return a value as msgpack has it."""
    found = _typed(value, kind)
    return microseconds(found) if isinstance(found, datetime) else found


def _typed(value: Any, kind: str) -> Any:
    """Return a value of its column's type, or None where it is missing."""
    if value is None or value != value:  # NaN, and NaT of pandas
        return None
    match kind:
        case "number":
            return float(value)
        case "integer":
            return int(value)
        case "boolean":
            return bool(value)
        case "datetime":
            return datetime.fromisoformat(value) if isinstance(value, str) else value
    return str(value)


def same_bits(one: Any, other: Any) -> bool:
    """Say whether two values of a column are the same to the last bit; 0.0 and -0.0 are not."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return type(one) is type(other) and bool(one == other)


def kinds_of(column: Column) -> str:
    """Return what values of a key column are alike to: a text or a whole number."""
    return "text" if column.type in ("text", "category") else column.type


def _said(mapping: dict[str, Any], also: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name not in (*SAID_ONLY, *also)}
