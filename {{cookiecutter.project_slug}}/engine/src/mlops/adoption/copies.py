"""Rows that are exact copies of others, where that is no coincidence."""

from collections.abc import Mapping

import pandas as pd

from .statistics import KEYS, Statistics

TELLING = 0.5  # values a row of some column, from which on rows are not alike by chance
SHOWN = 3


def copies(frame: pd.DataFrame, facts: Mapping[str, Statistics]) -> list[str]:
    """Say how many rows are there more than once, and what would be an id without them.

    Of few labels alone many rows are alike and mean nothing by it: of that nothing is said.
    """
    readable = {name: one for name, one in facts.items() if not one.unreadable}
    if max((one.distinct for one in readable.values()), default=0) < TELLING * len(frame):
        return []
    count = int(frame[list(readable)].duplicated().sum())
    if not count:
        return []
    rows = "1 row is an exact copy of another" if count == 1 else f"{count:,} rows are exact copies"
    them = "it" if count == 1 else "them"
    told = [f"{rows}: take {them} out of the file where nothing happened twice"]
    ids = [
        name
        for name, one in readable.items()
        if one.words & KEYS and one.distinct == len(frame) - count
    ]
    if ids:
        told.append(f"{', '.join(ids[:SHOWN])} then differs in every row")
    return ["; ".join(told)]
