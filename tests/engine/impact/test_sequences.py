"""Tests that hold at every look: as often wrong as they say, and finding what is there."""

import numpy as np
import pytest

from mlops.impact.sequences import Sums, chance, difference, sample_ratio
from mlops.rollout.guard import Guard

ALPHA = 0.05


def arms(
    random: np.random.Generator, shares: tuple[float, float], days: int = 28, units: int = 200
) -> list[Sums]:
    """Return the cumulated sums of two arms, of so many units of each on each day."""
    made = []
    for share in shares:
        y = (random.random(days * units) < share).astype(float)
        day = np.repeat(np.arange(days), units)
        made.append(Sums.of(y, np.zeros(len(y)), day, days).cumulated())
    return made


def decided(shares: tuple[float, float], runs: int) -> float:
    """Return the share of runs in which any day decided."""
    random = np.random.default_rng(5)
    return float(
        np.mean(
            [
                bool((np.abs(found.effect) > found.half).any())
                for _ in range(runs)
                for found in [difference(*arms(random, shares), planned=5_000, alpha=ALPHA)]
            ]
        )
    )


def test_nothing_is_found_where_nothing_is() -> None:
    assert decided((0.2, 0.2), 400) <= ALPHA


def test_a_difference_is_found() -> None:
    assert decided((0.2, 0.26), 50) == 1.0


def test_the_effect_and_its_ends_are_those_of_the_means() -> None:
    y = np.array([1.0, 3.0, 2.0, 8.0, 6.0, 10.0])
    nothing, day = np.zeros(6), np.zeros(6, dtype=int)
    two = [Sums.of(y[a], nothing[a], day[a], 1) for a in (slice(0, 3), slice(3, 6))]
    found = difference(*two, planned=100, alpha=ALPHA)
    assert found.effect[0] == pytest.approx(6.0)
    assert [float(mean[0]) for mean in found.means] == pytest.approx([2.0, 8.0])
    assert found.variance[0] == pytest.approx(6 * (1.0 / 3 + 4.0 / 3))
    # The ends are where the p-value is alpha.
    ended = found._replace(effect=found.half)
    assert chance(ended, 0.0, 100, ALPHA) == pytest.approx(ALPHA)


def test_what_units_were_before_takes_chance_out() -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=4000)
    y = 2 * x + random.normal(size=4000) + np.repeat([0.0, 0.3], 2000)
    day = np.zeros(2000, dtype=int)
    parts = (slice(0, 2000), slice(2000, 4000))
    known = difference(*(Sums.of(y[p], x[p] - x.mean(), day, 1) for p in parts), 4000, ALPHA)
    none = difference(*(Sums.of(y[p], 0 * x[p], day, 1) for p in parts), 4000, ALPHA)
    assert known.half[0] < 0.5 * none.half[0]
    assert known.low[0] < 0.3 < known.high[0]
    assert sum(float(mean[0]) for mean in known.means) / 2 == pytest.approx(y.mean(), abs=0.01)


def test_arms_that_are_as_drawn_are_quiet_and_others_are_not() -> None:
    random = np.random.default_rng(7)
    for share in (0.5, 0.05):
        false = 0
        for _ in range(300):
            came = random.binomial(1000, share, 28).cumsum().astype(float)
            every = np.arange(1, 29) * 1000.0
            false += int(sample_ratio(every - came, came, share)[-1] < 0.01)
        assert false <= 3
    lost = random.binomial(2000, 0.48, 28).cumsum().astype(float)
    found = sample_ratio(np.arange(1, 29) * 2000.0 - lost, lost, 0.5)
    assert found[-1] < 0.01
    assert (np.diff(found) <= 0).all()  # what was once seen stays seen


@pytest.mark.parametrize("limit", [0.001, 0.01, 0.2])
def test_a_rate_at_its_limit_is_rarely_stopped_and_one_above_it_always(limit: float) -> None:
    random, guard = np.random.default_rng(11), Guard(limit)

    def stopped(rate: float) -> bool:
        failed = (random.random(3000) < rate).cumsum()[19::20]
        return any(
            guard.is_above(int(count), 20 * (at + 1), ALPHA) for at, count in enumerate(failed)
        )

    assert np.mean([stopped(limit) for _ in range(100)]) <= ALPHA + 0.03
    assert not stopped(limit / 10)
    assert all(stopped(min(0.9, limit * 8)) for _ in range(20))


@pytest.mark.parametrize("limit", [0.0, 0.5, -1.0, float("nan")])
def test_a_limit_that_is_no_rate_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="is no rate between"):
        Guard(limit)
