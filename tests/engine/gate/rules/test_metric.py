from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlops.gate.rule import PolicyError, configured
from mlops.gate.rules.metric import Metric


@pytest.mark.parametrize(
    ("section", "verdict"),
    [
        ({"metric": "roc_auc", "at_least": 0.7, "by": "value"}, "passed"),
        ({"metric": "roc_auc", "at_least": 0.99, "by": "value"}, "rejected"),
        ({"metric": "log_loss", "at_most": 0.6, "by": "bound"}, "passed"),
        ({"metric": "log_loss", "at_most": 0.1, "by": "bound"}, "rejected"),
    ],
)
def test_floors_and_ceilings(workshop: Any, section: dict[str, Any], verdict: str) -> None:
    (found,) = configured("metric", section).judge(workshop.case())
    assert found.verdict == verdict
    assert found.low < found.value < found.high


def test_the_bound_is_the_bad_end(workshop: Any) -> None:
    case = workshop.case()
    (found,) = Metric(metric="roc_auc", at_least=0.5, by="value").judge(case)
    (other,) = Metric(metric="log_loss", at_most=0.5, by="value").judge(case)
    between, beyond = (found.low + found.value) / 2, (other.high + other.value) / 2
    for by, verdict in (("value", "passed"), ("bound", "rejected")):
        floor = Metric(metric="roc_auc", at_least=between, by=by).judge(case)
        ceiling = Metric(metric="log_loss", at_most=beyond, by=by).judge(case)
        assert [floor[0].verdict, ceiling[0].verdict] == [verdict, verdict]


def test_the_limit_itself_is_within(workshop: Any) -> None:
    case = workshop.case("regression")
    (found,) = Metric(metric="rmse", at_most=9, by="value").judge(case)
    assert Metric(metric="rmse", at_most=found.value, by="value").judge(case)[0].verdict == "passed"
    assert Metric(metric="rmse", at_most=found.high, by="bound").judge(case)[0].verdict == "passed"


def test_an_undefined_metric_is_rejected(workshop: Any) -> None:
    case = workshop.case()
    one_class = replace(case, target=np.zeros_like(case.target))
    (found,) = Metric(metric="roc_auc", at_least=0.0, by="value").judge(one_class)
    assert found.verdict == "rejected"
    assert found.value is None
    assert found.threshold == 0.0


@pytest.mark.parametrize(
    "section",
    [
        {"metric": "roc_auc", "by": "value"},
        {"metric": "roc_auc", "at_least": 0.1, "at_most": 0.2, "by": "value"},
        {"metric": "roc_auc", "at_least": float("nan"), "by": "value"},
        {"metric": "roc_auc", "at_least": 0.1, "by": "hope"},
        {"metric": "roc_auc", "at_least": 0.1},
        {"metric": "roc_auc", "at_least": 0.1, "by": "value", "unless": 1},
    ],
)
def test_a_policy_that_says_something_else_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match=r"gate\.rules\.floor"):
        configured("floor", {"rule": "metric", **section})


def test_a_ceiling_of_nothing_is_a_ceiling(workshop: Any) -> None:
    (found,) = Metric(metric="log_loss", at_most=0.0, by="value").judge(workshop.case())
    assert (found.verdict, found.threshold) == ("rejected", 0.0)
