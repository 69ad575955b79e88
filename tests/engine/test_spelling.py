"""A label is the same however a program writes it, and no other one is taken for it."""

import pytest

from mlops.spelling import Spellings


@pytest.mark.parametrize(
    ("labels", "text", "meant"),
    [
        (["1001", "1077"], "1001.0", "1001"),
        (["1001", "1077"], "1001.000", "1001"),
        (["1001", "1077"], "1001.", "1001"),
        (["1.5", "2.0"], "1.50", "1.5"),
        (["1.5", "2.0"], "2.", "2.0"),
        (["-1", "0"], "-1.0", "-1"),
        (["false", "true"], "True", "true"),
        (["False", "True"], "true", "True"),
    ],
)
def test_another_spelling(labels: list[str], text: str, meant: str) -> None:
    assert Spellings(labels).meant(text) == meant


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (["007", "008"], "7.0"),
        (["7"], "007"),
        (["1001"], "1001.5"),
        (["1001"], "1001,0"),
        (["1", "1.0"], "1.00"),
        (["yes", "no"], "Yes"),
        (["1000"], "1e3"),
        (["1"], "\u0661.0"),
    ],
)
def test_another_label(labels: list[str], text: str) -> None:
    assert Spellings(labels).meant(text) == text


def test_decimal_comma() -> None:
    spellings = Spellings(["1001", "2,5"], ",")
    assert [spellings.meant(text) for text in ("1001,0", "2,50", "1.001")] == [
        "1001",
        "2,5",
        "1.001",
    ]
