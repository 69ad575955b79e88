from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from mlops.gate.rule import PolicyError, configured
from mlops.gate.rules.expectation import Expectation


def rule(column: str, change: dict[str, Any], prediction: str, **changes: Any) -> Expectation:
    section = {"column": column, "change": change, "prediction": prediction}
    found = configured("expectation", section | {"share": 0.9, "tolerance": 0.02} | changes)
    assert isinstance(found, Expectation)
    return found


@pytest.mark.parametrize(
    ("column", "change", "right", "wrong"),
    [
        ("calls", {"add": 3}, "increases", "decreases"),
        ("calls", {"multiply": 0.5}, "decreases", "increases"),
        ("member", {"set": True}, "decreases", "unchanged"),
        ("gender", {"set": "f"}, "unchanged", "increases"),
        ("calls", {"set": 0}, "decreases", "unchanged"),
    ],
)
def test_a_model_obeys_the_world_it_learnt(
    workshop: Any, column: str, change: dict[str, Any], right: str, wrong: str
) -> None:
    case = workshop.case()
    (found,) = rule(column, change, right).judge(case)
    assert (found.verdict, found.part, found.threshold) == ("passed", column, 0.9)
    assert rule(column, change, wrong).judge(case)[0].verdict == "rejected"


def test_regressions_and_single_classes(workshop: Any) -> None:
    add = {"add": 2}
    assert rule("calls", add, "increases").judge(workshop.case("regression"))[0].verdict == "passed"
    case = workshop.case("multiclass")
    for label, prediction in (("a", "increases"), ("b", "decreases")):
        assert rule("calls", add, prediction, label=label).judge(case)[0].verdict == "passed"
    for label in (None, "z"):
        with pytest.raises(ValueError, match="one of a, b, c"):
            rule("calls", add, "increases", label=label).judge(case)
    with pytest.raises(ValueError, match="three or more"):
        rule("calls", add, "increases", label="a").judge(workshop.case())


def test_a_constant_model_neither_rises_nor_falls(workshop: Any) -> None:
    case = with_answer(workshop.case(), lambda matrix: np.full(len(matrix), 0.5))
    for prediction, verdict in (
        ("increases", "rejected"),
        ("decreases", "rejected"),
        ("unchanged", "passed"),
    ):
        assert rule("calls", {"add": 1}, prediction).judge(case)[0].verdict == verdict


def with_answer(case: Any, answer: Callable[[np.ndarray], np.ndarray]) -> Any:
    """Return the case with a candidate that answers so."""
    bundle = case.candidate.bundle
    model = bundle.model._replace(answer=answer)
    bundle = msgspec.structs.replace(bundle, model=model)
    predictions = model.predict(case.matrix)
    return replace(case, candidate=replace(case.candidate, bundle=bundle, predictions=predictions))


def test_rows_that_leave_the_contract_do_not_count(workshop: Any) -> None:
    case = workshop.case("regression")
    seen: list[int] = []

    def first(matrix: np.ndarray) -> np.ndarray:
        seen.append(len(matrix))
        return matrix[:, 0].astype(float)

    case = with_answer(case, first)
    calls, usage = case.columns["calls"], case.columns["usage"]
    (found,) = rule("calls", {"add": 4}, "increases").judge(case)
    assert (found.verdict, found.value, seen[-1]) == ("passed", 1.0, (calls <= 6).sum())
    rule("calls", {"add": -4}, "decreases").judge(case)
    assert seen[-1] == (calls >= 4).sum()
    rule("usage", {"add": 1}, "unchanged").judge(case)
    assert seen[-1] == (~np.isnan(usage)).sum()
    rule("usage", {"set": 0}, "unchanged").judge(case)
    assert seen[-1] == len(usage)
    rule("plan", {"set": "basic"}, "unchanged").judge(case)
    assert seen[-1] == (case.columns["plan"] != 0).sum()


