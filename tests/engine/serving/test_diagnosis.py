"""The first thing that is wrong with a body is said, and nothing that was sent is quoted."""

import json
from typing import Any

import pytest

from mlops.contract import Column
from mlops.serving.diagnosis import diagnose
from mlops.serving.problem import Problem

COLUMNS = {
    "fee": Column("number"),
    "calls": Column("integer", nullable=True),
    "plan": Column("category", categories=["basic", "plus"]),
}
GOOD = {"fee": 1.5, "calls": None, "plan": "basic"}


def found(body: Any, **options: Any) -> Problem:
    text = body if isinstance(body, str) else json.dumps(body)
    problem = diagnose(text.encode(), COLUMNS, **options)
    assert problem is not None
    return problem


@pytest.mark.parametrize("body", [GOOD, [GOOD], [GOOD, GOOD | {"calls": 3.0}]])
def test_good_rows_have_nothing_wrong(body: Any) -> None:
    assert diagnose(json.dumps(body).encode(), COLUMNS) is None


def test_first_of_several_is_said() -> None:
    problem = found([GOOD, GOOD | {"fee": "x", "calls": "y"}, {}])
    assert (problem.row, problem.field) == (1, "fee")


def test_place_of_broken_json_is_said() -> None:
    assert found('{"fee": 1,}').detail.endswith("at character 10")


def test_constant_is_named() -> None:
    problem = found([GOOD, GOOD | {"calls": float("nan")}])
    assert problem.detail == "calls must be null or a whole number: JSON has no NaN"


def test_long_name_is_cut() -> None:
    problem = found(GOOD | {"x" * 1000: 1})
    assert problem.field == "x" * 80 + "…"


def test_unseen_category_is_wrong_only_where_it_is_refused() -> None:
    other = json.dumps(GOOD | {"plan": "other"})
    assert diagnose(other.encode(), COLUMNS) is None
    assert found(other, unseen="refuse").detail == "plan must be one of basic, plus"


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("value", ["secret", ["secret"], {"secret": 1}])
def test_no_value_is_quoted(column: str, value: Any) -> None:
    problem = diagnose(json.dumps(GOOD | {column: value}).encode(), COLUMNS, "refuse")
    assert problem is not None
    assert "secret" not in json.dumps(problem.content())


def test_a_field_that_is_missing_is_named_in_the_sentence() -> None:
    assert found({"fee": 1.5, "plan": "basic"}).detail == (
        "calls is missing: every field is required, and may be null"
    )
    problem = found([GOOD, {"calls": 1, "plan": "basic"}])
    assert (problem.detail, problem.field) == ("fee is missing: every field is required", "fee")


def test_a_number_in_quotes_is_refused_with_how_to_write_it_and_not_repeated() -> None:
    said = found(GOOD | {"fee": "61,99"}).detail
    assert said == (
        "fee must be a number, not a string: JSON numbers have no quotes, like 58.78, with a "
        "decimal point"
    )
    assert diagnose(json.dumps(GOOD | {"fee": 61.99}).encode(), COLUMNS) is None  # the remedy
