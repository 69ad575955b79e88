import pandas as pd
import pytest

from mlops.adoption.dateparts import assembled


@pytest.mark.parametrize(
    ("names", "months"),
    [
        (["arrival_year", "arrival_month", "arrival_day_of_month"], ["2", "12"]),
        (["arrivalYear", "arrivalMonth", "arrivalDay"], ["February", "Dec"]),
        (["year", "month", "day"], ["02", "12"]),
    ],
)
def test_puts_a_date_together_from_its_columns(names: list[str], months: list[str]) -> None:
    frame = pd.DataFrame(dict(zip(names, (["2020", "2021"], months, ["29", "31"]), strict=True)))
    (parts,) = assembled(frame)
    assert parts.columns == tuple(names)
    assert [str(moment)[:10] for moment in parts.moments] == ["2020-02-29", "2021-12-31"]


def test_without_a_day_a_month_begins_on_the_first() -> None:
    (parts,) = assembled(pd.DataFrame({"sale_year": [2020], "sale_month": [5]}))
    assert str(parts.moments[0])[:10] == "2020-05-01"


@pytest.mark.parametrize(
    "frame",
    [
        {"year": ["2020"], "day": ["3"]},
        {"start_year": ["2020"], "end_month": ["3"]},
        {"year": ["20"], "month": ["3"]},
        {"year": ["2020"], "month": ["Brumaire"]},
    ],
)
def test_other_columns_are_no_date(frame: dict[str, list[str]]) -> None:
    assert not list(assembled(pd.DataFrame(frame)))
