"""A contract that contradicts itself is refused."""

from typing import Any

import msgspec
import pytest

from mlops.contract import Column, Contract

FEATURE = {"a": {"type": "number"}}
BOOLEAN = {"y": {"type": "boolean", "role": "target"}}
NUMBER = {"y": {"type": "number", "role": "target"}}


def labels(*names: str) -> dict[str, Any]:
    return {"y": {"type": "category", "role": "target", "categories": list(names)}}


@pytest.mark.parametrize(
    ("task", "columns", "expected"),
    [
        ("binary", FEATURE | BOOLEAN, ("false", "true")),
        ("binary", FEATURE | labels("no", "yes"), ("no", "yes")),
        ("multiclass", FEATURE | labels("a", "b", "c"), ("a", "b", "c")),
        ("regression", FEATURE | NUMBER, ()),
    ],
)
def test_labels_follow_from_the_target(
    task: str, columns: dict[str, Any], expected: tuple[str, ...]
) -> None:
    contract = msgspec.convert({"name": "t", "task": task, "columns": columns}, Contract)
    assert contract.labels == expected
    assert contract.target == "y"


@pytest.mark.parametrize(
    ("task", "columns", "said"),
    [
        ("binary", FEATURE, "exactly one column needs the role target"),
        ("binary", BOOLEAN, "no column has the role feature"),
        ("binary", FEATURE | NUMBER, "binary needs"),
        ("multiclass", FEATURE | labels("a", "b"), "three or more"),
        ("regression", FEATURE | BOOLEAN, "regression needs a number"),
        ("regression", FEATURE | {"y": {**NUMBER["y"], "nullable": True}}, "nullable"),
        ("regression", FEATURE | NUMBER | {"row_hash": {"type": "text"}}, "rename that column"),
        (
            "regression",
            FEATURE | {"y": {**NUMBER["y"], "role": ["target", "feature"]}},
            "cannot also be a feature",
        ),
    ],
)
def test_contradicting_contract(task: str, columns: dict[str, Any], said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert({"name": "t", "task": task, "columns": columns}, Contract)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ({"type": "category"}, "must list at least one"),
        ({"type": "text", "units": {"%": 1}}, "`units` belongs to the types number"),
        ({"type": "number", "units": {"%": 0}}, "a factor above 0"),
        ({"type": "number", "missing": ["-200"]}, "set `nullable: true` with it"),
        ({"type": "number", "categories": ["a"]}, "belongs to type category"),
        ({"type": "category", "categories": ["a", "a"]}, "twice"),
        ({"type": "boolean", "min": 0}, "belong to the types number"),
        ({"type": "number", "min": 2, "max": 1}, "above"),
        ({"type": "number", "rolle": "id"}, "unknown field"),
    ],
)
def test_contradicting_column(column: dict[str, Any], said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(column, Column)


def test_a_column_may_have_two_roles() -> None:
    columns = FEATURE | BOOLEAN | {"s": {"type": "boolean", "role": ["feature", "sensitive"]}}
    contract = msgspec.convert({"name": "t", "task": "binary", "columns": columns}, Contract)
    assert contract.names("feature") == ("a", "s")
    assert contract.names("sensitive") == ("s",)


def test_a_column_that_is_ignored_may_have_any_name() -> None:
    columns = FEATURE | BOOLEAN | {"row_hash": {"type": "text", "role": "ignored"}}
    assert msgspec.convert({"name": "t", "task": "binary", "columns": columns}, Contract)
