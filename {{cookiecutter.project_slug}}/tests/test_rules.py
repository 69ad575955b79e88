"""Rules of src/policy/rules.py: a case that passes, and one that must not."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from policy.rules import Spread


def case(predictions: list[float]) -> Any:
    """Return as much of a case as the rule looks at."""
    return SimpleNamespace(candidate=SimpleNamespace(predictions=np.array(predictions)))


def test_a_model_that_tells_rows_apart_passes() -> None:
    (finding,) = Spread(at_least=0.1).judge(case([0.1, 0.9, 0.4]))
    assert finding.verdict == "passed"


def test_one_that_does_not_is_rejected() -> None:
    (finding,) = Spread(at_least=0.1).judge(case([0.5, 0.5, 0.5]))
    assert finding.verdict == "rejected"
