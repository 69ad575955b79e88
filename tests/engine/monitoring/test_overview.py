"""What is shown beside the verdict: losses of all rows, and of the slices that have an alert."""

from typing import Any

from windows import case

from mlops.monitoring import overview
from mlops.monitoring.policy import Policy
from mlops.monitoring.rules.performance import Performance, mean

RULES = {name: Performance(loss=name, margin=0.1, min_rows=200) for name in ("log_loss", "brier")}


def alert(part: str, rule: str = "log_loss") -> dict[str, Any]:
    return {"rule": rule, "part": part, "kind": "performance"}


def test_slices_that_have_an_alert_are_shown_beside_all_rows() -> None:
    of = case(since=28, wrong=0.3)
    policy = Policy(of.settings, RULES)
    alerted = [alert(""), alert("kind=villa"), alert("kind=flat", "brier"), alert("kind=flat", "x")]
    found = overview.performance(of, policy, alerted)
    assert [(one["metric"], one["slice"]) for one in found] == [
        *(("log_loss", ""), ("log_loss", "kind=villa")),
        *(("brier", ""), ("brier", "kind=flat")),
    ]
    villa, every = found[1], found[0]
    reference = mean(of.reference.outcomes, "kind=villa", "log_loss")
    assert reference is not None
    assert villa["reference"] == reference.value
    assert 0 < villa["sequence"][-1]["rows"] < every["sequence"][-1]["rows"]
    assert overview.performance(of, policy) == [found[0], found[2]]


def test_many_slices_are_not_all_shown_and_unknown_ones_are_left_out() -> None:
    of = case()
    policy = Policy(of.settings, {"log_loss": RULES["log_loss"]})
    known = [alert("kind=villa")] * 9
    assert len(overview.performance(of, policy, known)) == 1 + overview.SLICES
    assert len(overview.performance(of, policy, [alert("kind=castle")])) == 1
