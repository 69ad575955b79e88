"""Whatever a rule does, it passes only by saying so and showing it."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from mlops.gate.case import Case
from mlops.gate.results import entry, found, judged
from mlops.gate.rule import Finding, Rule

FINE = Finding("passed", "fine")


class Told(Rule, frozen=True):
    """Passes."""

    limit: float = 1.0

    def judge(self, case: Case) -> list[Finding]:
        return [Finding("passed", "fine", value=np.float32(0.5), threshold=self.limit)]  # type: ignore[arg-type]


class Compared(Told, frozen=True):
    """Passes against a champion."""

    needs_champion: ClassVar[bool] = True


@pytest.fixture
def alone(workshop: Any) -> Case:
    """A case without a champion."""
    return workshop.case(rows=60)


def failing(error: BaseException) -> Callable[[], Any]:
    def judge() -> Any:
        raise error

    return judge


@pytest.mark.parametrize(
    "judge",
    [
        failing(ValueError("x")),
        failing(SystemExit(0)),
        failing(MemoryError()),
        failing(GeneratorExit()),
        lambda: [],
        lambda: (),
        lambda: None,
        lambda: True,
        lambda: "passed",
        lambda: iter([FINE]),
        lambda: [FINE, "passed"],
        lambda: [FINE, None],
        lambda: [Finding("fine", "x")],  # type: ignore[arg-type]
        lambda: [Finding("passed", "")],
        lambda: [Finding("not applicable", " ")],
        lambda: [Finding("passed", "x", value=math.nan)],
        lambda: [Finding("passed", "x", low=-math.inf)],
        lambda: [Finding("passed", "x", high=np.float64("nan"))],
        lambda: [Finding("passed", "x", threshold="1")],  # type: ignore[arg-type]
        lambda: [Finding("passed", "x", value=True)],
        lambda: [Finding("not applicable", "x", value=math.nan)],
    ],
)
def test_what_is_not_sound_is_rejected(judge: Callable[[], Any]) -> None:
    findings = found(judge)
    assert entry(findings)["verdict"] == "rejected"
    assert all(one.reason for one in findings)


def test_an_interruption_is_no_finding() -> None:
    with pytest.raises(KeyboardInterrupt):
        found(failing(KeyboardInterrupt()))


def test_one_rejection_outweighs_and_one_pass_counts() -> None:
    rejected, absent = Finding("rejected", "x"), Finding("not applicable", "x")
    assert entry([FINE, rejected])["verdict"] == "rejected"
    assert entry([absent, FINE])["verdict"] == "passed"
    assert entry([absent])["verdict"] == "not applicable"


def test_a_rejection_keeps_its_reason_without_figures_that_are_none() -> None:
    (one,) = found(lambda: [Finding("rejected", "undefined", value=math.nan, threshold=0.5)])
    assert one == Finding("rejected", "undefined", threshold=0.5)


def test_an_entry_says_what_judged_and_with_which_settings(alone: Case) -> None:
    described, seconds = judged("mine", Told(), alone)
    assert described["verdict"] == "passed"
    assert (described["name"], described["rule"], described["about"]) == ("mine", "told", "Passes.")
    assert described["settings"] == {"limit": 1.0}
    assert described["findings"] == [
        {"verdict": "passed", "reason": "fine", "value": 0.5, "threshold": 1.0}
    ]
    assert seconds >= 0


def test_what_needs_a_champion_that_cannot_be_scored_is_rejected(alone: Case) -> None:
    described, _ = judged("mine", Compared(), alone, unscored="no column x")
    assert described["verdict"] == "rejected"
    assert "no column x" in described["findings"][0]["reason"]


def test_what_needs_a_champion_does_not_apply_to_a_first_model(alone: Case) -> None:
    described, _ = judged("mine", Compared(), alone)
    assert described["verdict"] == "not applicable"


def test_a_sound_finding_stays_as_it_is() -> None:
    given = Finding("passed", "fine", "here", 0.5, 0.4, 0.6, 0.3)
    assert found(lambda: [given]) == [given]
    (one,) = found(lambda: [Finding("passed", "fine", "here", math.nan, 0.4, 0.6, 0.3)])
    assert (one.verdict, one.part, one.value, one.low) == ("rejected", "here", None, 0.4)
    assert one.reason == "value nan is no finite number, though the rule passed: fine"
    (one,) = found(lambda: [Finding("passed", " ", "here", 0.5)])
    assert (one.verdict, one.part, one.value) == ("rejected", "here", 0.5)
