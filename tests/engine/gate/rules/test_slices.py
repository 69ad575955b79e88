from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlops.gate.rule import Finding, PolicyError, configured
from mlops.gate.rules.slices import Slices, holm, loss_probability
from mlops.metrics.bootstrap import Estimate

SUPPORT = {"min_rows": 100, "min_class_rows": 10, "max_categories": 12, "required": []}


def rule(**changes: Any) -> Slices:
    return Slices(**({"metric": "roc_auc"} | SUPPORT | changes))


def spoiled(case: Any, column: str, code: float, seed: int = 1) -> np.ndarray:
    """Return the candidate's answers, shuffled among the rows of one slice."""
    answers = case.candidate.predictions.copy()
    rows = np.flatnonzero(case.columns[column] == code)
    answers[rows] = answers[np.random.default_rng(seed).permutation(rows)]
    return answers


def by_part(found: list[Finding]) -> dict[str, str]:
    return {one.part: one.verdict for one in found}


def test_a_floor_names_the_slice_below_it(workshop: Any, answered: Callable[..., Any]) -> None:
    case = workshop.case()
    assert set(by_part(rule(at_least=0.7).judge(case)).values()) == {"passed", "not applicable"}
    bad = replace(case, candidate=answered(case, spoiled(case, "plan", 2)))
    found = by_part(rule(at_least=0.6).judge(bad))
    assert [part for part, verdict in found.items() if verdict == "rejected"] == ["plan=max"]


def test_a_ceiling_works_the_other_way(workshop: Any) -> None:
    case = workshop.case("regression")
    for limit, verdict in ((2.0, "passed"), (0.5, "rejected")):
        assert verdict in by_part(rule(metric="rmse", at_most=limit).judge(case)).values()
    assert "rejected" not in by_part(rule(metric="rmse", at_most=2.0).judge(case)).values()


@pytest.mark.parametrize(("task", "metric"), [("binary", "roc_auc"), ("multiclass", "log_loss")])
def test_a_slice_that_loses_is_found_among_the_others(
    workshop: Any, answered: Callable[..., Any], task: str, metric: str
) -> None:
    case = workshop.case(task)
    case = replace(case, champion=case.candidate)
    same = by_part(rule(metric=metric, margin=0.0).judge(case))
    assert set(same.values()) == {"passed", "not applicable"}
    worse = replace(case, candidate=answered(case, spoiled(case, "plan", 2)))
    found = rule(metric=metric, margin=0.0).judge(worse)
    assert by_part(found)["plan=max"] == "rejected"
    assert by_part(found)["plan=basic"] == "passed"
    (loss,) = [one for one in found if one.part == "plan=max"]
    assert loss.high < 0
    better = replace(worse, candidate=case.candidate, champion=worse.candidate)
    assert "rejected" not in by_part(rule(metric=metric, margin=0.0).judge(better)).values()


def test_a_margin_allows_a_loss(workshop: Any, answered: Callable[..., Any]) -> None:
    case = workshop.case()
    worse = answered(case, spoiled(case, "plan", 2))
    case = replace(case, candidate=worse, champion=case.candidate)
    assert "rejected" in by_part(rule(margin=0.05).judge(case)).values()
    assert "rejected" not in by_part(rule(margin=0.9).judge(case)).values()


def test_small_slices_are_named_and_required_ones_rejected(workshop: Any) -> None:
    case = workshop.case()
    found = rule(at_least=0.5, min_rows=400).judge(case)
    assert by_part(found)["plan=max"] == "not applicable"
    assert by_part(found)["gender=x"] == "not applicable"
    required = ["plan=max", "plan=basic", "plan=(missing)", "planet=earth"]
    found = rule(at_least=0.5, min_rows=400, required=required).judge(case)
    rejected = {part for part, verdict in by_part(found).items() if verdict == "rejected"}
    assert rejected == {"plan=max", "plan=(missing)", "planet=earth"}


def test_a_binary_slice_needs_rows_of_both_classes(workshop: Any) -> None:
    case = workshop.case()
    target = case.target.copy()
    target[np.flatnonzero(case.columns["plan"] == 2)[5:]] = 0
    found = rule(at_least=0.5, required=["plan=max"]).judge(replace(case, target=target))
    assert by_part(found)["plan=max"] == "rejected"
    assert "too few" in next(one.reason for one in found if one.part == "plan=max")


def test_nothing_to_judge_is_rejected_but_a_contract_without_labels_is_not_concerned(
    workshop: Any,
) -> None:
    case = workshop.case()
    found = rule(at_least=0.5, min_rows=10_000).judge(case)
    assert found[-1].verdict == "rejected"
    assert "no slice" in found[-1].reason
    numbers = {name: {"role": "id"} for name in ("plan", "member", "gender")}
    found = rule(at_least=0.5).judge(workshop.case(declare=numbers))
    assert [one.verdict for one in found] == ["not applicable"]


