"""Each test beside the one that scipy has, brute force, or a simulation with a seed."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from mlops.monitoring.statistics import (
    Between,
    above,
    auc,
    between,
    beyond,
    ever,
    half_width,
    holm,
    share,
    shift,
    tuned,
)


def cells(values: np.ndarray, size: int = 8) -> np.ndarray:
    return np.bincount(values, minlength=size)


@pytest.mark.parametrize("seed", range(4))
def test_a_shift_is_that_of_mann_and_whitney_where_nothing_is_too_little(seed: int) -> None:
    random = np.random.default_rng(seed)
    before, now = random.integers(0, 7, 900), random.integers(0, 8, 400)
    found = shift(cells(before), cells(now), 0.0)
    theirs = stats.mannwhitneyu(now, before, method="asymptotic", use_continuity=False)
    assert found.effect == pytest.approx(theirs.statistic / (900 * 400) - 0.5)
    z = stats.norm.isf(theirs.pvalue / 2)
    assert abs(found.effect) / found.error == pytest.approx(z, rel=1e-3)  # theirs has n + m + 1
    assert found.p == pytest.approx(stats.norm.sf(abs(found.effect) / found.error))


def test_the_effect_of_a_shift_by_every_pair() -> None:
    before, now = np.array([0, 0, 1, 3]), np.array([0, 2, 3])
    pairs = [(a > b) + (a == b) / 2 for a, b in itertools.product(now, before)]
    assert auc(cells(before), cells(now)) == pytest.approx(sum(pairs) / len(pairs))


def test_a_normal_that_moves_by_d_deviations_has_an_effect_of_028_d() -> None:
    """So much says the docstring, and that 0.02 is 0.07 deviations."""
    edges = np.linspace(-5, 5, 2001)
    before, now = (np.diff(stats.norm.cdf(edges, d)) * 1e6 for d in (0, 0.07))
    assert shift(before, now, 0.02).effect == pytest.approx(0.0198, abs=2e-4)


def test_a_least_effect_is_taken_off_on_both_sides() -> None:
    before = np.array([500, 500])
    for now in (np.array([400, 600]), np.array([600, 400])):
        found = shift(before, now, 0.03)
        assert found.p == pytest.approx(stats.norm.sf((abs(found.effect) - 0.03) / found.error))
    assert shift(before, np.array([480, 520]), 0.03).p > 0.5  # 0.01 matters less


def test_rows_that_come_again_count_less() -> None:
    before, now = np.array([10**9, 10**9]), np.array([400, 600])
    once, tenth = (shift(before, now, 0.0, weight) for weight in (1.0, 0.1))
    assert tenth.error == pytest.approx(once.error * math.sqrt(10), rel=1e-3)


def test_fewer_than_two_values_tell_nothing() -> None:
    assert shift(np.array([5, 5]), np.array([0, 1]), 0.0).p == 1.0
    assert share(1, 10, 1, 1, 0.0).p == 1.0
    none = share([3, 4], 7, [0, 0], 0, 0.01)
    assert none.p.tolist() == [1, 1]
    assert none.error.shape == none.effect.shape == (2,)


@pytest.mark.parametrize(
    ("had", "of", "has", "of_now"), [(50, 1000, 90, 1000), (400, 2000, 100, 700)]
)
def test_a_share_is_tested_as_two_proportions_are(had: int, of: int, has: int, of_now: int) -> None:
    found = share(had, of, has, of_now, 0.0)
    table = [[had, of - had], [has, of_now - has]]
    chi = stats.chi2_contingency(table, correction=False)
    assert found.effect == pytest.approx(has / of_now - had / of)
    assert 2 * found.p == pytest.approx(chi.pvalue, rel=0.1)
    assert (found.effect / found.error) ** 2 == pytest.approx(chi.statistic, rel=0.01)


def test_a_share_that_did_not_move_by_the_least_is_never_small() -> None:
    assert share(100, 1000, 105, 1000, 0.01).p > 0.5
    assert share(10**6, 10**8, 15 * 10**5, 10**8, 0.01).p > 0.99


@pytest.mark.parametrize(("rows", "of", "expected"), [(7, 100, 0.02), (3, 40, 0.001), (1, 9, 0.5)])
def test_a_chance_above_is_the_binomial_one(rows: int, of: int, expected: float) -> None:
    assert above(rows, of, expected) == pytest.approx(stats.binom.sf(rows - 1, of, expected))


def test_a_chance_above_of_none_of_all_and_of_rows_that_come_again() -> None:
    assert above(0, 100, 0.1) == 1.0
    assert above(5, 0, 0.1) == 1.0
    assert above(100, 100, 1.0) == 1.0
    assert above(20, 1000, 0.01, 0.1) == pytest.approx(stats.binom.sf(1, 100, 0.01))
    assert above(9, 100, 0.01, 0.1) == 1.0  # less than one row, and nothing is known of it


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.5, 0.9, 0.5]) == [1.0, 1.0, 1.0]


def test_periods_vary_by_the_variance_that_they_were_drawn_with() -> None:
    random = np.random.default_rng(1)
    effects = random.normal(0, 0.03, (400, 3)) + random.normal(0, 0.01, (400, 3))
    found = between(effects, np.full((400, 3), 0.01))
    assert found.periods == 400
    np.testing.assert_allclose(found.variance, 0.03**2, rtol=0.2)
    season = 0.5 * np.sin(np.arange(400) / 60)[:, None]
    seasonal = between(effects + season, np.full((400, 3), 0.01))
    np.testing.assert_allclose(seasonal.variance, 0.03**2, rtol=0.25)


def test_periods_that_vary_by_chance_alone_vary_by_nothing() -> None:
    random = np.random.default_rng(2)
    errors = np.full((4000, 1), 0.02)
    assert between(random.normal(0, 0.02, (4000, 1)), errors).variance < 2e-5
    assert between(np.zeros((30, 1)), errors[:30]).variance == 0
    few = between(np.ones((2, 4)), np.ones((2, 4)))
    assert (few.periods, few.variance.tolist()) == (2, [0, 0, 0, 0])
    assert between(np.empty((0, 4)), np.empty((0, 4))).variance.shape == (4,)
    assert between(np.array([]), np.array([])).variance == 0


def test_a_variance_of_few_periods_has_the_tail_of_student() -> None:
    """All of the variance is estimated from 5 periods: 4 degrees of freedom (Satterthwaite)."""
    found = beyond(0.5, 0.0, 0.1, Between(0.01, 5))
    assert found.p == pytest.approx(stats.t.sf(4.0, 4))
    half = beyond(0.5, 0.01, 0.1, Between(0.01, 5))
    assert half.p == pytest.approx(stats.t.sf(0.4 / math.sqrt(0.02), 4 * 4))
    assert beyond(0.5, 0.01, 0.1).p == pytest.approx(stats.norm.sf(4.0))


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("rows", [50, 1000, 40_000])
def test_the_chance_and_the_interval_exclude_the_same(rows: int, alpha: float) -> None:
    half = half_width(rows, 2.5, 1000, alpha)
    assert ever(rows, half * (1 + 1e-9), 2.5, 1000, alpha) <= alpha
    assert ever(rows, half * (1 - 1e-6), 2.5, 1000, alpha) > alpha


def test_the_interval_is_as_published_and_tightest_where_it_is_planned() -> None:
    """Waudby-Smith et al., equations 8 and 9, by hand."""
    rho = math.sqrt((-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 500)
    assert tuned(500, 0.05) == pytest.approx(rho**2)
    by_hand = math.sqrt(
        2 * (400 * rho**2 + 1) / (400**2 * rho**2) * math.log(math.sqrt(400 * rho**2 + 1) / 0.05)
    )
    assert half_width(400, 1.0, 500, 0.05) == pytest.approx(by_hand)
    widths = {planned: half_width(500, 1.0, planned, 0.05) for planned in range(50, 5000, 50)}
    assert min(widths, key=lambda planned: widths[planned]) == pytest.approx(500, abs=100)


def test_nothing_is_above_a_limit_of_which_nothing_is_known() -> None:
    assert ever(1, 5.0, 1.0, 100, 0.05) == 1.0
    assert ever(100, -0.1, 1.0, 100, 0.05) == 1.0
    assert ever(100, 0.1, 0.0, 100, 0.05) == 1.0


def test_who_looks_every_day_is_misled_as_seldom_as_was_asked() -> None:
    """A fixed-size test at 5 % would be wrong in a third of the runs."""
    random = np.random.default_rng(3)
    runs, days, rows = 400, 100, 50
    daily = random.exponential(1.0, (runs, days, rows)).sum(axis=2).cumsum(axis=1)
    n = rows * np.arange(1, days + 1)
    excess = daily / n - 1.0
    wrong = sum(
        any(ever(n[at], one[at], 1.0, 1000, 0.05) <= 0.05 for at in range(days)) for one in excess
    )
    fixed = (excess * np.sqrt(n) > 1.645).any(axis=1).sum()
    assert wrong / runs <= 0.05
    assert fixed / runs > 0.2


def test_a_loss_that_is_worse_is_found() -> None:
    assert ever(2000, 0.1, 1.0, 1000, 0.05) < 0.01
