import numpy as np
import pandas as pd

from mlops.adoption.exclusion import leave_out
from mlops.adoption.inference import infer
from mlops.adoption.statistics import Statistics, statistics
from mlops.adoption.target import decide
from mlops.contract import Column, Source

CSV = Source(format="csv")
ROWS = 600
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=ROWS).round(4)
GONE = RNG.random(ROWS) < 0.4
ARRIVED = pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(RNG.integers(0, 700, ROWS), "D"))
DAYS = pd.Series(np.where(GONE, -RNG.integers(1, 60, ROWS), RNG.integers(1, 9, ROWS)))
STATUS = ARRIVED + pd.to_timedelta(DAYS, "D")


def adopted(target: str, **columns: object) -> tuple[dict[str, Column], list[str]]:
    frame = pd.DataFrame(columns).astype("str")
    decided, _ = decide(Statistics(target, frame[target], CSV))
    return leave_out(frame, infer(statistics(frame, CSV), {target: decided}, {}), CSV)


def ignored(columns: dict[str, Column]) -> set[str]:
    return {name for name, column in columns.items() if column.role == "ignored"}


def test_a_date_that_only_tells_with_another_in_three_columns_is_left_out() -> None:
    columns, _ = adopted(
        "gone",
        arrival_year=ARRIVED.dt.year,
        arrival_month=ARRIVED.dt.month_name(),
        arrival_day=ARRIVED.dt.day,
        status_date=STATUS.dt.strftime("%Y-%m-%d"),
        noise=NOISE,
        gone=GONE.astype(int),
    )
    assert ignored(columns) == {"status_date"}
    assert (
        "the time from status_date to the arrival in parts alone" in columns["status_date"].reason
    )


def test_a_leak_in_parts_leaves_all_its_parts_out() -> None:
    columns, _ = adopted(
        "gone",
        arrival=ARRIVED.dt.strftime("%Y-%m-%d"),
        status_year=STATUS.dt.year,
        status_month=STATUS.dt.month,
        status_day=STATUS.dt.day,
        gone=GONE.astype(int),
    )
    assert ignored(columns) == {"status_year", "status_month", "status_day"}


def test_the_name_says_which_of_two_dates_is_known_later() -> None:
    columns, _ = adopted(
        "gone",
        closed=STATUS.dt.strftime("%Y-%m-%d"),
        arrival=ARRIVED.dt.strftime("%Y-%m-%d"),
        gone=GONE.astype(int),
    )
    assert ignored(columns) == {"closed"}


def test_two_numbers_that_tell_together_are_to_be_checked() -> None:
    paid, due = RNG.random(ROWS).round(4) * 100, RNG.random(ROWS).round(4) * 100
    columns, told = adopted("open", paid=paid, due=due, noise=NOISE, open=(paid < due).astype(int))
    assert not ignored(columns)
    assert len(told) == 1
    assert told[0].startswith("paid and due together order the classes of the target (AUC 1.0000)")


def test_two_categories_that_tell_together_are_to_be_checked() -> None:
    one, other = RNG.integers(0, 2, ROWS), RNG.integers(0, 2, ROWS)
    names = np.array(["a", "b"])
    _, told = adopted("y", one=names[one], other=names[other], noise=NOISE, y=one ^ other)
    assert told[0].startswith("one and other together tell the target (avoids 100.0%")


def test_independent_columns_tell_nothing() -> None:
    columns, told = adopted(
        "y", a=NOISE, b=RNG.normal(size=ROWS), c=RNG.choice(["u", "v"], ROWS), y=GONE.astype(int)
    )
    assert (ignored(columns), told) == (set(), [])


def test_a_number_that_follows_a_date_does_not_make_the_date_a_leak() -> None:
    day = pd.Series(pd.date_range("2020-01-01", periods=ROWS))
    columns, _ = adopted("y", day=day.dt.strftime("%Y-%m-%d"), x=NOISE, y=np.arange(ROWS) * 1.7)
    assert ignored(columns) == set()
