"""What is honest passes: against a champion, as a first model, and on other samples."""

from typing import Any

import pytest


def test_an_honest_candidate_passes(bench: Any) -> None:
    assert bench.outcome() == {}


def test_an_honest_first_model_passes(bench: Any) -> None:
    assert bench.outcome("start") == {}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_samples_pass(bench: Any, seed: int) -> None:
    """The first model on another sample; benchmarks/gate/clean_seeds.py has more and larger."""
    bench.sample(seed)
    bench.remake()
    assert bench.outcome("start") == {}
