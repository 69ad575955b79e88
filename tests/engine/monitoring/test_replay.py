"""What a policy would have found in the past, with what was known then, beside another commit's."""

from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from windows import AT, NUMBER, case

from mlops.monitoring import replay
from mlops.monitoring.case import Case
from mlops.monitoring.monitor import Source
from mlops.monitoring.policy import Policy
from mlops.monitoring.rules.performance import Performance
from mlops.monitoring.rules.quality import Missing
from mlops.monitoring.rules.traffic import Freshness


def gone(values: np.ndarray, random: np.random.Generator) -> None:
    values[random.random(len(values)) < 0.2, NUMBER] = np.nan


def replayed(
    monkeypatch: pytest.MonkeyPatch, of: Case, policy: Policy, length: int
) -> dict[tuple[str, str, str], list[str]]:
    none: Source = None  # type: ignore[assignment]
    monkeypatch.setattr(replay, "prepared", lambda *_, **__: (none, of))
    return replay._replayed(Path(), None, policy, None, length)  # type: ignore[arg-type]


def days(*back: int) -> list[str]:
    return [(AT - timedelta(days=one)).isoformat() for one in back]


def test_each_day_is_judged_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    of = case(gone, since=2)
    policy = Policy(of.settings, {"missing": Missing(least=0.01)})
    found = replayed(monkeypatch, of, policy, 5)
    assert found == {("alert", "missing", "size"): days(1, 0)}


def test_outcomes_count_from_the_day_on_that_they_are_mature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Answers of the last 20 days are wrong, and outcomes take ten days, or two."""
    of = case(since=20, wrong=0.5, days=40, maturity_days=10)
    rule = Performance(loss="log_loss", margin=0.1, min_rows=200)
    found = replayed(monkeypatch, of, Policy(of.settings, {"performance": rule}), 10)
    first = found["alert", "performance", ""][0]
    assert first > days(9)[0]  # on that day none of the wrong ones was mature
    soon = msgspec.structs.replace(of.settings, maturity_days=2)
    sooner = msgspec.structs.replace(of, settings=soon)
    found = replayed(monkeypatch, sooner, Policy(soon, {"performance": rule}), 10)
    assert found["alert", "performance", ""][0] < first


def test_traffic_after_a_day_was_not_known_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = dict.fromkeys(days(9, 8, 0), 100)
    of = case(days=1, traffic=silent)
    found = replayed(monkeypatch, of, Policy(of.settings, {"freshness": Freshness(days=2)}), 8)
    assert found == {("alert", "freshness", ""): days(5, 4, 3, 2, 1)}
