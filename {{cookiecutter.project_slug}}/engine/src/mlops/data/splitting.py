"""Which rows train and which hold out: by hash of key or content, by group, or by time."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..config.settings import Split
from ..contract import Contract
from ..errors import ProjectError

Bits = np.ndarray
SHOWN = 8
EXACT = 2.0**53  # whole numbers from here on are not exact in float64


class SplitError(ProjectError):
    """The rows cannot be split as the experiment asks."""


def keys(contract: Contract, split: Split) -> tuple[str, ...]:
    """Return the columns whose values decide a row's role (or its fold, with a time split).

    They are the group columns, or the columns that the split names, or else the id columns, or else
    everything but the target: equal rows then never stand on both sides.
    """
    if split.columns:
        return _named(contract, split)
    if split.method == "group":
        names = contract.names("group")
        if not names:
            raise SplitError(
                f"split.use is group and conf/data/{contract.name}.yaml has no column of role "
                "group: give one that role, or set split.use to hash"
            )
    else:
        names = contract.names("id") or tuple(
            name for name, column in contract.kept() if "target" not in column.roles
        )
    if split.method == "time" and contract.time is None:
        raise SplitError(
            f"split.use is time and conf/data/{contract.name}.yaml has no column of role time: "
            "give one that role, or set split.use to hash"
        )
    decisive = (contract.time,) if split.method == "time" else contract.names("group")
    for name in decisive if split.method != "hash" else ():
        if name is not None and contract.columns[name].nullable:
            raise SplitError(
                f"{name} decides the split, so it cannot be nullable: correct its contract, or "
                "set split.use to hash"
            )
    return names


def _named(contract: Contract, split: Split) -> tuple[str, ...]:
    """Return the columns that the split names; one without another use may be ignored."""
    for name in split.columns:
        column = contract.columns.get(name)
        if column is None or "target" in column.roles:
            raise SplitError(
                f"split.columns names {name}, which "
                + ("is the target" if column else f"conf/data/{contract.name}.yaml does not have")
                + ": declare it there with `role: ignored` and the type it had, or take it out of "
                "split.columns, which draws another holdout"
            )
    return tuple(split.columns)


def moved(before: tuple[Contract, Split], now: tuple[Contract, Split]) -> str | None:
    """Say what makes rows change sides between two settings; None where none can."""
    (old, was), (contract, split) = before, now
    said = [
        f"{key} was {getattr(was, key)}, now it is {getattr(split, key)}"
        for key in ("method", "salt", "holdout", "cutoff")
        if getattr(was, key) != getattr(split, key)
    ]
    names, others = keys(old, was), keys(contract, split)
    if set(names) != set(others):
        said.append(f"it hung on {_few(names)}, now on {_few(others)}")
    retyped = [
        f"{name} was of type {old.columns[name].type}, now {contract.columns[name].type}"
        for name in names
        if name in others and _kind(old, name) != _kind(contract, name)
    ]
    return "; ".join([*said, *retyped]) or None


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + f" and {len(names) - SHOWN} more" * (len(names) > SHOWN)


def _kind(contract: Contract, name: str) -> str:
    """Return what a column's values are hashed as."""
    kinds = {"integer": "number", "boolean": "number", "category": "text"}
    return kinds.get(contract.columns[name].type, contract.columns[name].type)


def row_hash(table: pa.Table, names: Sequence[str], salt: str) -> Bits:
    """Return a uint64 for each row that depends on the named values and the salt alone.

    Neither the row's position, nor the order of `names`, nor the file it came from matters.
    """
    mixed = np.full(table.num_rows, _text_bits(salt), dtype=np.uint64)
    for name in sorted(names):
        with np.errstate(over="ignore"):
            mixed = _mix(mixed ^ _mix(_bits(table.column(name)) ^ np.uint64(_text_bits(name))))
    return mixed


def is_holdout(table: pa.Table, hashes: Bits, contract: Contract, split: Split) -> np.ndarray:
    """Return the boolean mask of the holdout rows."""
    if split.method == "time":
        moments = table.column(contract.time).to_numpy()
        return moments >= cutoff(split)
    return hashes < np.uint64(split.holdout * 2**64)


def cutoff(split: Split) -> np.datetime64:
    """Return the first moment of the holdout."""
    try:
        return np.datetime64(str(split.cutoff), "us")
    except ValueError as error:
        raise SplitError(
            f"split.cutoff is {split.cutoff!r}: write a date or time like 2026-01-01"
        ) from error


def folds(hashes: Bits, count: int) -> np.ndarray:
    """Return each row's cross-validation fold, 0 to count-1, from a hash of its hash."""
    return (_mix(hashes ^ np.uint64(_text_bits("fold"))) % np.uint64(count)).astype(np.int64)


def _bits(column: pa.ChunkedArray) -> Bits:
    """Return 64 bits for each value: those of the number, or of the text's hash."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        encoded = column.combine_chunks().dictionary_encode()
        words = np.array([_text_bits(str(v)) for v in encoded.dictionary] + [1], dtype=np.uint64)
        return words[pc.fill_null(encoded.indices, len(words) - 1).to_numpy()]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values = column.cast(pa.float64(), safe=False).to_numpy()
    # One bit pattern for each of 0.0 and -0.0, and for every kind of missing.
    bits: Bits = np.where(np.isnan(values), np.nan, values + 0.0).view(np.uint64)
    if pa.types.is_integer(column.type) and bool((np.abs(values) >= EXACT).any()):
        whole = pc.fill_null(column, 0).to_numpy().view(np.uint64)
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


def describe(split: Split, rows: Counter[str]) -> str:
    """Say in a line how many rows fell to each side, and by what."""
    by = f"from {split.cutoff} on" if split.method == "time" else f"by {split.method}"
    aside = f", {rows['unlabelled']:,} without a target are set aside" if rows["unlabelled"] else ""
    return f"{rows['train']:,} rows train, {rows['holdout']:,} hold out ({by}){aside}"
