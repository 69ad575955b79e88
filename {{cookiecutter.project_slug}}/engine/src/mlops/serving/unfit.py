"""Cells of a scored table that the contract does not declare, counted and said."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..contract import Column, Contract
from ..data.sources import DataError, Frame

MOST = 0.5  # share of the cells of a column
FEWEST = 20  # cells, of which a share says something


@dataclass
class Count:
    """The cells of one column: how many there are, how many do not fit, and the first of these."""

    present: int = 0
    unfit: int = 0
    place: str = ""
    value: str = ""

    def join(self, later: "Count") -> None:
        """Add those of later rows."""
        if not self.unfit:
            self.place, self.value = later.place, later.value
        self.present += later.present
        self.unfit += later.unfit


class Unfit:
    """Counts the cells that can be read, but that the contract does not declare.

    A row lacks what the server would refuse it for where a cell is missing that may not be.
    """

    def __init__(self, contract: Contract, names: tuple[str, ...], several: bool = False) -> None:
        self._several = several  # files, so that a row alone names no place
        self._columns = {name: contract.columns[name] for name in names}
        self._counts = {name: Count() for name in names}
        self._lacking: dict[str, Count] = {}
        self._declared = contract

    def lacking(self, columns: Mapping[str, np.ndarray], frame: Frame) -> np.ndarray:
        """Count missing cells, and return the mask of the rows with one that may not be.

        They may be in columns by which rows are looked up as well.
        """
        lacking = np.zeros(len(frame.frame), dtype=bool)
        for name, values in columns.items():
            if not self._declared.columns[name].nullable:
                missing = np.asarray(pd.isna(values))
                count = self._lacking.setdefault(name, Count())
                self._count(count, missing, len(missing), frame, name)
                lacking |= missing
        return lacking

    def add(self, columns: Mapping[str, np.ndarray], frame: Frame) -> None:
        """Count the cells of a frame, as features are computed from them."""
        for name, column in self._columns.items():
            if column.categories or (column.min, column.max) != (None, None):
                values = columns[name]
                present = int((~np.isnan(values)).sum())
                self._count(self._counts[name], _unfit(values, column), present, frame, name)

    def join(self, later: "Unfit") -> None:
        """Add what was counted in rows that come after these."""
        for mine, theirs in ((self._counts, later._counts), (self._lacking, later._lacking)):
            for name, count in theirs.items():
                mine.setdefault(name, Count()).join(count)

    def notes(self) -> Iterator[str]:
        """Yield a sentence for each column that has some."""
        for name, count in self._lacking.items():
            if count.unfit:
                yield f"{self._missing(name, count)}: these rows have no prediction"
        for name, count in self._counts.items():
            if count.unfit:
                yield self._said(name, count)

    def check(self, path: object) -> None:
        """Raise DataError where most cells of a column do not fit."""
        said = [self._missing(n, c) for n, c in self._lacking.items() if _is_most(c)]
        said += [self._said(n, c) for n, c in self._counts.items() if _is_most(c)]
        if said:
            raise DataError(
                f"{path} is no table for this model, which knows hardly a cell of a column "
                f"({'; '.join(said)}): correct the file (its encoding, decimal mark, units or "
                f"codes), or declare them in conf/data/{self._declared.name}.yaml and train again"
            )

    def _missing(self, name: str, count: Count) -> str:
        return (
            f"{name}: {count.unfit:,} of {count.present:,} cells are missing, which the contract "
            f"does not allow, the first in {count.place}"
        )

    def _said(self, name: str, count: Count) -> str:
        column = self._columns[name]
        what = "are no label of the contract" if column.categories else f"are {_bounds(column)}"
        return (
            f"{name}: {count.unfit:,} of {count.present:,} cells {what}, like {count.value} in "
            f"{count.place}"
        )

    def _count(
        self, count: Count, unfit: np.ndarray, present: int, frame: Frame, name: str
    ) -> None:
        found = int(unfit.sum())
        if found and not count.unfit:
            first = int(unfit.argmax())
            of = f" of {frame.path}" if self._several else ""
            count.place = f"row {frame.start + first:,}{of}"
            count.value = self._declared.shown(name, frame.frame[name].iat[first])
        count.present += present
        count.unfit += found


def _is_most(count: Count) -> bool:
    return count.present >= FEWEST and count.unfit > MOST * count.present


def _unfit(values: np.ndarray, column: Column) -> np.ndarray:
    if column.categories:
        return np.asarray(values == len(column.categories))
    low = -np.inf if column.min is None else column.min
    high = np.inf if column.max is None else column.max
    return np.asarray((values < low) | (values > high))


def _bounds(column: Column) -> str:
    below = f"below {column.min:g}" if column.min is not None else ""
    above = f"above {column.max:g}" if column.max is not None else ""
    return " or ".join(filter(None, (below, above)))
