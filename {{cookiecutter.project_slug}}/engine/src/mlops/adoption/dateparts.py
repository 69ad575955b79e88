"""Dates that a table holds in parts: a year, a month and a day in columns of their own."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from .statistics import words

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
FILLING = {"of", "the", "in", "number", "num", "no"}
YEARS = (1900, 2100)
LEAST = 0.9  # share of the rows whose parts make a date


class Parts(NamedTuple):
    """A date in parts: what it is called, its columns, and its moments as datetime64[us]."""

    name: str
    columns: tuple[str, ...]
    moments: np.ndarray


def assembled(frame: pd.DataFrame) -> Iterator[Parts]:
    """Yield each date of which year and month, and perhaps the day, are columns named alike.

    arrival_year, arrival_month and arrival_day_of_month are one date, year and month another.
    """
    named = {str(name): words(str(name)) - FILLING for name in frame.columns}
    for year, has in named.items():
        if "year" not in has:
            continue
        of = has - {"year"}
        month = _first(named, of, {"month"})
        if month is None:
            continue
        day = _first(named, of, {"day"}) or _first(named, of, {"day", "month"})
        columns = tuple(filter(None, (year, month, day)))
        moments = _moments(frame, *columns)
        if np.isnat(moments).mean() <= 1 - LEAST:
            yield Parts(" ".join(sorted(of)) or "date", columns, moments)


def _first(named: Mapping[str, set[str]], of: set[str], wanted: set[str]) -> str | None:
    return next((name for name, has in named.items() if has == of | wanted), None)


def _moments(frame: pd.DataFrame, year: str, month: str, day: str | None = None) -> np.ndarray:
    years = pd.to_numeric(frame[year], errors="coerce")
    parts = {"year": years.where(years.between(*YEARS)), "month": _months(frame[month]), "day": 1}
    if day is not None:
        parts["day"] = pd.to_numeric(frame[day], errors="coerce")
    found = pd.to_datetime(pd.DataFrame(parts, index=frame.index), errors="coerce")
    return found.to_numpy().astype("datetime64[us]")


def _months(column: pd.Series) -> pd.Series:
    """Return months as numbers, also where they are English names."""
    numbers = pd.to_numeric(column, errors="coerce")
    names = column.astype("str").str.lower().str[:3]
    return numbers.fillna(names.map({name: at for at, name in enumerate(MONTHS, 1)}))
