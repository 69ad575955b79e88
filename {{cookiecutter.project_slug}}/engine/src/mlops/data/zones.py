"""Readings of a clock as moments, where the clock is set forward and back.

An hour that a zone has twice, and one that it leaves out, can be read as two moments. Of those the
later is taken: nothing is known before it was.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

DAY = 86_400  # seconds
MICROSECONDS = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@cache
def changes(zone: str, first: int, last: int) -> list[tuple[int, int]]:
    """Return each reading from which another offset holds, and that, in microseconds.

    The first is the offset at the day `first`, days since 1970; `last` is the day after which no
    change counts.
    """
    place = ZoneInfo(zone)
    known = _offset(place, first * DAY)
    found = [(np.iinfo(np.int64).min, known * MICROSECONDS)]
    for day in range(first, last + 1):
        if _offset(place, (day + 1) * DAY) != known:
            moment, known = _change(place, day * DAY, (day + 1) * DAY)
            found.append(((moment + known) * MICROSECONDS, known * MICROSECONDS))
    return found


def to_utc(readings: NDArray[np.datetime64], zone: str) -> NDArray[np.datetime64]:
    """Return the moments in UTC of readings of a zone's clock, datetime64[us]; NaT stays."""
    present = ~np.isnat(readings)
    if zone == "UTC" or not present.any():
        return readings
    days = readings[present].astype("datetime64[D]").astype(np.int64)
    steps = changes(zone, int(days.min()) - 2, int(days.max()) + 2)
    starts = np.array([start for start, _ in steps])
    offsets = np.array([offset for _, offset in steps])
    whole = readings.astype("datetime64[us]").astype(np.int64)
    moments = whole - offsets[np.searchsorted(starts, whole, side="right") - 1]
    return np.where(present, moments.astype("datetime64[us]"), np.datetime64("NaT", "us"))


def to_utc_sql(reading: str, zone: str, first: int, last: int) -> str:
    """Return the same as an expression of DuckDB over one of microseconds since 1970."""
    (_, offset), *later = changes(zone, first - 2, last + 2)
    cases = " ".join(f"WHEN {reading} >= {start} THEN {by}" for start, by in reversed(later))
    return f"({reading} - CASE {cases} ELSE {offset} END)" if later else f"({reading} - {offset})"


def _offset(place: ZoneInfo, moment: int) -> int:
    there = (EPOCH + timedelta(seconds=moment)).astimezone(place)
    return round((there.utcoffset() or timedelta()).total_seconds())


def _change(place: ZoneInfo, start: int, end: int) -> tuple[int, int]:
    """Return the second at which the offset at `end` begins to hold, and that offset."""
    wanted = _offset(place, end)
    while end - start > 1:
        middle = (start + end) // 2
        start, end = (start, middle) if _offset(place, middle) == wanted else (middle, end)
    return end, wanted
