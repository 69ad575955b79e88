from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlops.gate.rule import PolicyError, configured
from mlops.gate.rules.value import Outcomes, Value, best_threshold

TABLE = {
    "true_positive": 10.0,
    "false_positive": -5.0,
    "true_negative": 0.0,
    "false_negative": -2.0,
}


def rule(**changes: Any) -> Value:
    section = {"outcomes": TABLE, "currency": "EUR", "sides": "two"} | changes
    found = configured("value", section)
    assert isinstance(found, Value)
    return found


def test_good_decisions_pay_and_random_ones_do_not(
    workshop: Any, answered: Callable[..., Any]
) -> None:
    case = workshop.case()
    random = answered(case, np.random.default_rng(1).random(len(case.target)))
    (good,) = rule(at_least=2.0).judge(case)
    (bad,) = rule(at_least=2.0).judge(replace(case, candidate=random))
    assert (good.verdict, good.part, bad.verdict) == ("passed", "candidate", "rejected")
    assert good.low < good.value < good.high
    assert "EUR" in good.reason


def test_money_is_compared_on_the_same_rows(workshop: Any, answered: Callable[..., Any]) -> None:
    case = workshop.case()
    random = answered(case, np.random.default_rng(1).random(len(case.target)))
    (better,) = rule(margin=0.0).judge(replace(case, champion=random))
    (worse,) = rule(margin=0.5).judge(replace(case, candidate=random, champion=case.candidate))
    (same,) = rule(margin=0.0).judge(replace(case, champion=case.candidate))
    assert [f.verdict for f in (better, worse, same)] == ["passed", "rejected", "passed"]
    assert (same.value, same.low, same.high, same.part) == (0, 0, 0, "champion")
    (allowed,) = rule(margin=9.0).judge(replace(case, candidate=random, champion=case.candidate))
    assert (allowed.verdict, allowed.threshold) == ("passed", -9.0)


def test_a_table_judges_each_model_by_the_threshold_that_it_serves(
    workshop: Any, answered: Callable[..., Any]
) -> None:
    case = workshop.case()
    labels = case.settings.data.labels
    table = {
        "currency": "EUR",
        "actions": {
            "nothing": {"brings": dict(zip(labels, (0, -2), strict=True))},
            "call": {"brings": dict(zip(labels, (0, 15), strict=True)), "cost": 5},
        },
    }
    given = {"outcomes": None, "currency": "", "table": table}
    (found,) = rule(**given, at_least=-9.0).judge(case)
    limit = case.candidate.bundle.settings.evaluation.threshold
    acted = case.candidate.predictions > limit
    worth = np.where(case.target == 1, np.where(acted, 10, -2), np.where(acted, -5, 0))
    assert found.value == pytest.approx(worth.mean())
    assert f"EUR (thresholds {limit:.3g})" in found.reason
    random = answered(case, np.random.default_rng(1).random(len(case.target)))
    (worse,) = rule(**given, margin=0.1).judge(
        replace(case, candidate=random, champion=case.candidate)
    )
    assert worse.verdict == "rejected"


def test_one_sided_intervals_doubt_less(workshop: Any, answered: Callable[..., Any]) -> None:
    case = workshop.case()
    case = replace(case, champion=answered(case, case.candidate.predictions**3 * 0.9))
    case = replace(case, candidate=answered(case, np.random.default_rng(1).random(1500)))
    one, two = (rule(margin=0.0, sides=s).judge(case)[0] for s in ("one", "two"))
    assert two.low < one.low


def test_a_useless_model_does_not_seem_useful(workshop: Any, answered: Callable[..., Any]) -> None:
    fair = {"true_positive": 1.0, "false_positive": -1.0, "true_negative": 0, "false_negative": 0}
    case = workshop.case(rows=60)
    found = []
    for seed in range(100):
        generator = np.random.default_rng(seed)
        target = np.arange(60) % 2
        random = answered(case, generator.random(60))
        guessed = replace(case, target=target, candidate=random, seed=seed)
        found.append(rule(outcomes=fair, at_least=-9.0).judge(guessed)[0].value)
    assert abs(np.mean(found)) < 0.05  # with the threshold of the same rows it would be 0.07


def test_the_best_threshold_is_the_one_of_a_search() -> None:
    generator = np.random.default_rng(1)
    outcomes = Outcomes(**TABLE)
    for _ in range(50):
        sure = generator.integers(0, 8, 30) / 8
        target = (generator.random(30) < sure).astype(int)
        positive, negative = outcomes.gains(target)
        limits = [*np.unique(sure), np.inf]
        worth = [np.where(sure >= limit, positive, negative).sum() for limit in limits]
        found = best_threshold(sure, positive, negative)
        assert np.where(sure >= found, positive, negative).sum() == max(worth)
    assert best_threshold(np.array([0.9, 0.8]), np.zeros(2), np.ones(2)) == np.inf


def test_gains_are_those_of_the_table() -> None:
    positive, negative = Outcomes(**TABLE).gains(np.array([1, 0]))
    assert (positive.tolist(), negative.tolist()) == ([10, -5], [-2, 0])


def test_groups_are_not_divided(workshop: Any) -> None:
    case = workshop.case(declare={"household": {"role": "group"}})
    from mlops.gate.rules.value import _halves

    second = _halves(case).reshape(-1, 4)
    assert (second == second[:, :1]).all()
    assert 150 < second[:, 0].sum() < 225


def test_what_it_does_not_concern(workshop: Any) -> None:
    assert rule(at_least=0.0).judge(workshop.case("regression"))[0].verdict == "not applicable"
    (found,) = rule(margin=0.0).judge(workshop.case())
    assert found.reason == "there is no champion yet"


def test_answers_that_are_no_probabilities_are_errors(
    workshop: Any, answered: Callable[..., Any]
) -> None:
    case = workshop.case()
    for answers in (np.full(1500, np.nan), np.full(1500, 3.0), np.full(10, 0.5)):
        with pytest.raises(Exception, match="predictions"):
            rule(at_least=0.0).judge(replace(case, candidate=answered(case, answers)))
    with pytest.raises(ValueError, match="halved"):
        first = {name: values[:1] for name, values in case.columns.items()}
        answers = answered(case, np.full(1, 0.5))
        one = replace(case, columns=first, target=case.target[:1], candidate=answers)
        rule(at_least=0.0).judge(one)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"margin": -1},
        {"at_least": float("nan")},
        {"at_least": 0, "outcomes": TABLE | {"true_positive": float("inf")}},
        {"at_least": 0, "outcomes": {"true_positive": 1}},
        {"at_least": 0, "sides": "both"},
        {"at_least": 0, "outcomes": None},
        {"at_least": 0, "currency": ""},
        {"at_least": 0, "table": {"currency": "EUR", "actions": {}}},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        rule(**changes)
