"""What policies would have earned: intervals hold the truth; what nothing supports is refused."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from baked import SOURCE

from mlops.impact.assigned import Logged
from mlops.impact.counterfactual import evaluated
from mlops.impact.policies import parse
from mlops.rollout.declaration import ExperimentError

TRUTHS = {"always": -8 / 3, "above": -2.0}  # of p uniform: called brings -4 p - 2/3, else -10 p


def drawn(random: np.random.Generator, units: int = 800) -> Logged:
    """Return a log where a tenth is called and a tenth not by lot, and the rest above 0.5."""
    unit = np.repeat(np.arange(units), random.integers(1, 4, units))
    probability = random.random(units)[unit]
    arm = random.choice(3, units, p=[0.1, 0.1, 0.8])[unit]
    decided = probability > 0.5
    called = np.where(arm == 2, decided, arm == 1)
    propensity = 0.1 + 0.8 * (called == decided)
    mean = np.where(called, -4 * probability, -10 * probability)
    value = mean * random.exponential(1.0, len(unit)) + random.normal(0, 1, units)[unit]
    action = np.where(called, "call", "nothing").astype(object)
    none, time = np.full(len(unit), None), np.full(len(unit), np.datetime64("2026-03-01", "us"))
    cost = np.where(called, 2 / 3, 0.0)
    table = pa.table({"loyal": np.arange(len(unit)) % 2 == 0})
    what = (unit, time, action, action, propensity, value, cost, none, probability)
    return Logged(*what, table, 0)


def wanted(name: str, log: Logged) -> np.ndarray:
    every = np.full(len(log.unit), "call", dtype=object)
    return every if name == "always" else np.where(log.probability > 2 / 3, every, "nothing")


@pytest.mark.parametrize("name", ["always", "above"])
def test_intervals_hold_what_a_policy_earns(name: str) -> None:
    every = drawn(np.random.default_rng(0), 200_000)
    asked = wanted(name, every) == "call"
    p = every.probability
    truth = np.where(asked, -4 * p - 2 / 3, -10 * p).mean()
    held = np.zeros((200, 2))
    for run in range(200):
        log = drawn(np.random.default_rng([1, run]))
        found = evaluated(log, wanted(name, log))
        held[run] = [one.low <= truth <= one.high for one in (found.snips, found.doubly_robust)]
    assert (held.mean(axis=0) >= 0.91).all(), held.mean(axis=0)


def test_what_was_done_is_estimated_as_it_was() -> None:
    """The policy that logged brings what was logged, and each estimate says so."""
    log = drawn(np.random.default_rng(3), 4000)
    found = evaluated(log, np.where(log.probability > 0.5, "call", "nothing").astype(object))
    assert abs(found.doubly_robust.value - found.logged.value) < 0.5
    assert found.effective < found.rows
    assert found.gain.low < found.gain.value < found.gain.high


def without_support(log: Logged) -> Logged:
    return relabelled(log.some((log.action == "nothing") | (log.probability > 0.6)))


def relabelled(log: Logged) -> Logged:
    return log._replace(unit=np.unique(log.unit, return_inverse=True)[1])


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (without_support, r"probability from 0\.\d+ to 0\.\d+ nobody was given call"),
        (lambda log: relabelled(log.some(log.action == "nothing")), "call, which was never drawn"),
        (lambda log: relabelled(log.some(log.unit < 60)), "50 are the least: wait for more"),
        (
            lambda log: log._replace(propensity=np.minimum(1.0, 2 * log.propensity)),
            "or not with the probability that is logged",
        ),
    ],
)
def test_what_a_log_cannot_tell_is_refused(spoilt: Callable[[Logged], Logged], said: str) -> None:
    log = spoilt(drawn(np.random.default_rng(4)))
    with pytest.raises(ExperimentError, match=said):
        evaluated(log, np.full(len(log.unit), "call", dtype=object))


def test_policies_are_named() -> None:
    log = drawn(np.random.default_rng(5), 50)
    assert set(parse("always:call").act(log)) == {"call"}
    above = parse("threshold:0.7", ("nothing", "call")).act(log)
    assert ((above == "call") == (log.probability > 0.7)).all()


def test_the_rule_of_the_page_is_one() -> None:
    page = (SOURCE / "engine/docs/value.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    named: dict[str, Any] = {}
    exec(code, named)
    columns = {"tenure_months": np.array([30.0, 30, 3]), "probability": np.array([0.9, 0.1, 0.9])}
    assert named["loyal_first"](columns).tolist() == ["call", "nothing", "nothing"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("threshold:0.3", "add `--actions BELOW ABOVE`"),
        ("threshold:3", "between 0 and 1"),
        ("threshold:much", "between 0 and 1"),
        ("kindness", "is no policy: write threshold:0.3"),
        ("always:", "is no policy"),
        ("rule:missing_one", "has no function missing_one"),
        ("rule:not a name", "has no function"),
    ],
)
def test_what_is_no_policy_is_refused(text: str, said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        parse(text)