def test_share_and_tolerance_are_limits(workshop: Any) -> None:
    case = workshop.case("regression")
    case.columns["calls"][:] = 5.0
    case.columns["calls"][:300] = 1.0
    case = with_answer(case, lambda m: np.where(m[:, 0] == 6, 4.5, m[:, 0]).astype(float))
    (found,) = rule("calls", {"add": 1}, "increases", share=0.2, tolerance=0.1).judge(case)
    assert (found.verdict, found.value) == ("rejected", 0.2)  # on average it falls
    for tolerance, value in ((0.5, 0.8), (0.4, 0.0), (1.0, 1.0)):
        section = {"share": 0.8, "tolerance": tolerance}
        (found,) = rule("calls", {"add": 1}, "unchanged", **section).judge(case)
        assert found.value == value
        assert found.verdict == ("passed" if value >= 0.8 else "rejected")
    for share, verdict in ((0.8, "passed"), (0.81, "rejected")):
        (found,) = rule("calls", {"add": 1}, "decreases", share=share, tolerance=0.0).judge(case)
        assert (found.value, found.verdict) == (0.8, verdict)


def test_nothing_to_check_is_rejected(workshop: Any) -> None:
    case = workshop.case()
    assert rule("moon", {"add": 1}, "increases").judge(case)[0].verdict == "rejected"
    assert rule("calls", {"add": 11}, "increases").judge(case)[0].verdict == "rejected"
    assert rule("calls", {"set": 11}, "increases").judge(case)[0].verdict == "rejected"
    assert rule("calls", {"add": 0}, "unchanged").judge(case)[0].verdict == "rejected"
    lost = with_answer(case, lambda matrix: np.full(len(matrix), np.nan))
    assert rule("calls", {"add": 1}, "unchanged").judge(lost)[0].verdict == "rejected"


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("plan", {"set": "gold"}),
        ("plan", {"add": 1}),
        ("member", {"multiply": 2}),
        ("member", {"set": "yes"}),
        ("member", {"set": 1}),
        ("calls", {"set": True}),
        ("calls", {"set": "many"}),
    ],
)
def test_changes_that_the_column_cannot_take_are_errors(
    workshop: Any, column: str, change: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"none of|no sum|no value"):
        rule(column, change, "unchanged").judge(workshop.case())


@pytest.mark.parametrize(
    "changes",
    [
        {"change": {}},
        {"change": {"add": 1, "set": 2}},
        {"change": {"add": float("inf")}},
        {"change": {"halve": 1}},
        {"share": 0},
        {"share": 1.1},
        {"tolerance": -0.1},
        {"prediction": "stays"},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    section = {"column": "x", "change": {"add": 1}, "prediction": "increases"}
    section |= {"share": 1, "tolerance": 0}
    assert configured("expectation", section) is not None
    with pytest.raises(PolicyError):
        configured("expectation", section | changes)


@pytest.mark.parametrize("kind", ["datetime", "text"])
def test_a_column_without_numbers_cannot_be_changed(workshop: Any, kind: str) -> None:
    case = workshop.case(declare={"household": {"type": kind}})
    with pytest.raises(ValueError, match=f"a {kind} cannot be changed"):
        rule("household", {"set": "x"}, "unchanged").judge(case)


def test_an_integer_has_sums_and_products(workshop: Any) -> None:
    case = workshop.case(declare={"calls": {"type": "integer"}})
    case = with_answer(case, lambda matrix: matrix[:, 0].astype(float) / 100)
    assert rule("calls", {"add": 1}, "increases").judge(case)[0].verdict == "passed"
    assert rule("calls", {"multiply": 0.5}, "decreases").judge(case)[0].verdict == "passed"


def test_a_column_that_one_side_lacks_is_rejected(workshop: Any) -> None:
    case = workshop.case()
    less = {name: values for name, values in case.columns.items() if name != "calls"}
    more = case.columns | {"moon": case.columns["calls"]}
    for name, columns in (("calls", less), ("moon", more)):
        (found,) = rule(name, {"add": 1}, "increases").judge(replace(case, columns=columns))
        assert (found.verdict, found.part) == ("rejected", name)
        assert "no such column" in found.reason


def test_what_rejects_says_why(workshop: Any) -> None:
    case = workshop.case()
    (found,) = rule("calls", {"add": 11}, "increases").judge(case)
    assert (found.part, found.reason) == ("calls", "the change alters no row within bounds")
    lost = with_answer(case, lambda matrix: np.full(len(matrix), np.nan))
    (found,) = rule("calls", {"add": 1}, "unchanged").judge(lost)
    assert (found.part, found.reason) == ("calls", "a prediction is no finite number")
