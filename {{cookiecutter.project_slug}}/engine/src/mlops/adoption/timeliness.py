"""What the datetimes of a table offer: derived features, and a cut-off in time."""

from collections.abc import Mapping
from itertools import combinations

import pandas as pd

from ..config.settings import Derived
from ..contract import Column, Source
from ..data.parsing import parse
from .dates import only_dates

OWNER = "unassigned"
HOLDOUT = 0.2  # share of the rows from the cut-off on
YEAR = pd.Timedelta(days=365)
MOST_PAIRED = 4  # datetimes with an elapsed time for every two of them; beyond, to the first


def moments(
    frame: pd.DataFrame, columns: Mapping[str, Column], source: Source
) -> dict[str, pd.Series]:
    """Return the parsed datetime columns that features may be derived from."""
    usable = {"feature", "time"}
    return {
        name: parse(frame[name], column, source).values
        for name, column in columns.items()
        if column.type == "datetime" and usable & set(column.roles)
    }


def derived(moments: Mapping[str, pd.Series], columns: Mapping[str, Column]) -> dict[str, Derived]:
    """Return calendar features of each datetime and the time between each two of them.

    A column of dates has no hour, and the day of the year says nothing about less than a year.
    """
    found: dict[str, Derived] = {}

    def add(name: str, function: str, *of: str) -> None:
        while name in columns or name in found:
            name += "_"
        found[name] = Derived(function=function, columns=list(of), owner=OWNER)

    for name, values in moments.items():
        if not only_dates(values):
            add(f"{name}_hour", "hour_of_day", name)
        add(f"{name}_day_of_week", "day_of_week", name)
        if values.max() - values.min() >= YEAR:
            add(f"{name}_day_of_year", "day_of_year", name)
    first = next(iter(moments), None)
    for one, other in combinations(moments, 2):
        if len(moments) > MOST_PAIRED and one != first:
            break
        elapsed = moments[other] - moments[one]
        if elapsed.nunique() < 2:
            continue
        later = elapsed.mean() >= pd.Timedelta(0)
        start, end = (one, other) if later else (other, one)
        unit = "days" if only_dates(moments[start]) and only_dates(moments[end]) else "hours"
        add(f"{start}_to_{end}_{unit}", f"elapsed_{unit}", start, end)
    return found


def cutoff(values: pd.Series) -> str:
    """Return the moment from which the last fifth of the rows hold out, ISO 8601.

    It lies after the first moment, so that both sides have rows.
    """
    ordered = values.sort_values(ignore_index=True)
    moment = ordered.iloc[int(len(ordered) * (1 - HOLDOUT))]
    if moment == ordered.iloc[0]:
        moment = ordered[ordered > moment].iloc[0]
    return str(moment.date() if only_dates(values) else moment.isoformat())
