from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlops.gate.rule import PolicyError, configured
from mlops.gate.rules.calibration import Calibration, chance
from mlops.metrics.catalogue import compute, prepare

RULE = Calibration(ece_at_most=0.02, brier_at_most=0.2)


def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and outcomes that were drawn from them."""
    generator = np.random.default_rng(seed)
    sure = generator.beta(2, 5, rows)
    return sure, (generator.random(rows) < sure).astype(np.int64)


def test_right_probabilities_pass_and_wrong_ones_do_not(
    workshop: Any, answered: Callable[..., Any]
) -> None:
    sure, target = drawn(1500, 1)
    case = workshop.case(target=target)
    ece, brier = RULE.judge(replace(case, candidate=answered(case, sure)))
    assert (ece.verdict, ece.part, brier.verdict, brier.part) == (
        "passed",
        "ece",
        "passed",
        "brier",
    )
    ece, brier = RULE.judge(replace(case, candidate=answered(case, np.sqrt(sure))))
    assert (ece.verdict, brier.verdict) == ("rejected", "rejected")
    assert len(Calibration(ece_at_most=0.02).judge(case)) == 1


def test_several_classes(workshop: Any, answered: Callable[..., Any]) -> None:
    generator = np.random.default_rng(1)
    sure = generator.dirichlet([3, 2, 1], 1500)
    target = (generator.random((1500, 1)) > sure.cumsum(axis=1)[:, :2]).sum(axis=1)
    case = workshop.case("multiclass", target=target)
    rule = Calibration(ece_at_most=0.03)
    assert rule.judge(replace(case, candidate=answered(case, sure)))[0].verdict == "passed"
    bold = sure**3 / (sure**3).sum(axis=1, keepdims=True)
    assert rule.judge(replace(case, candidate=answered(case, bold)))[0].verdict == "rejected"


@pytest.mark.parametrize("rows", [200, 2000])
def test_chance_is_the_ece_of_perfect_probabilities(rows: int) -> None:
    found, expected = [], []
    for seed in range(200):
        sure, target = drawn(rows, seed)
        found.append(compute("binary", ["ece"], target, sure)["ece"])
        expected.append(chance(prepare("binary", target, sure)))
    assert np.mean(expected) == pytest.approx(np.mean(found), rel=0.05)


def test_a_regression_is_not_concerned(workshop: Any) -> None:
    (found,) = RULE.judge(workshop.case("regression"))
    assert found.verdict == "not applicable"
    assert "no probabilities" in found.reason


def test_no_rows_are_rejected(workshop: Any, answered: Callable[..., Any]) -> None:
    case = workshop.case()
    empty = replace(case, target=case.target[:0], candidate=answered(case, np.zeros(0)))
    assert {f.verdict for f in RULE.judge(empty)} == {"rejected"}


@pytest.mark.parametrize(
    "section", [{"ece_at_most": -0.1}, {"ece_at_most": 0.1, "brier_at_most": float("nan")}, {}]
)
def test_limits_are_finite(section: dict[str, float]) -> None:
    with pytest.raises(PolicyError):
        configured("calibration", section)
