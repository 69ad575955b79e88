"""What the comparison with the champion lets through, and how often it errs."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlops.gate.case import Earlier
from mlops.gate.rule import PolicyError, configured
from mlops.gate.rules.comparison import EarlierChampions, NonInferiority, Superiority

AUC = {"roc_auc": 0.01}


def noisy(target: np.ndarray, spread: float, seed: int) -> np.ndarray:
    """Return the probabilities of a model that sees the target through noise."""
    generator = np.random.default_rng(seed)
    score = target + generator.normal(scale=spread, size=len(target))
    return 1 / (1 + np.exp(-score))


def test_the_better_of_two_models_passes_both_and_the_worse_neither(
    workshop: Any, answered: Callable[..., Any]
) -> None:
    case = workshop.case(rows=3000)
    better, worse = (answered(case, noisy(case.target, s, 1)) for s in (0.8, 1.2))
    rules = [NonInferiority(margins=AUC, sides="two"), Superiority(margins=AUC, sides="two")]
    for candidate, champion, verdict in (
        (better, worse, "passed"),
        (worse, better, "rejected"),
    ):
        judged = replace(case, candidate=candidate, champion=champion)
        for rule in rules:
            (found,) = rule.judge(judged)
            assert found.verdict == verdict
            assert found.part == "roc_auc"
            assert (found.value > 0) == (verdict == "passed")
            assert found.low < found.value < found.high


def test_the_same_model_is_not_inferior_and_not_superior(workshop: Any) -> None:
    case = workshop.case()
    case = replace(case, champion=case.candidate)
    margins = {"roc_auc": 0.0, "log_loss": 0.0}
    inferior = NonInferiority(margins=margins, sides="one").judge(case)
    superior = Superiority(margins=margins, sides="one").judge(case)
    assert [f.verdict for f in inferior] == ["passed", "passed"]
    assert [f.verdict for f in superior] == ["rejected", "rejected"]
    assert [(f.value, f.low, f.high) for f in superior] == [(0, 0, 0)] * 2


def test_less_loss_is_better(workshop: Any, answered: Callable[..., Any]) -> None:
    case = workshop.case("regression")
    champion = answered(case, case.candidate.predictions + 0.5)
    judged = replace(case, champion=champion)
    (found,) = Superiority(margins={"rmse": 0.02}, sides="two").judge(judged)
    assert found.verdict == "passed"
    assert found.value > 0.02
    assert found.threshold == 0.02


def test_the_margin_is_what_may_be_lost(workshop: Any, answered: Callable[..., Any]) -> None:
    case = workshop.case(rows=3000)
    champion = answered(case, noisy(case.target, 0.8, 1))
    judged = replace(case, candidate=answered(case, noisy(case.target, 1.2, 1)), champion=champion)
    (found,) = NonInferiority(margins={"roc_auc": 0.3}, sides="two").judge(judged)
    assert found.verdict == "passed"
    assert found.threshold == -0.3
    tight = NonInferiority(margins={"roc_auc": -found.value}, sides="two").judge(judged)
    assert tight[0].verdict == "rejected"


def test_one_side_is_less_strict_than_two(workshop: Any, answered: Callable[..., Any]) -> None:
    case = workshop.case()
    judged = replace(case, champion=answered(case, noisy(case.target, 1, 1)))
    one, two = (NonInferiority(margins=AUC, sides=s).judge(judged)[0] for s in ("one", "two"))
    assert two.low < one.low < one.value == two.value


def test_without_a_champion_they_do_not_apply(workshop: Any) -> None:
    case = workshop.case()
    for kind in (NonInferiority, Superiority):
        assert kind.needs_champion
        (found,) = kind(margins=AUC, sides="two").judge(case)
        assert (found.verdict, found.reason) == ("not applicable", "there is no champion yet")


def test_an_undefined_difference_is_rejected(workshop: Any) -> None:
    case = workshop.case()
    judged = replace(case, champion=case.candidate, target=np.ones_like(case.target))
    assert NonInferiority(margins=AUC, sides="two").judge(judged)[0].verdict == "rejected"


@pytest.mark.parametrize("margins", [{}, {"roc_auc": -0.01}, {"roc_auc": float("inf")}])
@pytest.mark.parametrize("name", ["non_inferiority", "superiority"])
def test_margins_that_would_turn_the_rule_round_are_refused(name: str, margins: Any) -> None:
    with pytest.raises(PolicyError, match="margins"):
        configured(name, {"margins": margins, "sides": "two"})


def test_chance_seldom_promotes_and_two_points_less_are_seen(
    workshop: Any, answered: Callable[..., Any]
) -> None:
    """A short version of benchmarks/gate/false_promotions.py."""
    case = workshop.case(rows=10)
    promoted, blocked = 0, 0
    for seed in range(30):
        target = np.random.default_rng(seed).integers(0, 2, 10_000)
        case = replace(case, target=target, columns={"household": np.arange(10_000)}, seed=seed)
        equal = [answered(case, noisy(target, 1.19, 3 * seed + k)) for k in range(2)]
        judged = replace(case, candidate=equal[0], champion=equal[1])
        superior = Superiority(margins={"roc_auc": 0.0}, sides="two").judge(judged)
        promoted += superior[0].verdict == "passed"
        worse = answered(case, noisy(target, 1.312, 3 * seed + 2))
        judged = replace(case, candidate=worse, champion=equal[1])
        inferior = NonInferiority(margins=AUC, sides="two").judge(judged)
        blocked += inferior[0].verdict == "rejected"
    assert promoted <= 3
    assert blocked >= 28


def test_the_best_of_the_earlier_champions_is_the_measure(
    workshop: Any, answered: Callable[..., Any]
) -> None:
    case = workshop.case()
    target = np.random.default_rng(1).integers(0, 2, 1500)
    weak, strong, mine = (noisy(target, scale, 7) for scale in (2.0, 1.0, 1.3))
    case = replace(case, target=target, candidate=answered(case, mine), champion=case.candidate)
    rule = EarlierChampions(margins=AUC, sides="two", champions=2)
    for earlier, verdict in (((weak, strong), "rejected"), ((weak,), "passed")):
        before = tuple(Earlier(f"number {at}", one) for at, one in enumerate(earlier))
        (found,) = rule.judge(replace(case, champions=before, untold=()))
        assert found.verdict == verdict
        assert f"number {len(earlier) - 1}" in found.reason
    some = replace(case, champions=(Earlier("one", weak),), untold=("the other is gone",))
    assert [one.reason for one in rule.judge(some)][1] == "the other is gone"
    (few,) = rule.judge(replace(some, untold=()).on(np.arange(700)))
    assert few.verdict == "passed"


@pytest.mark.parametrize("wrong", [{"champions": 0}, {"since": "yesterday"}, {"margins": {}}])
def test_a_chain_of_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`"):
        EarlierChampions(**({"margins": AUC, "sides": "two", "champions": 2} | wrong))


def test_an_unlike_but_equal_model_passes_at_the_margin_that_these_rows_can_tell(
    workshop: Any, answered: Callable[..., Any]
) -> None:
    case = workshop.case(rows=10)
    columns = {"household": np.arange(10_000)}
    proposed, passed, blocked = [], 0, 0
    for seed in range(30):
        target = np.random.default_rng(seed).integers(0, 2, 10_000)
        case = replace(case, target=target, columns=columns, seed=seed)
        equal = [answered(case, noisy(target, 1.19, 3 * seed + k)) for k in range(2)]
        judged = replace(case, candidate=equal[0], champion=equal[1])
        (strict,) = NonInferiority(margins=AUC, sides="two").judge(judged)
        if found := re.search(r"a margin of ([\d.]+), or [\d,]+ holdout rows", strict.reason):
            proposed.append(float(found[1]))
        margin = proposed[0] if proposed else 0.019
        rule = NonInferiority(margins={"roc_auc": margin}, sides="two")
        passed += rule.judge(judged)[0].verdict == "passed"
        worse = replace(judged, candidate=answered(case, noisy(target, 1.312, 3 * seed + 2)))
        blocked += rule.judge(worse)[0].verdict == "rejected"
    assert len(proposed) > 15  # where the figures are not worse already
    assert np.ptp(proposed) < 0.003
    assert passed >= 22
    assert blocked >= 27
