"""Two means that may lie so far apart: rarely stopped where they keep it, and found beyond."""

import numpy as np
import pytest

from mlops.rollout.drift import Drift

ALPHA, MARGIN = 0.05, 0.1
Array = np.ndarray


def looked(
    random: np.random.Generator, levels: tuple[Array, Array], shares: Array, drift: Drift
) -> bool:
    """Let forty units come a minute, each with its levels and the challenger's share by then."""
    for one, other, share in zip(*levels, shares, strict=True):
        challenger = random.random(40) < share
        values = random.random(40) < np.where(challenger, other, one)
        drift.add(values[:, None].astype(float), challenger, np.full(40, share))
        if drift.is_beyond(ALPHA):
            return True
    return False


@pytest.mark.parametrize("side", [1, -1])
def test_what_keeps_the_margin_is_rarely_stopped_though_hours_and_shares_change(side: int) -> None:
    random = np.random.default_rng(4)
    hours = 0.35 + 0.2 * np.sin(np.linspace(0, 12, 120))  # who comes changes while the share grows
    shares = np.geomspace(0.01, 0.5, 120)
    levels = hours, hours + side * MARGIN
    found = [looked(random, levels, shares, Drift(MARGIN, 1)) for _ in range(200)]
    assert np.mean(found) <= ALPHA


@pytest.mark.parametrize("other", [0.05, 0.55])
def test_what_drifts_further_is_found(other: float) -> None:
    random = np.random.default_rng(5)
    levels = np.full(60, 0.3), np.full(60, other)
    drifts = [Drift(MARGIN, 1) for _ in range(20)]
    found = [looked(random, levels, np.full(60, 0.5), one) for one in drifts]
    assert np.mean(found) >= 0.95
    means = np.array([(one.apart.champion, one.apart.challenger) for one in drifts]).mean(axis=0)
    assert means == pytest.approx([0.3, other], abs=0.06)


def test_answers_of_the_same_units_need_few() -> None:
    random, drift = np.random.default_rng(6), Drift(0.02, 2)
    ours = (random.random((400, 2)) < 0.5).astype(float)
    drift.add_both(ours, ours)
    assert not drift.is_beyond(ALPHA)
    theirs = ours.copy()
    theirs[:, 1] = np.maximum(theirs[:, 1], random.random(400) < 0.2)
    drift = Drift(0.02, 2)
    drift.add_both(ours, theirs)
    assert drift.is_beyond(ALPHA)
    assert drift.apart.output == 1


@pytest.mark.parametrize("margin", [0.0, 1.0])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="lies not between 0 and 1"):
        Drift(margin, 1)
