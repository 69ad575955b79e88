"""Texts that mean "no value": which they are, and where they stand."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ..contract import Source
from ..data.parsing import is_text
from .statistics import Statistics

# More than every contract has, believed only where everything else in a column is a number.
BLANKS = (".", "--", "N.A.", "<NA>", "nil", "missing", "unknown", "#VALUE!", "#DIV/0!", "#REF!")

Absent = Mapping[str, Mapping[str, int]]


def blanks(frame: pd.DataFrame, source: Source) -> list[str]:
    """Return the texts of BLANKS that alone keep a column from being numeric."""
    found: dict[str, None] = {}
    for name in frame.columns:
        facts = Statistics(str(name), frame[name], source)
        if facts.written and (odd := facts.odd) and set(odd) <= set(BLANKS):
            found |= dict.fromkeys(odd)
    return list(found)


def without(frame: pd.DataFrame, missing: Sequence[str]) -> pd.DataFrame:
    """Return a table without the texts that mean "no value"."""
    return frame.apply(
        lambda column: column.mask(column.isin(missing)) if is_text(column) else column
    )


def read_as_missing(frame: pd.DataFrame, missing: Sequence[str]) -> Absent:
    """Return each text that means "no value" with the number of its rows in each column."""
    found: dict[str, dict[str, int]] = {}
    for name, column in frame.items():
        if is_text(column):
            counts = column[column.isin(missing)].value_counts()
            for text, count in counts.items():
                found.setdefault(str(text), {})[str(name)] = int(count)
    return found
