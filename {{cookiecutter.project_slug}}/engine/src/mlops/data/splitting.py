"""Which rows train and which hold out: by hash of key or content, by group, or by time."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..config.settings import Split
from ..contract import Contract
from ..errors import ProjectError

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 8
TRAIN, HOLDOUT, CALIBRATION = "train", "holdout", "calibration"  # the roles of rows


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


def is_holdout(
    table: "pa.Table", hashes: np.ndarray, contract: Contract, split: Split
) -> np.ndarray:
    """Return the boolean mask of the holdout rows."""
    if split.method == "time":
        moments = table.column(contract.time).to_numpy()
        return moments >= cutoff(split)
    return hashes < np.uint64(split.holdout * 2**64)


def roles(contract: Contract) -> tuple[str, ...]:
    """Return the roles that rows have: some calibrate where the contract promises intervals."""
    return (TRAIN, HOLDOUT, CALIBRATION) if contract.intervals else (TRAIN, HOLDOUT)


def sides(
    table: "pa.Table", hashes: np.ndarray, contract: Contract, split: Split
) -> dict[str, np.ndarray]:
    """Return the boolean mask of the rows of each role."""
    held = is_holdout(table, hashes, contract, split)
    if contract.intervals is None:
        return {TRAIN: ~held, HOLDOUT: held}
    from .hashing import drawn

    aside = ~held & drawn(hashes, CALIBRATION, split.calibration)
    return {TRAIN: ~held & ~aside, HOLDOUT: held, CALIBRATION: aside}


def cutoff(split: Split) -> np.datetime64:
    """Return the first moment of the holdout."""
    try:
        return np.datetime64(str(split.cutoff), "us")
    except ValueError as error:
        raise SplitError(
            f"split.cutoff is {split.cutoff!r}: write a date or time like 2026-01-01"
        ) from error


def moved_cutoff(split: Split, newest: np.datetime64) -> str:
    """Return the cut-off that `holdout_days` gives where the newest row is of that moment.

    It is the start of a UTC day, and never earlier than the cut-off is.
    """
    if split.holdout_days is None:
        return str(split.cutoff)
    day = newest.astype("datetime64[D]") - np.timedelta64(split.holdout_days, "D")
    return str(day) if day > cutoff(split) else str(split.cutoff)


def newest(paths: Iterable[Path], contract: Contract) -> np.datetime64:
    """Return the time of the newest of some files of prepared rows."""
    from .prepared import table

    moments = [table(path, [str(contract.time)]).column(0).to_numpy() for path in paths]
    return np.datetime64(max(one.max() for one in moments if len(one)), "us")


def describe(split: Split, rows: Counter[str]) -> str:
    """Say in a line how many rows fell to each side, and by what."""
    by = f"from {split.cutoff} on" if split.method == "time" else f"by {split.method}"
    aside = f", {rows['unlabelled']:,} without a target are set aside" if rows["unlabelled"] else ""
    kept = f", {rows[CALIBRATION]:,} calibrate intervals" if rows[CALIBRATION] else ""
    return f"{rows['train']:,} rows train, {rows['holdout']:,} hold out ({by}){kept}{aside}"
