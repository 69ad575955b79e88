"""Arrow values as NumPy arrays of their own, read from Arrow's buffers.

`to_numpy` of Arrow imports pandas: a seventh of a second, for which the stages after `prepare` and
the gate's confined processes have no other use.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

Values: TypeAlias = pa.Array | pa.ChunkedArray


def plain(values: Values, dtype: np.dtype[Any], missing: float | str) -> np.ndarray:
    """Return values of a fixed width that Arrow keeps as `dtype`, with `missing` for null."""
    made = np.empty(len(values), dtype)
    start = 0
    for chunk in _chunks(values):
        part = made[start : start + len(chunk)]
        start += len(chunk)
        if len(chunk):
            valid, content = chunk.buffers()
            part[:] = np.frombuffer(content, dtype, len(chunk), chunk.offset * dtype.itemsize)
            if chunk.null_count:
                bits = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")
                part[bits[chunk.offset : chunk.offset + len(chunk)] == 0] = missing
    return made


def floats(values: Values) -> np.ndarray:
    """Return numbers or booleans as float64, NaN for null; whole ones lose what it cannot hold."""
    return plain(values.cast(pa.float64(), safe=False), np.dtype(np.float64), np.nan)


def by_label(
    values: Values, find: Callable[[str], float], dtype: np.dtype[Any], missing: float
) -> np.ndarray:
    """Return what `find` says of each text, asked once for each that differs in a chunk."""
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    found = [np.empty(0, dtype)]
    for chunk in _chunks(values):
        known = [missing if text is None else find(text) for text in chunk.dictionary.to_pylist()]
        index = plain(chunk.indices.cast(pa.int64()), np.dtype(np.int64), -1)
        found.append(np.array([*known, missing], dtype)[index])  # -1, a null, is the last
    return np.concatenate(found)


def same(one: Values, other: Values) -> np.ndarray:
    """Return where two columns have the same bits; a missing value is one with another."""
    bits = [_bits(column) for column in (one, other)]
    missing = [
        plain(column.is_null().cast(pa.uint8()), np.dtype(np.uint8), 0) != 0
        for column in (one, other)
    ]
    found: np.ndarray = (missing[0] == missing[1]) & (missing[0] | (bits[0] == bits[1]))
    return found


def _bits(column: Values) -> np.ndarray:
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        return np.array(column.cast(pa.string()).to_pylist(), dtype=object)
    if pa.types.is_timestamp(column.type):
        moments = plain(column.cast(pa.timestamp("us")), np.dtype("datetime64[us]"), "NaT")
        return moments.astype(np.int64)
    return plain(column.cast(pa.float64()), np.dtype(np.float64), 0.0).view(np.int64)


def _chunks(values: Values) -> list[pa.Array]:
    return values.chunks if isinstance(values, pa.ChunkedArray) else [values]