def test_without_a_champion_the_floor_alone_decides(workshop: Any) -> None:
    case = workshop.case()
    assert "passed" in by_part(rule(at_least=0.5, margin=0.0).judge(case)).values()
    found = rule(margin=0.0).judge(case)
    assert {one.verdict for one in found} == {"not applicable"}


def test_an_undefined_slice_is_rejected(workshop: Any) -> None:
    case = workshop.case()
    target = np.where(case.columns["plan"] == 2, 0, case.target)
    case = replace(case, target=target, champion=case.candidate)
    for limits in ({"at_least": 0.0}, {"margin": 0.5}):
        found = rule(min_class_rows=0, **limits).judge(case)
        assert by_part(found)["plan=max"] == "rejected"


def test_holm_multiplies_the_smallest_most() -> None:
    corrected = holm(np.array([0.04, 0.01, 0.03, np.nan]))
    assert corrected[:3] == pytest.approx([0.09, 0.04, 0.09])
    assert np.isnan(corrected[3])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


def test_the_p_value_of_a_loss() -> None:
    draws = np.array([-1.0, 1.0] * 50)
    error = draws.std(ddof=1)
    found = Estimate(-1.6449 * error, -1, 1)
    assert loss_probability(found, draws, 0.0) == pytest.approx(0.05, abs=1e-4)
    assert loss_probability(found, draws, 1.6449 * error) == pytest.approx(0.5)
    assert loss_probability(Estimate(0, 0, 0), np.zeros(9), 0.0) == 1.0
    assert loss_probability(Estimate(-0.1, 0, 0), np.zeros(9), 0.0) == 0.0
    assert np.isnan(loss_probability(Estimate(0, np.nan, 0), draws, 0.0))


def test_looking_at_many_slices_raises_no_false_alarms(
    workshop: Any, answered: Callable[..., Any]
) -> None:
    case = workshop.case(rows=1000)
    alarms = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        target = generator.integers(0, 2, 1000)
        columns = {
            name: generator.integers(0, 2, 1000) + 0.0 for name in ("plan", "member", "gender")
        }
        columns["household"] = np.arange(1000)
        models = [
            answered(case, 1 / (1 + np.exp(-target - generator.normal(scale=1.2, size=1000))))
            for _ in range(2)
        ]
        judged = replace(
            case,
            columns=columns,
            target=target,
            candidate=models[0],
            champion=models[1],
            seed=seed,
        )
        alarms += "rejected" in by_part(rule(margin=0.0).judge(judged)).values()
    assert alarms <= 9  # 5 % of 60 is 3, and without the correction these seeds give 18


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"at_least": 0.1, "at_most": 0.2},
        {"margin": -0.1},
        {"at_least": float("nan")},
        {"margin": 0.1, "min_rows": 0},
        {"margin": 0.1, "max_categories": 0},
        {"margin": 0.1, "min_class_rows": -1},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        configured("slices", {"metric": "roc_auc", **SUPPORT, **changes})


def test_a_ceiling_of_nothing_is_a_ceiling(workshop: Any) -> None:
    found = rule(metric="rmse", at_most=0.0).judge(workshop.case("regression"))
    assert {one.threshold for one in found if one.verdict == "rejected"} == {0.0}


@pytest.mark.parametrize(
    "changes",
    [
        {"margin": 0.0},
        {"margin": 0.0, "min_rows": 1, "max_categories": 1, "min_class_rows": 0},
        {"at_most": 0.0, "margin": 0.0},
    ],
)
def test_limits_themselves_are_taken(changes: dict[str, Any]) -> None:
    assert configured("slices", {"metric": "roc_auc", **SUPPORT, **changes}) is not None


def test_a_loss_is_told_with_its_figures(workshop: Any, answered: Callable[..., Any]) -> None:
    case = workshop.case()
    case = replace(
        case, candidate=answered(case, spoiled(case, "plan", 2)), champion=case.candidate
    )
    found = rule(margin=0.05).judge(case)
    (loss,) = [one for one in found if one.part == "plan=max"]
    rows = int((case.columns["plan"] == 2).sum())
    assert loss.threshold == -0.05
    assert loss.low < loss.value < loss.high
    assert f"ROC AUC gained on {rows} rows is {loss.value:.4g}" in loss.reason
    assert "for a loss beyond 0.05" in loss.reason
    assert all(one.threshold == -0.05 for one in found if one.verdict == "passed")


def test_a_floor_is_for_the_figure_and_not_for_its_bound(workshop: Any) -> None:
    case = workshop.case()
    found = rule(at_least=0.5).judge(case)
    (plan,) = [one for one in found if one.part == "plan=max"]
    again = rule(at_least=(plan.low + plan.value) / 2).judge(case)
    assert by_part(again)["plan=max"] == "passed"
