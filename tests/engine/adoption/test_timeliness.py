import numpy as np
import pandas as pd
import pytest

from mlops.adoption.timeliness import calendar, cutoff, derived, moments, since, trend
from mlops.contract import Column, Source
from mlops.features.functions import FUNCTIONS

START = pd.Series(pd.date_range("2020-01-01 10:00", periods=40, freq="7h"))


def columns(*names: str) -> dict[str, Column]:
    return {name: Column("datetime") for name in names}


def test_parses_the_datetimes_that_may_be_used() -> None:
    frame = pd.DataFrame({"a": ["13/01/2020"], "b": ["2020-01-01"], "c": ["2020-01-01"]})
    declared = {
        "a": Column("datetime", format="%d/%m/%Y"),
        "b": Column("datetime", role="time"),
        "c": Column("datetime", role="ignored"),
        "n": Column("number"),
    }
    found = moments(frame.astype("str"), declared, Source(format="csv"))
    assert {name: str(values[0]) for name, values in found.items()} == {
        "a": "2020-01-13 00:00:00",
        "b": "2020-01-01 00:00:00",
    }


def test_derives_the_calendar_and_the_time_between() -> None:
    spans = pd.to_timedelta([1, 2] * 20, unit="h")
    times = {"dropoff": START + spans, "pickup": START}
    found = derived(times, columns("dropoff", "pickup"))
    assert {name: (d.function, d.columns) for name, d in found.items()} == {
        "dropoff_hour": ("hour_of_day", ["dropoff"]),
        "dropoff_day_of_week": ("day_of_week", ["dropoff"]),
        "pickup_hour": ("hour_of_day", ["pickup"]),
        "pickup_day_of_week": ("day_of_week", ["pickup"]),
        "pickup_to_dropoff_hours": ("elapsed_hours", ["pickup", "dropoff"]),
    }
    assert all(len(FUNCTIONS[d.function].kinds) == len(d.columns) for d in found.values())


def test_dates_have_no_hour_and_a_year_has_days() -> None:
    days = pd.Series(pd.date_range("2020-01-01", periods=800))
    later = days + pd.to_timedelta(range(800), unit="D")
    found = derived({"a": days, "b": later}, columns("a", "b"))
    assert set(found) == {
        "a_day_of_week",
        "a_day_of_year",
        "b_day_of_week",
        "b_day_of_year",
        "a_to_b_days",
    }
    assert all(entry.function in FUNCTIONS for entry in found.values())


@pytest.mark.parametrize(
    ("days", "parts"),
    [
        (pd.date_range("2019-01-01", "2019-12-31"), ["day_of_week", "day_of_year"]),  # 364 days
        (pd.date_range("2019-01-01", "2019-06-30"), ["day_of_week"]),
        (pd.date_range("2019-01-01", periods=5), []),
        (pd.date_range("2019-01-01", periods=60, freq="MS"), ["month_of_year"]),
        (pd.date_range("2019-01-01", periods=60, freq="ME"), ["month_of_year"]),
        (pd.date_range("2019-01-01", periods=8, freq="QS"), ["month_of_year"]),
        (pd.date_range("2019-01-01", periods=6, freq="YS"), []),
        (pd.date_range("2019-01-07", periods=60, freq="W"), ["day_of_year"]),
        (pd.date_range("2019-01-01", periods=48, freq="h"), ["hour_of_day"]),
    ],
)
def test_the_calendar_is_what_the_data_span(days: pd.DatetimeIndex, parts: list[str]) -> None:
    assert list(calendar(pd.Series(days))) == parts


def test_a_number_that_follows_a_date_has_a_trend() -> None:
    days = pd.Series(pd.date_range("2020-01-01", periods=200))
    rising = np.arange(200) * 2.0
    noise = np.random.default_rng(0).normal(size=200)
    assert trend({"day": days}, noise) is None
    name, share = trend({"other": days.sample(frac=1, random_state=0), "day": days}, rising) or (
        "",
        0,
    )
    assert (name, round(share, 3)) == ("day", 1.0)
    counted = since("day", days)
    assert counted.arguments == {"first": "2020-01-01"}
    found = FUNCTIONS[counted.function].function(days, **counted.arguments)
    assert found.tolist() == list(range(200))


def test_a_constant_distance_says_nothing_and_a_taken_name_is_not_used() -> None:
    times = {"a": START, "b": START + pd.Timedelta("1h")}
    found = derived(times, columns("a", "b", "a_hour"))
    assert "a_to_b_hours" not in found
    assert "a_hour_" in found


def test_of_many_datetimes_each_has_its_age_at_the_time_column() -> None:
    names = ["signup", "moved", "called", "paid", "seen"]
    chance = np.random.default_rng(0)
    times = {n: START + pd.to_timedelta(chance.integers(0, 900, 40), unit="h") for n in names}
    declared = columns(*names) | {"called": Column("datetime", role="time")}
    elapsed = [d.columns for d in derived(times, declared).values() if "elapsed" in d.function]
    assert len(elapsed) == 4
    assert all("called" in pair for pair in elapsed)
    without = [d for d in derived(times, columns(*names)).values() if "elapsed" in d.function]
    assert all("signup" in one.columns for one in without)


def test_a_birth_is_an_age_and_no_weekday() -> None:
    born = pd.Series(pd.date_range("1950-01-01", periods=40, freq="300D"))
    at = pd.Series(pd.date_range("2026-01-01", periods=40))
    found = derived({"birth_date": born, "at": at}, columns("birth_date", "at"))
    assert set(found) == {"at_day_of_week", "birth_date_to_at_days"}
    alone = derived({"date_of_birth": born}, columns("date_of_birth"))
    assert alone == {"date_of_birth_days": since("date_of_birth", born)}
    assert list(derived({"seen": at}, columns("seen"))) == ["seen_day_of_week"]  # no trend is made
    joined = derived({"joined": at}, columns("joined"))
    assert set(joined) == {"joined_day_of_week", "joined_days"}


def test_the_last_fifth_of_the_rows_is_after_the_cutoff() -> None:
    days = pd.Series(pd.date_range("2020-01-01", periods=100)).sample(frac=1, random_state=0)
    assert cutoff(days) == "2020-03-21"
    assert (days >= pd.Timestamp("2020-03-21")).sum() == 20
    assert cutoff(START) == "2020-01-10T18:00:00"


def test_both_sides_of_the_cutoff_have_rows() -> None:
    days = pd.Series(pd.to_datetime(["2020-01-01"] * 99 + ["2020-01-05"]))
    assert cutoff(days) == "2020-01-05"
