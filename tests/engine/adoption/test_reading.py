from pathlib import Path

import pandas as pd
import pytest

from mlops.adoption.reading import read
from mlops.contract import Column, Source
from mlops.data.parsing import parse
from mlops.data.sources import DataError

CSV = Source(format="csv")
ROWS = 300
FILE = Path("t.csv")


def numbers(**odd: str) -> list[str]:
    """Return so many different numbers, with these texts in rows called r0, r1, …"""
    cells = [f"{n * 1.37:.2f}" for n in range(ROWS)]
    for row, text in odd.items():
        cells[int(row[1:])] = text
    return cells


def column(cells: list[str], source: Source = CSV) -> tuple[pd.Series, Column]:
    """Return what a column means, and the number that its reading declares."""
    facts, readings = read(FILE, pd.DataFrame({"x": cells}, dtype="str"), source, [])
    return facts["x"].raw, readings["x"].of(Column("number"))


@pytest.mark.parametrize(
    ("text", "said"),
    [("$$$", "'$$$' in row 8"), ("3.0M", "'3.0M' in row 8"), ("n.b.", "'n.b.' in row 8")],
)
def test_a_stray_text_among_numbers_is_missing_and_named_by_its_row(text: str, said: str) -> None:
    cells = numbers(r7=text)
    values, found = column(cells)
    assert found == Column(
        "number", nullable=True, missing=[text], description=f"{said} is read as missing"
    )
    raw = pd.Series(cells, dtype="str")
    parsed = parse(raw, found, CSV)
    assert parsed.values.isna().tolist() == [row == 7 for row in range(ROWS)]
    assert not parsed.bad.any()
    assert values.isna().sum() == 1


def test_a_stray_text_among_dates_is_missing() -> None:
    days = pd.date_range("2020-01-01", periods=ROWS).strftime("%d.%m.%Y").tolist()
    days[99] = "31.02.2020"
    _, found = column(days)
    assert found.missing == ["31.02.2020"]
    assert "in row 100 " in found.description


def test_infinity_is_no_number_however_often_it_stands_there() -> None:
    cells = ["inf", "1e400", "2.5", "5"] * 50
    values, found = column(cells)
    assert set(found.missing) == {"inf", "1e400"}
    assert values.dropna().astype(float).unique().tolist() == [2.5, 5.0]


@pytest.mark.parametrize(
    "cells",
    [
        [str(n) if n % 5 else "abc" for n in range(ROWS)],  # not rare
        [str(n % 9) if n else "K" for n in range(ROWS)],  # grades of a school
        ["00712", "01234", "A1"] * 100,  # codes
    ],
)
def test_texts_that_may_mean_something_are_no_strays(cells: list[str]) -> None:
    values, found = column(cells)
    assert found == Column("number")
    assert values.tolist() == cells


@pytest.mark.parametrize(
    ("cells", "source", "units", "first"),
    [
        (["$1,200", "$5", "($7.50)"], CSV, {"$": 1}, [1200, 5, -7.5]),
        (["29%", "3.5 %", "0%"], CSV, {"%": 1}, [29, 3.5, 0]),
        (["87,549", "12", "1,000"], CSV, {"": 1}, [87549, 12, 1000]),
        (["36 months", "2 years", "1 year"], CSV, {"months": 1, "years": 12, "year": 12}, [36, 24]),
        (["€110.5M", "€500K", "€0"], CSV, {"€M": 1e6, "€K": 1e3, "€": 1}, [110.5e6, 5e5, 0]),
        (["19M", "201k", "14"], CSV, {"M": 1e6, "k": 1e3}, [19e6, 201e3, 14]),
        (["1.234,5 €", "7 €"], Source(format="csv", decimal=","), {"€": 1}, [1234.5, 7]),
        (["16 GB", "1 TB"], CSV, {"GB": 1, "TB": 1024}, [16, 1024]),
    ],
)
def test_an_amount_becomes_the_number_that_its_units_make_it(
    cells: list[str], source: Source, units: dict[str, float], first: list[float]
) -> None:
    values, found = column(cells * 20, source)
    assert found.units == units
    assert values.tolist()[: len(first)] == first
    parsed = parse(pd.Series(cells * 20, dtype="str"), found, source)
    assert parsed.values.tolist() == values.tolist()


def test_one_amount_in_another_currency_is_a_stray() -> None:
    cells = [f"${n * 7}" for n in range(1, ROWS)] + ["€7"]
    _, found = column(cells)
    assert (found.units, found.missing) == ({"$": 1}, ["€7"])


@pytest.mark.parametrize("cells", [["A12", "B7"], ["12B", "13C"], ["1st", "2nd"], ["5", "6 days"]])
def test_codes_are_no_amounts(cells: list[str]) -> None:
    values, found = column(cells * 50)
    assert found == Column("number")
    assert values.tolist() == cells * 50


@pytest.mark.parametrize("again", ["x,n", "X,N"])
def test_a_header_that_comes_again_is_refused_by_its_row(again: str) -> None:
    frame = pd.DataFrame([["1", "2"], ["3", "4"], again.split(",")], columns=["x", "n"])
    with pytest.raises(DataError, match="has its header again in row 3: delete it"):
        read(FILE, frame.astype("str"), CSV, [])


def test_a_row_of_units_below_the_header_is_refused_by_its_row() -> None:
    frame = pd.DataFrame({"mass": numbers(r0="kg"), "size": numbers(r0="mm")}, dtype="str")
    with pytest.raises(DataError, match="row 1 holds 'kg' in mass, 'mm' in size, where all other"):
        read(FILE, frame, CSV, [])
