import pandas as pd
import pytest

from mlops.adoption.dates import compact_dates, datetime_format, only_dates


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2019-03-23 20:21:09", "2019-01-02 00:00:00"], None),
        (["2019-01-02", "2019-12-31"], None),
        (["2019-01-02T10:00:00Z", "2019-01-02T10:00:00+02:00"], None),
        (["20141013T000000", "20141014T000000"], None),
        (["2019/03/04", "2019/12/31"], "%Y/%m/%d"),
        (["01/02/2019", "13/04/2019"], "%d/%m/%Y"),
        (["01/02/2019", "04/13/2019"], "%m/%d/%Y"),
        (["01/13/2019 10:00", "02/01/2019 01:22"], "%m/%d/%Y %H:%M"),
        (["1.2.2019 10:00:00", "23.4.2019 11:00:00"], "%d.%m.%Y %H:%M:%S"),
        (["02/13/19 5:04 PM", "02/03/19 5:04 AM"], "%m/%d/%y %I:%M %p"),
        (["Jan 5, 2020", "Mar 7, 2021"], "%b %d, %Y"),
    ],
)
def test_finds_the_format_of_every_value(values: list[str], expected: str | None) -> None:
    found = datetime_format(pd.Series(values, dtype="str"))
    assert found is not None
    assert found.text == expected


def test_says_when_day_and_month_could_be_swapped() -> None:
    ambiguous = datetime_format(pd.Series(["01/02/2019", "03/04/2019"], dtype="str"))
    clear = datetime_format(pd.Series(["01/02/2019", "13/04/2019"], dtype="str"))
    assert ambiguous is not None
    assert clear is not None
    assert "%m/%d/%Y" in ambiguous.doubt
    assert clear.doubt == ""


@pytest.mark.parametrize(
    "values",
    [["1.5", "2.5"], ["2019", "2020"], ["10.0.0.1"], ["2019-01-02", "soon"], ["12:30"], []],
)
def test_leaves_other_texts_alone(values: list[str]) -> None:
    assert datetime_format(pd.Series(values, dtype="str")) is None


def test_recognises_compact_dates_and_dates_without_times() -> None:
    assert compact_dates(pd.Series(["20190102", "20201231"], dtype="str"))
    assert not compact_dates(pd.Series(["20190102", "20201331"], dtype="str"))
    assert only_dates(pd.Series(pd.to_datetime(["2019-01-02", None])))
    assert not only_dates(pd.Series(pd.to_datetime(["2019-01-02 10:00"])))
