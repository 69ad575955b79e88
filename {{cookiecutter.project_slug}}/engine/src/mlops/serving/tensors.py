"""Tensors of the Open Inference Protocol v2, as the values of a column and back.

Each column is one tensor of shape [rows] or [rows, 1]. A missing value is NaN in a floating
tensor, the empty string in a BYTES tensor, and null in JSON; whole numbers and booleans that may
be missing therefore come as floating tensors. Datetimes are BYTES in ISO 8601.
"""

import math
import struct
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from ..contract import Column, Type

FLOATS = {"FP64": "<f8", "FP32": "<f4"}
WHOLE = {
    f"{sign}INT{8 * size}": f"<{code}{size}"
    for size in (8, 4, 2, 1)
    for sign, code in (("", "i"), ("U", "u"))
}
WIDTHS = {**FLOATS, **WHOLE, "BOOL": "?"}
# What a column may come as; the first is what the model's metadata asks for.
ACCEPTED: dict[Type, tuple[str, ...]] = {
    "number": (*FLOATS, *WHOLE),
    "integer": (*WHOLE, *FLOATS),
    "boolean": ("BOOL", *FLOATS, *WHOLE),
    "category": ("BYTES",),
    "datetime": ("BYTES",),
    "text": ("BYTES",),
}
LENGTH = struct.Struct("<I")


class ProtocolError(Exception):
    """A request that is no inference request, or not one for this model."""


class Input(msgspec.Struct, frozen=True):
    """One input tensor, as the JSON part of a request has it."""

    name: str
    datatype: str
    shape: list[Annotated[int, msgspec.Meta(ge=0)]]
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class Output(NamedTuple):
    """One output tensor: numbers (rows,) or (rows, classes), or texts (rows,)."""

    name: str
    datatype: str
    values: np.ndarray

    def binary(self) -> bytes:
        """Return the values as the bytes of a binary tensor."""
        if self.datatype != "BYTES":
            return np.ascontiguousarray(self.values, dtype=WIDTHS[self.datatype]).tobytes()
        texts = [text.encode() for text in self.values]
        return b"".join(LENGTH.pack(len(text)) + text for text in texts)


def datatype(column: Column) -> str:
    """Return the datatype to send a column as, one that can be missing where it may be."""
    if column.nullable and column.type in ("integer", "boolean"):
        return "FP64"
    return "INT64" if column.type == "integer" else ACCEPTED[column.type][0]


def count(given: Input) -> int:
    """Return the rows of a tensor; raises ProtocolError where it has another shape."""
    if len(given.shape) not in (1, 2) or given.shape[1:] not in ([], [1]):
        raise ProtocolError(f"input {given.name!r} must have the shape [rows] or [rows, 1]")
    return given.shape[0]


def values(given: Input, raw: bytes | None, column: Column) -> list[Any]:
    """Return the values as a client of /predict would write them; `raw` is a binary tensor.

    Only what JSON cannot say is refused here; the rest is for the row schema to judge. Raises
    ProtocolError.
    """
    if given.datatype not in ACCEPTED[column.type]:
        raise ProtocolError(
            f"input {given.name!r} is a {column.type}: send it as {datatype(column)}, not "
            f"{given.datatype[:20]!r}"
        )
    found = _from_json(given) if raw is None else _from_bytes(given, raw, count(given))
    return list(_plain(given, column, found))


def _from_json(given: Input) -> list[Any]:
    data = given.data or []
    if len(given.shape) == 2 and data and isinstance(data[0], list):
        if not all(isinstance(value, list) and len(value) == 1 for value in data):
            raise ProtocolError(f"input {given.name!r}: data is not of its shape {given.shape}")
        data = [value[0] for value in data]
    if len(data) != given.shape[0]:
        raise ProtocolError(
            f"input {given.name!r}: {len(data)} values are not the shape {given.shape}"
        )
    kinds = {"BOOL": bool, "BYTES": str}
    wanted: Any = kinds.get(given.datatype, float if given.datatype in FLOATS else int)
    for row, value in enumerate(data):
        allowed = (float, int) if wanted is float else (wanted,)
        if value is not None and type(value) not in allowed:
            raise ProtocolError(f"input {given.name!r}, row {row}: no {given.datatype}")
    return [_held(given, row, value) for row, value in enumerate(data)]


def _held(given: Input, row: int, value: Any) -> Any:
    """Return a number as its datatype holds it, so that JSON and binary tensors agree."""
    if value is None or given.datatype in ("BOOL", "BYTES"):
        return value
    kind = np.dtype(WIDTHS[given.datatype])
    try:
        if kind.kind == "f":
            with np.errstate(over="raise"):
                return float(kind.type(float(value)))
        return int(kind.type(value))
    except (OverflowError, FloatingPointError) as error:
        raise ProtocolError(
            f"input {given.name!r}, row {row}: out of the range of {given.datatype}"
        ) from error


def _from_bytes(given: Input, raw: bytes, count: int) -> list[Any]:
    if given.datatype == "BYTES":
        return list(_texts(given, raw, count))
    kind = np.dtype(WIDTHS[given.datatype])
    if len(raw) != count * kind.itemsize:
        raise ProtocolError(
            f"input {given.name!r}: {len(raw)} bytes are not {count} of {given.datatype}"
        )
    if given.datatype == "BOOL" and raw.strip(b"\0\1"):
        raise ProtocolError(f"input {given.name!r}: a BOOL is the byte 0 or 1")
    return list(np.frombuffer(raw, kind).tolist())


def _texts(given: Input, raw: bytes, count: int) -> Iterator[str]:
    start = 0
    for row in range(count):
        end = start + LENGTH.size
        size = LENGTH.unpack_from(raw, start)[0] if end <= len(raw) else len(raw)
        start = end + size
        if start > len(raw):
            raise ProtocolError(f"input {given.name!r}, row {row}: the bytes end before the text")
        try:
            yield raw[end:start].decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(f"input {given.name!r}, row {row}: no UTF-8") from error
    if start != len(raw):
        raise ProtocolError(f"input {given.name!r}: {len(raw) - start} bytes after the last text")


def _plain(given: Input, column: Column, values: Iterable[Any]) -> Iterator[Any]:
    """Yield the values as a client of /predict would write them."""
    for row, value in enumerate(values):
        if type(value) is float and not math.isfinite(value):
            if not math.isnan(value):
                raise ProtocolError(f"input {given.name!r}, row {row}: infinity is no value")
            yield None
        elif value == "" and type(value) is str and "" not in column.categories:
            yield None
        elif column.type == "boolean" and value in (0, 1):
            yield bool(value)
        elif column.type == "integer" and type(value) is float and value.is_integer():
            yield int(value)
        else:
            yield value
