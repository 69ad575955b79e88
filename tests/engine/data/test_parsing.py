"""A cell becomes the value that its type says, or is marked as bad; never a guess."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.contract import Column, Source
from mlops.data.parsing import parse, texts

CSV = Source(format="csv")


def parsed(cells: list[Any], column: Column, source: Source = CSV) -> tuple[list[Any], list[bool]]:
    found = parse(pd.Series(cells), column, source)
    values = [None if pd.isna(value) else value for value in found.values]
    return values, found.bad.tolist()


@pytest.mark.parametrize(
    ("column", "cells", "values"),
    [
        (Column("number"), ["1", "-2.5", "1e3", None], [1.0, -2.5, 1000.0, None]),
        (Column("integer"), ["1", "3.0", None], [1.0, 3.0, None]),
        (Column("integer"), [True, False], [1.0, 0.0]),
        (Column("number", units={"$": 1}), ["$1,200", "(5)", "7"], [1200.0, -5.0, 7.0]),
        (Column("number", units={"%": 0.01}), ["29 %", None], [0.29, None]),
        (Column("number", nullable=True, missing=["-200"]), ["-200.0", "3"], [None, 3.0]),
        (Column("number", nullable=True, missing=["-200"]), [-200, 3], [None, 3.0]),
        (Column("text", nullable=True, missing=["none"]), ["none", "x"], [None, "x"]),
        (Column("boolean"), ["Yes", "f", "1", "0.0", None], [1.0, 0.0, 1.0, 0.0, None]),
        (Column("boolean"), [1, 0], [1.0, 0.0]),
        (Column("category", categories=["a"]), ["a", "b", None], ["a", "b", None]),
        (Column("text", role="id"), ["007", None], ["007", None]),
    ],
)
def test_readable_cells(column: Column, cells: list[Any], values: list[Any]) -> None:
    assert parsed(cells, column) == (values, [False] * len(cells))


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        (Column("number"), "12a"),
        (Column("number"), "inf"),
        (Column("number"), "1,5"),
        (Column("number"), "1_000"),
        (Column("integer"), "1.5"),
        (Column("boolean"), "maybe"),
        (Column("boolean"), "2"),
        (Column("datetime"), "2025-13-01"),
        (Column("datetime"), "yesterday"),
        (Column("datetime"), "now"),
        (Column("datetime"), "today"),
        (Column("datetime", format="%d.%m.%Y"), "now"),
        (Column("datetime", format="%d.%m.%Y"), "2025-01-01"),
    ],
)
def test_unreadable_cell_is_bad_and_missing(column: Column, cell: str) -> None:
    assert parsed([cell], column) == ([None], [True])


def test_decimal_comma() -> None:
    source = Source(format="csv", decimal=",")
    assert parsed(["1,5", "1.234,5"], Column("number"), source) == ([1.5, 1234.5], [False] * 2)


@pytest.mark.parametrize(
    "cell", ["2.2", "0.123", "12.34", "1.23,4", "1.234.56", "1,2,3", "1.2345", "01.234", "inf"]
)
def test_no_number_under_a_decimal_comma(cell: str) -> None:
    source = Source(format="csv", decimal=",")
    assert parsed([cell], Column("number"), source) == ([None], [True])


ID = Column("integer", role="id", nullable=True)
LARGE = 2**63 - 1


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["4006381333931", "7.0", None], [4006381333931, 7, None]),
        ([str(LARGE), str(-LARGE - 1), None], [LARGE, -LARGE - 1, None]),
        (pd.array([LARGE, None], dtype="Int64"), [LARGE, None]),
        ([3.0, None], [3, None]),
    ],
)
def test_whole_numbers_that_identify_are_exact(cells: Any, values: list[Any]) -> None:
    found = parse(pd.Series(cells), ID, CSV)
    assert str(found.values.dtype) == "Int64"
    assert [None if pd.isna(value) else value for value in found.values] == values
    assert not found.bad.any()


@pytest.mark.parametrize(
    "cell", ["007", "4.006381333931e+12", str(LARGE + 1), "1.5", "1e3", "x", 1.5, 2.0**63]
)
def test_what_is_no_whole_number_identifies_nothing(cell: Any) -> None:
    assert parsed([cell], ID) == ([None], [True])
    assert parse(pd.Series([LARGE + 1], dtype="UInt64"), ID, CSV).bad.tolist() == [True]


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        (None, "2025-03-01T10:00:00+02:00"),
        (None, "2025-03-01 08:00:00"),
        ("%d/%m/%Y %H:%M", "01/03/2025 08:00"),
    ],
)
def test_moments_are_utc_microseconds(form: str | None, cell: str) -> None:
    values = parse(pd.Series([cell]), Column("datetime", format=form), CSV).values
    assert values.dtype == "datetime64[us]"
    assert values[0] == pd.Timestamp("2025-03-01 08:00")


def test_numbers_are_no_moments() -> None:
    assert parse(pd.Series([20250301.0]), Column("datetime"), CSV).bad.tolist() == [True]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Series([1, 2]), ["1", "2"]),
        (pd.Series([1.0, np.nan]), ["1", None]),
        (pd.Series([1.5, 2.0]), ["1.5", "2"]),
        (pd.Series([True, False]), ["true", "false"]),
        (pd.Series([True, None], dtype=object), ["True", None]),
        (pd.Series(["3.0"]), ["3.0"]),
        (pd.Series([2**53 + 1]), [str(2**53 + 1)]),
        (pd.Series([2**53 + 1, None], dtype="Int64"), [str(2**53 + 1), None]),
        (pd.Series([2**63 + 3, None], dtype="UInt64"), [str(2**63 + 3), None]),
        (pd.Series([1e20, 5.0, None]), ["1e+20", "5", None]),
        (pd.Series([True, None], dtype="boolean"), ["true", None]),
    ],
)
def test_canonical_texts(values: pd.Series, expected: list[str | None]) -> None:
    found = [None if pd.isna(text) else text for text in texts(values)]
    assert found == expected
