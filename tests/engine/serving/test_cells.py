"""A JSON value is read as its column's type, or it is said why not."""

import math
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from mlops.contract import Column, Source
from mlops.serving.cells import CellError, codec, moment, read

NUMBER = Column("number")
INTEGER = Column("integer")
BOOLEAN = Column("boolean")
PLAN = Column("category", categories=["basic", "plus"])
WHEN = Column("datetime")
DAY = Column("datetime", format="%d.%m.%Y")
CODE = Column("category", categories=["1001", "1077"])
ANSWER = Column("category", categories=["false", "true"])
NOTE = Column("text")


@pytest.mark.parametrize(
    ("value", "column", "expected"),
    [
        (3, NUMBER, 3.0),
        (-0.5, NUMBER, -0.5),
        (2**80, NUMBER, 2.0**80),
        (3, INTEGER, 3),
        (3.0, INTEGER, 3),
        (-(2**63), INTEGER, -(2**63)),
        (True, BOOLEAN, True),
        ("Yes", BOOLEAN, True),
        (" f ", BOOLEAN, False),
        (1, BOOLEAN, True),
        (0.0, BOOLEAN, False),
        (" plus", PLAN, "plus"),
        (1001, CODE, "1001"),
        (1001.0, CODE, "1001"),
        ("1001.0", CODE, "1001"),
        ("1001.5", CODE, "1001.5"),
        (True, ANSWER, "true"),
        ("True", ANSWER, "true"),
        ("31.01.2026", DAY, datetime(2026, 1, 31)),
        ("2026-01-31", DAY, datetime(2026, 1, 31)),
        ("plus", PLAN, "plus"),
        ("other", PLAN, "other"),
        ("2026-01-31", WHEN, datetime(2026, 1, 31)),
        ("2026-01-31 09:30", WHEN, datetime(2026, 1, 31, 9, 30)),
        ("2026-01-31T09:30:00.25+02:00", WHEN, datetime(2026, 1, 31, 7, 30, 0, 250_000)),
        ("2026-01-31t09:30:00z", WHEN, datetime(2026, 1, 31, 9, 30)),
        ("2026-01-31T09:30:00-0330", WHEN, datetime(2026, 1, 31, 13, 0)),
    ],
)
def test_value_of_its_type(value: Any, column: Column, expected: Any) -> None:
    found = read(value, column)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "column", "said"),
    [
        ("3", NUMBER, "a number, not a string: JSON numbers have no quotes, like 58.78, with a de"),
        ("58,78", NUMBER, "like 58.78, with a decimal point"),
        ("3", INTEGER, "a whole number, not a string: JSON numbers have no quotes, like 58"),
        (True, NUMBER, "a number, not a boolean"),
        (None, NUMBER, "a number, not null"),
        (math.inf, NUMBER, "finite"),
        (10**400, NUMBER, "finite"),
        (3.5, INTEGER, "a whole number"),
        (math.inf, INTEGER, "finite"),
        (2**63, INTEGER, "64 bits"),
        (1e30, INTEGER, "64 bits"),
        (False, INTEGER, "a whole number, not a boolean"),
        (2, BOOLEAN, "true or false, not a number"),
        ("perhaps", BOOLEAN, "true or false, not a string"),
        ([], BOOLEAN, "true or false, not a list"),
        (3, PLAN, "a string, not a number"),
        (True, PLAN, "a string, not a boolean"),
        (1002, CODE, "a string, not a number"),
        ("", PLAN, "a string, not '', which means no value"),
        (" NA ", NOTE, "not ' NA ', which means no value"),
        ("31/01/2026", DAY, r"ISO 8601 date or date-time, or one like %d\.%m\.%Y"),
        ("now", DAY, "ISO 8601"),
        ([], PLAN, "a string, not a list"),
        (1.5, WHEN, "ISO 8601"),
        ("yesterday", WHEN, "ISO 8601"),
        ("2026-1-5", WHEN, "ISO 8601"),
        ("20260105", WHEN, "ISO 8601"),
        ("2026-W01-1", WHEN, "ISO 8601"),
        ("2026-02-30", WHEN, "a date that exists"),
        ("2026-01-31T24:00", WHEN, "below 24:00"),
        ("0001-01-01T00:00+14:00", WHEN, "years 1 to 9999"),
    ],
)
def test_value_of_another_type(value: Any, column: Column, said: str) -> None:
    with pytest.raises(CellError, match=said):
        read(value, column)


def test_null_is_missing_where_the_column_is_nullable() -> None:
    assert read(None, Column("integer", nullable=True)) is None


def test_unseen_category_may_be_refused() -> None:
    assert read("plus", PLAN, "refuse") == "plus"
    with pytest.raises(CellError, match="one of basic, plus"):
        read("other", PLAN, "refuse")


def test_a_message_quotes_no_value() -> None:
    with pytest.raises(CellError) as raised:
        read("secret", WHEN)
    assert "secret" not in str(raised.value)


def test_digits_of_other_scripts_are_no_date() -> None:
    with pytest.raises(CellError):
        moment("\u0662026-01-31")


def test_codes_are_those_of_a_table() -> None:
    array = codec(msgspec.structs.replace(PLAN, nullable=True), Source(missing=["", "NA"]))
    found = array(["basic", "plus", " plus ", "other", None, "NA", ""])
    np.testing.assert_array_equal(found, [0, 1, 1, 2, np.nan, np.nan, np.nan])


def test_unseen_categories_are_not_remembered() -> None:
    array = codec(PLAN, Source(missing=[]))
    table = array.__closure__[0].cell_contents.__self__  # type: ignore[index, attr-defined]
    array([f"other{number}" for number in range(100)])
    assert len(table) == 3


def test_moments_keep_their_microseconds() -> None:
    moments = [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999), None]
    found = codec(WHEN, Source())(moments)
    assert found.dtype == np.dtype("datetime64[us]")
    np.testing.assert_array_equal(found, np.array(moments, dtype="datetime64[us]"))


@pytest.mark.parametrize("column", [PLAN, Column("text")])
def test_what_means_no_value_is_no_code_where_none_may_be_missing(column: Column) -> None:
    array = codec(column, Source(missing=["", "NA"]))
    assert len(array(["basic", "N A"])) == 2
    for text in ("", " NA "):
        with pytest.raises(CellError):
            array(["basic", text])


def test_a_label_has_one_code_however_it_is_written() -> None:
    assert codec(CODE, Source())(["1001", "1077.0", " 1001. ", "7.0"]).tolist() == [0, 1, 0, 2]
