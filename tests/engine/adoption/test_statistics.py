import datetime
from decimal import Decimal

import pandas as pd
import pytest

from mlops.adoption.statistics import Statistics, shortened
from mlops.contract import Source

CSV = Source(format="csv")


def facts(values: list[object], dtype: str | None = "str", name: str = "x") -> Statistics:
    return Statistics(name, pd.Series(values, dtype=dtype), CSV)


@pytest.mark.parametrize("values", [["1", "2.5"], ["1e3", "-.5"], ["7", None]])
def test_texts_can_be_numbers(values: list[object]) -> None:
    assert facts(values).numeric


@pytest.mark.parametrize(
    "values",
    [["00712", "1"], ["1_000", "2"], ["0x1F", "2"], ["1,234", "2"], ["inf", "1"], [str(10**17)]],
)
def test_what_only_looks_like_a_number_is_none(values: list[object]) -> None:
    assert not facts(values).numeric


def test_a_decimal_comma_does_not_make_numbers_of_dates() -> None:
    source = Source(format="csv", decimal=",")
    assert Statistics("x", pd.Series(["1,5", "1.234,5"], dtype="str"), source).numeric
    assert not Statistics("x", pd.Series(["1.2.2020", "3.4.2020"], dtype="str"), source).numeric


@pytest.mark.parametrize(
    ("values", "dtype", "integral"),
    [
        (["3", "4"], "str", True),
        (["3.0", "4.0"], "str", False),
        (["3.0", None], "str", True),
        ([3.0, 4.0], "float64", False),
        ([3.0, None], "float64", True),
        ([3, 4], "int64", True),
        ([Decimal("1.5")], "object", False),
    ],
)
def test_blanks_make_floats_of_integers(values: list[object], dtype: str, integral: bool) -> None:
    assert facts(values, dtype).integral is integral


@pytest.mark.parametrize("values", [["yes", "No"], ["t", "f"], ["Y", None], ["TRUE", "false"]])
def test_words_can_be_booleans(values: list[object]) -> None:
    assert facts(values).boolean
    assert not facts(["0", "1"]).boolean


def test_reads_objects_of_parquet() -> None:
    assert facts([True, None], "object").boolean
    assert facts([datetime.date(2020, 1, 1)], "object").moment is not None
    assert facts([[1], [2]], "object").unreadable
    assert facts([pd.Timedelta("1s")], None).unreadable


def test_takes_a_whole_number_for_a_date_only_where_it_is_called_one() -> None:
    assert facts(["20200131"], name="sale_date").moment is not None
    assert facts(["20200131"], name="amount").moment is None


def test_words_of_a_name_and_labels_in_order() -> None:
    assert facts(["a"], name="customerId_2").words == {"customer", "id"}
    assert facts(["10", "9", "9"]).labels == ["9", "10"]
    assert shortened("x" * 40) == repr("x" * 29 + "…")
