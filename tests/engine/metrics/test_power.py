import numpy as np
import pytest

from mlops.metrics.power import detectable, passing, said, upwards


def test_at_the_margin_proposed_four_of_five_equal_models_pass_and_a_larger_loss_is_blocked() -> (
    None
):
    error = 0.0074
    margin = upwards(detectable(error, 0.95))
    assert margin == 0.021
    assert passing(error, 0.95, margin) >= 0.8
    assert passing(error, 0.95, 0.01) == pytest.approx(0.27, abs=0.01)
    differences = np.random.default_rng(0).normal(-0.02, error, 100_000)
    assert (differences - 1.96 * error >= -margin).mean() <= 0.05


@pytest.mark.parametrize(
    ("value", "up"), [(0.0204, 0.021), (0.02, 0.02), (0.0999, 0.1), (3.21, 3.3), (40123, 41000)]
)
def test_a_proposal_is_never_below_what_was_found(value: float, up: float) -> None:
    assert upwards(value) == up


def test_what_rows_can_tell_is_said_with_what_would_be_enough() -> None:
    assert said(0.001, 0.95, 0.01, 10_000) == "these rows tell a loss of 0.0029"
    told = said(0.0074, 0.95, 0.01, 10_000)
    assert "passes in 27% of cases; a margin of 0.021, or 43,000 holdout rows, would" in told
    assert "a margin of 0.021, would" in said(0.0074, 0.95, 0.0, 10_000)
    assert said(0.0, 0.95, 0.01, 10) == said(float("nan"), 0.95, 0.01, 10) == ""
