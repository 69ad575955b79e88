import pytest

from mlops.amounts import number, split


@pytest.mark.parametrize(
    ("text", "decimal", "expected"),
    [
        ("$1,200", ".", (1200.0, "$")),
        ("1 234,5 €", ",", (1234.5, "€")),
        ("-$5", ".", (-5.0, "$")),
        ("$-5", ".", (-5.0, "$")),
        ("(1,234.50)", ".", (-1234.5, "")),
        ("\u2212 3", ".", (-3.0, "")),
        ("Rs. 500", ".", (500.0, "Rs.")),
        ("1'000", ".", (1000.0, "")),
        (".5%", ".", (0.5, "%")),
        ("23.4 km/h", ".", (23.4, "km/h")),
    ],
)
def test_splits_a_number_from_its_unit(text: str, decimal: str, expected: object) -> None:
    assert split(text, decimal) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "$$$",
        "007",
        "1,23",
        "12,34,567",
        "1e5",
        "5-10",
        "12:30",
        "10+ years",
        "(5",
        "-(5)",
        "1.2.3",
    ],
)
def test_what_is_no_number_with_a_unit_is_none(text: str) -> None:
    assert split(text, ".") is None


def test_the_decimal_mark_decides_what_groups_digits() -> None:
    assert split("1.234", ".") == (1.234, "")
    assert split("1.234", ",") == (1234.0, "")
    assert split("2.2", ",") is None


def test_a_unit_counts_by_its_factor_and_an_undeclared_one_not_at_all() -> None:
    units = {"months": 1.0, "years": 12.0}
    assert number("2 years", units, ".") == 24
    assert number("7", units, ".") == 7
    assert number("2 weeks", units, ".") is None
