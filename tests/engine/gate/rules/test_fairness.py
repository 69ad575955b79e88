from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlops.gate.rule import PolicyError, configured
from mlops.gate.rules.fairness import Fairness

SETTINGS: dict[str, Any] = {
    "at_most": 0.1,
    "min_rows": 100,
    "threshold": 0.5,
    "required": [],
    "by": "value",
}


def rule(measure: str, **changes: Any) -> Fairness:
    return Fairness(measure=measure, **(SETTINGS | changes))


def judged(rule: Fairness, case: Any) -> Any:
    """Return the finding on the column as a whole."""
    (found,) = [one for one in rule.judge(case) if one.part == "gender"]
    return found


@pytest.mark.parametrize(
    ("task", "measure"),
    [
        ("binary", "demographic_parity"),
        ("binary", "equalised_odds"),
        ("binary", "error_gap"),
        ("multiclass", "demographic_parity"),
        ("multiclass", "equalised_odds"),
        ("multiclass", "error_gap"),
        ("regression", "error_gap"),
    ],
)
def test_a_model_that_serves_one_group_worse_is_rejected(
    workshop: Any, answered: Callable[..., Any], task: str, measure: str
) -> None:
    case = workshop.case(task, rows=4000)
    assert judged(rule(measure), case).verdict == "passed"
    answers = case.candidate.predictions.copy()
    rows = case.columns["gender"] == 1
    if task == "regression":
        answers[rows] += 2
    elif task == "binary":
        answers[rows] *= 0.5
    else:
        answers[rows] = answers[rows] * 0.3 + [0.7, 0, 0]
    found = judged(rule(measure), replace(case, candidate=answered(case, answers)))
    assert found.verdict == "rejected"
    assert found.low < found.value < found.high


def test_the_gaps_are_those_of_the_tables(workshop: Any, answered: Callable[..., Any]) -> None:
    case = workshop.case(rows=400)
    group = np.repeat([0.0, 1.0], 200)
    target = np.tile(np.repeat([0, 1], 100), 2)
    said = np.zeros(400)
    said[:30], said[100:190] = 1, 1  # the first group: 30 % false, 90 % true positives
    said[200:210], said[300:350] = 1, 1  # the second: 10 % and 50 %
    columns = {"gender": group, "household": np.arange(400)}
    case = replace(case, columns=columns, target=target, candidate=answered(case, said * 0.8))
    for measure, gap in (("demographic_parity", 0.3), ("equalised_odds", 0.4), ("error_gap", 0.1)):
        assert judged(rule(measure), case).value == pytest.approx(gap)
    assert judged(rule("demographic_parity", threshold=0.9), case).value == 0


def test_a_regression_gap_is_a_share_of_the_error(
    workshop: Any, answered: Callable[..., Any]
) -> None:
    case = workshop.case("regression", rows=400)
    group, error = np.repeat([0.0, 1.0], 200), np.repeat([1.0, 3.0], 200)
    columns = {"gender": group, "household": np.arange(400)}
    case = replace(case, columns=columns, candidate=answered(case, case.target + error))
    assert judged(rule("error_gap"), case).value == pytest.approx(1.0)


def test_small_groups_are_named_and_required_ones_rejected(workshop: Any) -> None:
    case = workshop.case()
    found = {one.part: one.verdict for one in rule("error_gap").judge(case)}
    assert found == {"gender": "passed", "gender=x": "not applicable"}
    required = ["gender=x", "gender=(missing)", "gender=f"]
    found = {one.part: one.verdict for one in rule("error_gap", required=required).judge(case)}
    wanted = {"gender": "passed", "gender=x": "rejected", "gender=(missing)": "rejected"}
    assert found == wanted


def test_odds_need_rows_of_each_class(workshop: Any) -> None:
    case = workshop.case()
    target = case.target.copy()
    target[case.columns["gender"] == 1] = 0
    found = judged(rule("equalised_odds"), replace(case, target=target))
    assert found.verdict == "rejected"
    assert "two groups" in found.reason


def test_the_bound_is_stricter(workshop: Any) -> None:
    case = workshop.case()
    value, bound = (judged(rule("equalised_odds", by=by), case) for by in ("value", "bound"))
    assert value.value == bound.value < value.high
    between = (value.value + value.high) / 2
    for by, verdict in (("value", "passed"), ("bound", "rejected")):
        assert judged(rule("equalised_odds", by=by, at_most=between), case).verdict == verdict


def test_a_sensitive_number_is_cut_into_quarters(
    workshop: Any, answered: Callable[..., Any]
) -> None:
    case = workshop.case(declare={"usage": {"role": ["feature", "sensitive"]}})
    required = ["usage=(missing)"]
    parts = [one.part for one in rule("error_gap", required=required).judge(case)]
    assert "usage" in parts
    found = rule("error_gap", min_rows=1000).judge(case)
    bands = [one.part for one in found if one.part.startswith("usage=")]
    assert len(bands) == 5
    assert bands[-1] == "usage=(missing)"
    assert bands[0].startswith("usage=below -0.")
    assert bands[3].startswith("usage=from 0.")
    wrong = np.where(case.columns["usage"] > 0.8, 1 - case.target, case.target) * 0.9
    spoiled = replace(case, candidate=answered(case, wrong))
    verdicts = {one.part: one.verdict for one in rule("error_gap").judge(spoiled)}
    assert verdicts["usage"] == "rejected"


def test_what_it_does_not_concern(workshop: Any) -> None:
    (found,) = rule("equalised_odds").judge(workshop.case("regression"))
    assert found.verdict == "not applicable"
    (found,) = rule("error_gap").judge(workshop.case(declare={"gender": {"role": "id"}}))
    assert found.reason == "the contract has no sensitive column"


def test_a_column_cannot_stop_being_sensitive_unseen(workshop: Any) -> None:
    case = workshop.case(declare={"gender": {"role": "id"}})
    case = replace(case, champion=workshop.judged("binary", case.columns))
    (found,) = rule("error_gap").judge(case)
    assert (found.verdict, found.part) == ("rejected", "gender")


def test_a_sensitive_column_that_cannot_be_grouped_is_an_error(workshop: Any) -> None:
    case = workshop.case(declare={"household": {"type": "text", "role": "sensitive"}})
    with pytest.raises(ValueError, match="declare what is sensitive as a category"):
        rule("error_gap").judge(case)


@pytest.mark.parametrize(
    "changes",
    [{"at_most": -1}, {"min_rows": 0}, {"threshold": 1}, {"measure": "kindness"}, {"by": "eye"}],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    section = {"measure": "error_gap", **SETTINGS}
    assert configured("fairness", section) is not None
    with pytest.raises(PolicyError):
        configured("fairness", section | changes)


@pytest.mark.parametrize("changes", [{"at_most": 0}, {"min_rows": 1}])
def test_limits_themselves_are_taken(changes: dict[str, Any]) -> None:
    section = {"measure": "error_gap", **SETTINGS}
    assert configured("fairness", section | changes) is not None
