"""Hashes of rows: 64 bits that depend on what a row says, and on nothing else."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from .arrays import by_label, floats, plain

Bits = np.ndarray
EXACT = 2.0**53  # whole numbers from here on are not exact in float64
NO_TEXT = 1
TEXTS = (pa.types.is_dictionary, pa.types.is_string, pa.types.is_large_string)


def row_hash(table: pa.Table, names: Sequence[str], salt: str) -> Bits:
    """Return a uint64 for each row that depends on the named values and the salt alone.

    Neither the row's position, nor the order of `names`, nor the file it came from matters.
    """
    mixed = np.full(table.num_rows, _text_bits(salt), dtype=np.uint64)
    for name in sorted(names):
        with np.errstate(over="ignore"):
            mixed = _mix(mixed ^ _mix(_bits(table.column(name)) ^ np.uint64(_text_bits(name))))
    return mixed


def folds(hashes: Bits, count: int, salt: str = "fold") -> np.ndarray:
    """Return each row's cross-validation fold, 0 to count-1, from a hash of its hash.

    Another `salt` gives folds that do not depend on these.
    """
    return (_mix(hashes ^ np.uint64(_text_bits(salt))) % np.uint64(count)).astype(np.int64)


def drawn(hashes: Bits, salt: str, share: float) -> np.ndarray:
    """Return the mask of a share of the rows, drawn by a hash of their hash."""
    return _mix(hashes ^ np.uint64(_text_bits(salt))) < np.uint64(share * 2**64)


def _bits(column: pa.ChunkedArray) -> Bits:
    """Return 64 bits for each value: those of the number, or of the text's hash."""
    if any(kind(column.type) for kind in TEXTS):
        return by_label(column, _text_bits, np.dtype(np.uint64), NO_TEXT)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values = floats(column)
    # One bit pattern for each of 0.0 and -0.0, and for every kind of missing.
    bits: Bits = np.where(np.isnan(values), np.nan, values + 0.0).view(np.uint64)
    if pa.types.is_integer(column.type) and bool((np.abs(values) >= EXACT).any()):
        whole = plain(column.cast(pa.int64()), np.dtype(np.int64), 0).view(np.uint64)
        return np.where(np.abs(values) >= EXACT, whole, bits)
    return bits


def _text_bits(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _mix(bits: Bits) -> Bits:
    """Scramble 64-bit words: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        bits = bits + np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return bits ^ (bits >> np.uint64(31))
