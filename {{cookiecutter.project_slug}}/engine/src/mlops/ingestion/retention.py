"""How long rows may be kept: days that are older than a declaration's `retention` go."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from ..config.views import seconds
from .canonical import days, zone
from .dataset import Dataset

DAY = timedelta(days=1)


def first_kept(dataset: Dataset, now: datetime) -> date | None:
    """Return the first day of which no moment is too old; None where nothing says how old that is.

    A day goes as a whole, as soon as its beginning is too old: no row is kept for longer.
    """
    kept = span(dataset)
    if kept is None:
        return None
    try:
        limit = (now.astimezone(UTC) - kept).astimezone(ZoneInfo(zone(dataset)))
    except OverflowError:  # before the year 1
        return None
    day = limit.date()
    begins = datetime(day.year, day.month, day.day, tzinfo=limit.tzinfo)
    return day if begins == limit else day + DAY


def span(dataset: Dataset) -> timedelta | None:
    """Return how long rows may be kept; None where that is not declared as a span of time."""
    try:
        return timedelta(seconds=seconds(dataset.retention)) if dataset.retention else None
    except (ValueError, OverflowError):
        return None


def over(names: Iterable[str], first: date | None) -> list[str]:
    """Return the days, written like 2026-01-31, that are before the first that is kept."""
    return [] if first is None else sorted(day for day in names if day < first.isoformat())


def kept(table: pa.Table, dataset: Dataset, first: date | None) -> pa.Table:
    """Return the rows of a table that may be kept; one without a moment may."""
    if first is None or dataset.time is None:
        return table
    column = table[dataset.time]
    if not pa.types.is_timestamp(column.type):  # with a cell that is none, which `prepare` names
        return table
    moments = days(column, zone(dataset))
    return table.filter(pa.array(np.isnat(moments) | (moments >= np.datetime64(first, "D"))))


def shown(names: list[str], most: int = 12) -> str:
    """Return days for a person to read: all of a few, the ends of many."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{len(names):,} days from {names[0]} to {names[-1]}"
