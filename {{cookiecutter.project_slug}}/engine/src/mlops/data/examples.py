"""Rows made up from the contract: of its types, ranges and categories, and without any meaning."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from ..config.settings import Split
from ..config.views import Table, View
from ..contract import Column, Contract, Source
from ..files import atomic_directory
from .splitting import cutoff

MISSING = 0.1  # share of the cells of a nullable column
SPAN = 100.0  # of a number that has no bounds
LATEST = np.datetime64("2026-01-01", "us")  # of a datetime, where the split has no cut-off
DAYS = 200
SIZE = 4  # rows of a group
EVENTS = 3  # of an entity


def write(folder: Path, contract: Contract, split: Split, rows: int, seed: int = 0) -> Path:
    """Write a file of made-up rows to `folder`, in place of what is there, and return its path.

    It is of the format that the contract's `source` names, without the columns of feature views,
    which no raw file has. Where the split is by time, a quarter
    of the rows lie behind the cut-off.
    """
    frame = made_up(contract, split, rows, seed)
    frame = frame[[name for name in frame.columns if not contract.columns[name].view]]
    return _written(frame, folder, contract.source)


def write_tables(
    root: Path, contract: Contract, split: Split, views: Iterable[View], rows: int, seed: int = 0
) -> None:
    """Write made-up events of the rows' entities below root/data/tables, for each table of views.

    The rows are those that `write` makes of the same numbers.
    """
    named = made_up(contract, split, rows, seed)
    entities: dict[str, list[pd.DataFrame]] = {}
    tables: dict[str, Table] = {}
    for view in views:
        keys = {key: named[column] for key, column in view.entity.items()}
        tables[view.table.name] = view.table
        entities.setdefault(view.table.name, []).append(pd.DataFrame(keys))
    for name, table in tables.items():
        every = pd.concat(entities[name]).dropna().drop_duplicates()
        frame = _events(table, every[table.keys], _latest(split), seed)
        _written(frame, root / table.folder, table.source)


def _written(frame: pd.DataFrame, folder: Path, source: Source) -> Path:
    path = folder / f"examples.{source.format}"
    with atomic_directory(folder) as staging:
        if source.format == "parquet":
            frame.to_parquet(staging / path.name, index=False)
        else:
            frame.to_csv(
                staging / path.name,
                index=False,
                sep=source.separator,
                encoding=source.encoding,
                decimal=source.decimal,
                header=not source.header,
                na_rep=source.missing[0] if source.missing else "",
            )
    return path


def _events(table: Table, entities: pd.DataFrame, latest: np.datetime64, seed: int) -> pd.DataFrame:
    """Return a few rows of each entity, no two at one time, with every declared column."""
    rows = EVENTS * len(entities)
    days = np.repeat(np.arange(EVENTS) * (DAYS // EVENTS), len(entities))
    made: dict[str, object] = {}
    for place, (name, column) in enumerate(table.columns.items()):
        rng = np.random.default_rng([seed, place])
        if name in table.keys:
            made[name] = np.tile(entities[name].to_numpy(), EVENTS)
        elif name in table.times:
            made[name] = _moments(column, latest - _days(days))
        elif name in table.tie_break and column.type in ("number", "integer"):
            made[name] = _names(column, rows, True, name)
        else:
            values = pd.Series(_values(column, rng, rows, latest, name))
            made[name] = values.mask(rng.random(rows) < MISSING) if column.nullable else values
    frame = pd.DataFrame(made)
    return frame[table.source.header] if table.source.header else frame


def made_up(contract: Contract, split: Split, rows: int, seed: int = 0) -> pd.DataFrame:
    """Return `rows` rows with every declared column, as a raw file has them."""
    latest = _latest(split)
    made = {}
    for place, (name, column) in enumerate(contract.columns.items()):
        rng = np.random.default_rng([seed, place])
        values = pd.Series(_values(column, rng, rows, latest, name))
        if column.nullable:
            values = values.mask(rng.random(rows) < MISSING)
        made[name] = values
    frame = pd.DataFrame(made)
    if contract.source.header:
        return frame[contract.source.header]
    return frame


def _latest(split: Split) -> np.datetime64:
    """Return when the newest of made-up rows is."""
    return cutoff(split) + np.timedelta64(DAYS // 4, "D") if split.cutoff else LATEST


def _values(
    column: Column, rng: np.random.Generator, rows: int, latest: np.datetime64, name: str
) -> object:
    if {"id", "group"} & set(column.roles) or column.unique:
        return _names(column, rows, "id" in column.roles or column.unique, name)
    low = -SPAN if column.min is None else column.min
    low = min(low, column.max - SPAN) if column.min is None and column.max is not None else low
    high = low + 2 * SPAN if column.max is None else column.max
    made: dict[str, Callable[[], object]] = {
        "number": lambda: rng.uniform(low, high, rows),
        "integer": lambda: rng.integers(int(np.ceil(low)), int(np.floor(high)) + 1, rows),
        "boolean": lambda: rng.random(rows) < 0.5,
        "category": lambda: rng.choice(np.array(column.categories, dtype=object), rows),
        "datetime": lambda: _moments(column, latest - _days(rng.integers(0, DAYS, rows))),
        "text": lambda: np.array([f"word {n}" for n in rng.integers(0, 50, rows)], dtype=object),
    }
    return made[column.type]()


def _names(column: Column, rows: int, single: bool, name: str) -> object:
    """Return what names a row, or a few of them."""
    numbers = np.arange(rows) if single else np.arange(rows) // SIZE
    if column.type in ("number", "integer"):
        return numbers + (0 if column.min is None else int(np.ceil(column.min)))
    if column.type == "datetime":
        return _moments(column, LATEST - numbers.astype("timedelta64[m]"))
    if column.type == "category":
        return np.array(column.categories, dtype=object)[numbers % len(column.categories)]
    return np.array([f"{name}-{number}" for number in numbers], dtype=object)


def _days(numbers: np.ndarray) -> np.ndarray:
    """Return numbers of days as such: of a moment to the microsecond a number takes those."""
    return numbers.astype("timedelta64[D]")


def _moments(column: Column, moments: np.ndarray) -> object:
    """Return datetimes as the column's format writes them."""
    if column.format is None:
        return moments.astype("datetime64[us]")
    return pd.Series(moments).dt.strftime(column.format)
