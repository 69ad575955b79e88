import pandas as pd
import pytest

from mlops.adoption.scarcity import scarcity, tells
from mlops.adoption.statistics import Statistics
from mlops.contract import Column, Contract, Source


def said(values: list[str], column: Column, task: str) -> list[str]:
    contract = Contract("t", task, {"y": column, "x": Column("number")})  # type: ignore[arg-type]
    return scarcity(Statistics("y", pd.Series(values, dtype="str"), Source(format="csv")), contract)


def labels(*names: str) -> Column:
    return Column("category", role="target", categories=list(names))


def test_a_rare_class_is_named_with_what_would_be_enough() -> None:
    (told,) = said(["no"] * 1994 + ["yes"] * 6, labels("no", "yes"), "binary")
    assert told == (
        "y is 'yes' in 6 of 2,000 rows: the holdout would have about 1 of 'yes', too few to tell "
        "one model from another; 100 rows of each class would be enough"
    )


def test_of_many_rare_classes_the_rarest_are_named() -> None:
    values = [
        name for name, rows in zip("abcde", (500, 40, 30, 20, 10), strict=True) for _ in range(rows)
    ]
    (told,) = said(values, labels(*"abcde"), "multiclass")
    assert "y is 'e' in 10, 'd' in 20, 'c' in 30 of 600 rows, as are 1 more classes" in told


@pytest.mark.parametrize(("rows", "told"), [(249, 1), (250, 0)])
def test_a_number_needs_rows(rows: int, told: int) -> None:
    numbers = [str(row / 7) for row in range(rows)]
    assert len(said(numbers, Column("number", role="target"), "regression")) == told


def test_enough_is_not_mentioned() -> None:
    assert said(["no", "yes"] * 100, labels("no", "yes"), "binary") == []


def told(values: list[str], column: Column, task: str) -> str:
    contract = Contract("t", task, {"y": column, "x": Column("number")})  # type: ignore[arg-type]
    return tells(Statistics("y", pd.Series(values, dtype="str"), Source(format="csv")), contract)


def test_what_the_gate_can_tell_is_said_with_the_margin_to_propose() -> None:
    found = told(["no"] * 35_000 + ["yes"] * 15_000, labels("no", "yes"), "binary")
    assert (
        "about 10,000 rows hold out, 3,000 of the rarer label: they tell a loss of 0.021" in found
    )
    assert "in roc_auc, the margin to propose for non_inferiority in conf/gate" in found
    numbers = [str(row / 7) for row in range(5000)]
    found = told(numbers, Column("number", role="target"), "regression")
    assert "about 1,000 rows hold out: they tell a loss of 0.089 in r2" in found


def test_rows_that_can_tell_nothing_are_said_to() -> None:
    found = told(["no"] * 20 + ["yes"] * 4, labels("no", "yes"), "binary")
    assert "too few for the gate to tell any two models apart" in found
