"""Numbers that a float32 matrix would take for one another, and how they stay apart."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..config.settings import Derived
from ..contract import Column, Source
from .exclusion import numbers
from .timeliness import OWNER, free

HELD = 2**24  # whole numbers up to here are float32 as they are
HELD_TWICE = 2**49  # and up to here with what it rounds off
COLLAPSED = 0.01  # share of different fractions that become the same


class Magnitude(NamedTuple):
    """The features that keep numbers apart, the columns that they replace, and what to say."""

    derived: dict[str, Derived]
    exclude: tuple[str, ...]
    notes: list[str]


def magnitude(
    frame: pd.DataFrame,
    columns: Mapping[str, Column],
    source: Source,
    found: Mapping[str, Derived],
) -> Magnitude:
    """Return what to derive from the numbers that float32 does not hold.

    Where the contract allows a range that it holds, a number is counted from the least of it, in
    one column that takes the place of the number. Otherwise what is rounded off stands beside it.
    """
    derived: dict[str, Derived] = {}
    exclude, notes = [], []

    def add(name: str, function: str, **arguments: float) -> str:
        ending = "rounded_off" + "_twice" * (arguments.get("times") == 2)
        called = free(
            f"{name}_{'above' if function == 'above' else ending}", columns, found, derived
        )
        derived[called] = Derived(function, [name], OWNER, arguments=arguments)
        return called

    for name, column in columns.items():
        if column.type not in ("number", "integer") or "feature" not in column.roles:
            continue
        values = np.unique(numbers(frame[name], column, source))
        values = values[~np.isnan(values)]
        lost = _lost(values, column)
        if lost is None:
            continue
        low, high = column.min, column.max
        if low is not None and high is not None and _held_above(values, low, high, column):
            told = add(name, "above", least=int(low) if low == int(low) else low)
            exclude.append(name)
            how = f"{told} has them from {low:.15g} on"
        else:
            told = add(name, "rounded_off")
            if np.abs(values).max() > HELD_TWICE:
                told += f" and {add(name, 'rounded_off', times=2)}"
            how = f"{told} beside it has what is rounded off"
        notes.append(f"{name} has numbers that a float32 cannot hold, like {lost:.15g}: {how}")
    return Magnitude(derived, tuple(exclude), notes)


def _lost(values: np.ndarray, column: Column) -> float | None:
    """Return a number that float32 does not hold, where that makes a difference."""
    rounded = values.astype(np.float32)
    changed = values[rounded.astype(np.float64) != values]
    if not len(changed):
        return None
    if column.type == "integer" or len(np.unique(rounded)) < (1 - COLLAPSED) * len(values):
        return float(changed[0])
    return None


def _held_above(values: np.ndarray, low: float, high: float, column: Column) -> bool:
    if column.type == "integer":
        return high - low <= HELD and low == int(low)
    return len(np.unique((values - low).astype(np.float32))) == len(values)
