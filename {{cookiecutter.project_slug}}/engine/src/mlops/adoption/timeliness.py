"""What the datetimes of a table offer: derived features, a trend, and a cut-off in time."""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from ..config.settings import Derived
from ..contract import Column, Source
from ..data.association import LEAST_ROWS, explained, levels, linear
from ..data.leakage import MOST_ROWS, R2
from ..data.parsing import parse
from .dates import only_dates
from .statistics import words

SHORT = {"hour_of_day": "hour"}  # in the name of a feature
OWNER = "unassigned"
HOLDOUT = 0.2  # share of the rows from the cut-off on
DAY = pd.Timedelta(days=1)
WEEK = pd.Timedelta(days=6)  # from the first day to the last, as below
MONTHS = 12
SEASONS = 3  # months, a quarter apart, that make a year
MOST_OF_A_YEAR = pd.Timedelta(days=270)
MOST_PAIRED = 4  # datetimes with an elapsed time for every two of them; beyond, to one of them
# Of a datetime that is an age: the calendar of the first says nothing.
BIRTH = {"birth", "born", "birthday", "birthdate", "dob"}
BEGUN = {"signup", "registered", "registration", "joined", "hired", "hire", "built", "opened"}
BEGUN |= {"founded", "enrolled", "since", "subscribed", *BIRTH}


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

    A datetime has the calendar that its values span: no hour where all are dates, no day of the
    week within less than one, no day of the year within less than twelve months; a birth has none.
    One that stands alone and says when something began counts its days. Where there are many, it is
    the time to the time column that each has, or else to the first of them.
    """
    found: dict[str, Derived] = {}

    def add(name: str, function: str, *of: str) -> None:
        found[free(name, columns, found)] = Derived(function, list(of), OWNER)

    for name, values in moments.items():
        if not words(name) & BIRTH:
            for function in calendar(values):
                add(f"{name}_{SHORT.get(function, function)}", function, name)
    if len(moments) == 1 and words(name := next(iter(moments))) & BEGUN:
        found[free(f"{name}_days", columns, found)] = since(name, moments[name])
    timed = next((name for name in moments if "time" in columns[name].roles), None)
    first = timed or next(iter(moments), None)
    for one, other in combinations(moments, 2):
        if len(moments) > MOST_PAIRED and first not in (one, other):
            continue
        elapsed = moments[other] - moments[one]
        if elapsed.nunique() < 2:
            continue
        later = elapsed.mean() >= pd.Timedelta(0)
        start, end = (one, other) if later else (other, one)
        unit = "days" if only_dates(moments[start]) and only_dates(moments[end]) else "hours"
        add(f"{start}_to_{end}_{unit}", f"elapsed_{unit}", start, end)
    return found


def free(name: str, *taken: Mapping[str, object]) -> str:
    """Return a name that is in none of these, with as many _ as it takes."""
    while any(name in names for names in taken):
        name += "_"
    return name


def calendar(values: pd.Series) -> Iterator[str]:
    """Yield the functions of the parts of the calendar that datetimes span.

    Of one day in each month, the month is all there is: its weekday and day of the year are not.
    """
    days = values.dropna().dt.normalize().drop_duplicates()
    span = days.max() - days.min()
    monthly = len(days) > 1 and (days.dt.day.nunique() == 1 or bool(days.dt.is_month_end.all()))
    if not only_dates(values) and span >= DAY:
        yield "hour_of_day"
    if not monthly and span >= WEEK and days.dt.day_of_week.nunique() > 1:
        yield "day_of_week"
    if not monthly and days.dt.month.nunique() == MONTHS:
        yield "day_of_year"
    if monthly and span >= MOST_OF_A_YEAR and days.dt.month.nunique() >= SEASONS:
        yield "month_of_year"


def trend(moments: Mapping[str, pd.Series], target: np.ndarray) -> tuple[str, float] | None:
    """Return the datetime that a number follows, with R² of that, where there is one."""
    found: dict[str, float] = {}
    step = -(-len(target) // MOST_ROWS)
    for name, values in moments.items():
        when = values.iloc[::step]
        hours = when.to_numpy().astype("datetime64[h]").astype(np.float64)
        hours[when.isna().to_numpy()] = np.nan
        along = max(explained(levels(hours, True), target[::step]), linear(hours, target[::step]))
        if len(hours) >= LEAST_ROWS and along >= R2:
            found[name] = along
    return max(found.items(), key=lambda one: one[1]) if found else None


def since(name: str, values: pd.Series) -> Derived:
    """Return the feature that counts the days from the first moment: along it lies a trend."""
    first = str(values.min().date())
    return Derived("days_since", [name], OWNER, arguments={"first": first})


def cutoff(values: pd.Series) -> str:
    """Return the moment from which the last fifth of the rows hold out, ISO 8601.

    It lies after the first moment, so that both sides have rows.
    """
    ordered = values.sort_values(ignore_index=True)
    moment = ordered.iloc[int(len(ordered) * (1 - HOLDOUT))]
    if moment == ordered.iloc[0]:
        moment = ordered[ordered > moment].iloc[0]
    return str(moment.date() if only_dates(values) else moment.isoformat())
