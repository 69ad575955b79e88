from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from mlops.contract import Task
from mlops.gate.rule import PolicyError, configured
from mlops.gate.rules.baseline import BetterThanBaseline, _shares
from mlops.runtime.model import estimator

METRICS: dict[Task, str] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "r2"}


def rule(metric: str, **changes: Any) -> BetterThanBaseline:
    settings = {"metric": metric, "margin": 0.0, "baselines": ["dummy", "linear"]}
    return BetterThanBaseline(**(settings | {"rows": 100_000, "by": "bound"} | changes))


def with_train(workshop: Any, task: str) -> Any:
    """Return a case whose candidate was fitted on the training rows that are there."""
    case = workshop.case(task)
    workshop.write_train(case)
    return case


@pytest.mark.parametrize("task", METRICS)
def test_a_model_that_learnt_passes_and_one_that_knows_only_the_shares_does_not(
    workshop: Any, answered: Callable[..., Any], task: str
) -> None:
    case = with_train(workshop, task)
    (found,) = rule(METRICS[task], baselines=["dummy"]).judge(case)
    assert (found.verdict, found.part) == ("passed", "dummy")
    assert 0 < found.low < found.value < found.high

    flat = np.broadcast_to(
        case.candidate.predictions.mean(axis=0), case.candidate.predictions.shape
    )
    ignorant = replace(case, candidate=answered(case, flat))
    assert {f.verdict for f in rule(METRICS[task], margin=0.01).judge(ignorant)} == {"rejected"}


def test_the_linear_baseline_is_hard_to_beat_where_the_world_is_linear(workshop: Any) -> None:
    dummy, linear = rule("roc_auc", margin=0.01).judge(with_train(workshop, "binary"))
    assert (dummy.verdict, linear.verdict) == ("passed", "rejected")
    assert abs(linear.value) < 0.03


def test_beating_by_nothing_is_not_beating(workshop: Any, answered: Callable[..., Any]) -> None:
    case = with_train(workshop, "binary")
    flat = replace(case, candidate=answered(case, np.full(len(case.target), 0.5)))
    (found,) = rule("roc_auc", baselines=["dummy"], by="value").judge(flat)
    assert (found.verdict, found.value) == ("rejected", 0.0)


def test_by_bound_doubts_what_by_value_grants(workshop: Any) -> None:
    case = with_train(workshop, "binary")
    (found,) = rule("roc_auc", baselines=["dummy"]).judge(case)
    between = (found.low + found.value) / 2
    for by, verdict in (("value", "passed"), ("bound", "rejected")):
        (again,) = rule("roc_auc", baselines=["dummy"], margin=between, by=by).judge(case)
        assert again.verdict == verdict


def test_many_training_rows_are_thinned_out_the_same_way_each_time(workshop: Any) -> None:
    case = with_train(workshop, "binary")
    every, few = (rule("roc_auc", rows=count).judge(case)[1] for count in (3000, 30))
    assert few.value > every.value
    assert rule("roc_auc", rows=30).judge(case)[1] == few


@pytest.mark.parametrize(
    "changes", [{"baselines": []}, {"baselines": ["best"]}, {"margin": -1}, {"rows": 0}]
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    section = {"metric": "roc_auc", "margin": 0.0, "baselines": ["dummy"], "rows": 9, "by": "value"}
    assert configured("better_than_baseline", section) is not None
    with pytest.raises(PolicyError):
        configured("better_than_baseline", section | changes)


@pytest.mark.parametrize("task", list(METRICS))
def test_the_shares_are_those_that_scikit_learn_has(task: Task) -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(size=50) if task == "regression" else rng.integers(0, 3, 50)
    classes = 3
    if task == "binary":
        target, classes = (target > 0).astype(int), 2
    kind = DummyRegressor() if task == "regression" else DummyClassifier(strategy="prior")
    expected = estimator(kind.fit(np.zeros((50, 1)), target), task)(np.zeros((7, 1)))
    np.testing.assert_allclose(_shares(task, target, classes, 7), expected)
