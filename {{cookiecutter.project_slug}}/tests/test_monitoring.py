"""Rules of src/policy/monitoring.py: a week that is noted, one that is quiet, and one too small."""

from types import SimpleNamespace
from typing import Any

import pytest

from policy.monitoring import AnswerSpread


def case(answers: list[float]) -> Any:
    """Return as much of a case as the rule looks at."""
    moments = sum(answers), sum(answer**2 for answer in answers)
    week = SimpleNamespace(counts=SimpleNamespace(rows=len(answers), moments=moments))
    return SimpleNamespace(windows={"week": week}, settings=SimpleNamespace(min_rows=4))


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [([0.1, 0.9, 0.1, 0.9], "quiet"), ([0.5] * 9, "note"), ([0.1, 0.9], "not judged")],
)
def test_a_model_that_tells_rows_apart_is_quiet(answers: list[float], verdict: str) -> None:
    (finding,) = AnswerSpread(at_least=0.3).judge(case(answers))
    assert finding.verdict == verdict
    if verdict == "quiet":
        assert finding.value == pytest.approx(0.4)
