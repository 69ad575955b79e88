"""Readings of a clock as moments: as Python has it, and the later of two."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import pytest

from mlops.contract import Column, Source
from mlops.data.parsing import parse
from mlops.data.zones import to_utc, to_utc_sql

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]


def later(reading: datetime, zone: str) -> datetime:
    """Return the later of the moments that PEP 495 knows for a reading, or for one in a gap."""
    place = ZoneInfo(zone)
    both = [reading.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1)]
    return max(both).replace(tzinfo=None)


def hours(year: int) -> list[datetime]:
    """Return every quarter of an hour of a year's spring and autumn."""
    starts = (datetime(year, month, 1) for month in (3, 10))
    return [start + timedelta(minutes=15 * i) for start in starts for i in range(5000)]


@pytest.mark.parametrize("zone", ZONES)
def test_readings_are_the_moments_that_python_has(zone: str) -> None:
    readings = hours(2026)
    found = to_utc(np.array(readings, "M8[us]"), zone)
    assert found.tolist() == [later(reading, zone) for reading in readings]


def test_the_hour_that_comes_twice_and_the_one_that_does_not_come() -> None:
    readings = np.array(["2026-10-25T02:30", "2026-03-29T02:30"], "M8[us]")
    wanted = np.array(["2026-10-25T01:30", "2026-03-29T01:30"], "M8[us]")
    assert (to_utc(readings, "Europe/Berlin") == wanted).all()


@pytest.mark.parametrize("zone", ZONES)
def test_duckdb_computes_the_same(zone: str) -> None:
    readings = np.array(hours(2025), "M8[us]")
    whole = readings.astype(np.int64)
    days = readings.astype("M8[D]").astype(int)
    expression = to_utc_sql("x", zone, int(days.min()), int(days.max()))
    with duckdb.connect() as connection:
        query = f"SELECT {expression} FROM (SELECT unnest(?) AS x)"
        rows = connection.execute(query, [whole.tolist()]).fetchall()
    assert (np.array(rows)[:, 0] == to_utc(readings, zone).astype(np.int64)).all()


def test_only_what_has_no_offset_is_read_in_the_zone() -> None:
    cells = pd.Series(
        ["2026-07-01", "2026-07-01T12:00", "2026-07-01T12:00Z", "2026-07-01 12:00:00+0500", "no"],
        dtype="str",
    )
    parsed = parse(cells, Column("datetime"), Source(), "Europe/Berlin")
    assert [str(value) for value in parsed.values] == [
        "2026-06-30 22:00:00",
        "2026-07-01 10:00:00",
        "2026-07-01 12:00:00",
        "2026-07-01 07:00:00",
        "NaT",
    ]
    assert parsed.bad.tolist() == [False] * 4 + [True]


def test_moments_that_know_their_zone_keep_it() -> None:
    aware = pd.Series(pd.to_datetime(["2026-07-01T12:00Z"]))
    assert str(parse(aware, Column("datetime"), Source(), "Europe/Berlin").values[0]) == (
        "2026-07-01 12:00:00"
    )


def test_a_format_says_whether_there_is_an_offset() -> None:
    without = Column("datetime", format="%d.%m.%Y %H:%M")
    cells = pd.Series(["01.07.2026 12:00"], dtype="str")
    read = parse(cells, without, Source(), "Europe/Berlin").values
    assert str(read[0]) == "2026-07-01 10:00:00"
