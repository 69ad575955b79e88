"""The format of a spool segment: framed blocks of msgpack, each whole or not counted."""

import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

MAGIC = b"mlS1"
HEADER = struct.Struct("<4sIII")  # magic, length, CRC-32 of what follows, rows


class Declaration(msgspec.Struct, frozen=True, array_like=True, tag="model"):
    """What a reader must know of a bundle to understand its answers.

    `columns` are (name, contract type, whether it is recorded) of each input; a recorded row
    holds the values of those that are, in this order. `missing` are the texts of a category that
    mean none, `categories` its labels, which may be written another way, with this `decimal` mark.
    `views` are those that are looked up.
    """

    bundle_digest: str
    task: str
    labels: list[str]
    threshold: float
    columns: list[tuple[str, str, bool]]
    missing: list[str]
    categories: dict[str, list[str]] = {}
    decimal: str = "."
    views: list[str] = []


class Answers(msgspec.Struct, frozen=True, array_like=True, tag="answers"):
    """Answered requests of one bundle in one role.

    `counts` and `times` (UTC, seconds) are of each request, `rows` of all of them together;
    `predictions` are their float64 bytes, row after row. `units` are the keyed hashes of the
    routing keys, `arm` who was drawn to answer and `propensity` with which probability; a
    segment of before these were recorded holds none of them. `as_of` and `entities` have of each
    row and view when its values were known (microseconds since 1970) and of whom: the key as the
    store has it, and a text where it is hidden. `assigned` has of each row the arm, the action and
    its probability, in an experiment of actions.
    """

    bundle_digest: str
    role: str
    ids: list[str]
    counts: list[int]
    times: list[float]
    rows: list[tuple[Any, ...]]
    predictions: bytes
    units: list[str | None] = []
    arm: str | None = None
    propensity: float | None = None
    as_of: list[tuple[int | None, ...]] = []
    entities: list[tuple[Any, ...]] = []
    assigned: list[tuple[str, str, float] | None] = []


class Outcomes(msgspec.Struct, frozen=True, array_like=True, tag="outcomes"):
    """What clients reported of rows: the true outcome, which is a label or a number for regression,
    what it was worth, and what was done.

    A segment of before values and actions were recorded holds lists of outcomes alone.
    """

    ids: list[str]
    rows: list[int]
    times: list[float]
    outcomes: list[str | float | None]
    values: list[float | None] = []
    currencies: list[str | None] = []
    actions: list[str | None] = []


Block = Declaration | Answers | Outcomes

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Block)


def encode(block: Block, rows: int = 0) -> bytes:
    """Return a block as it stands in a segment."""
    payload = _encoder.encode(block)
    return HEADER.pack(MAGIC, len(payload), zlib.crc32(payload), rows) + payload


class Torn(NamedTuple):
    """A part of a segment that is no whole block; `rows` is 0 where that cannot be known."""

    size: int
    rows: int


def blocks(data: bytes | memoryview) -> Iterator[Block | Torn]:
    """Yield the blocks of a segment; after a damaged part it goes on at the next whole one."""
    whole = memoryview(data)
    position = 0
    while position < len(whole):
        found = _block(whole, position)
        if found is None:
            following = _next(whole, position + 1)
            size = following - position
            yield Torn(size, min(size, _rows(whole, position)))  # a header may be damaged, too
            position = following
        else:
            block, position = found
            yield block


def _block(data: memoryview, position: int) -> tuple[Block, int] | None:
    """Return the block at a position and where the next one starts, if one is there."""
    start = position + HEADER.size
    if start > len(data):
        return None
    magic, length, checksum, _ = HEADER.unpack_from(data, position)
    payload = data[start : start + length]
    if magic != MAGIC or len(payload) != length or zlib.crc32(payload) != checksum:
        return None
    try:
        return _decoder.decode(payload), start + length
    except msgspec.DecodeError:
        return None


def _next(data: memoryview, position: int) -> int:
    """Return where the next whole block starts, or the end."""
    everything = bytes(data)
    while (position := everything.find(MAGIC, position)) >= 0:
        if _block(data, position) is not None:
            return position
        position += 1
    return len(data)


def _rows(data: memoryview, position: int) -> int:
    if position + HEADER.size > len(data):
        return 0
    magic, _, _, rows = HEADER.unpack_from(data, position)
    return rows if magic == MAGIC else 0
