"""The threshold that is worth most is the one of a search, within a capacity."""

import numpy as np
import pytest

from mlops.metrics.decisions import best_cut, between, most_above


def test_the_best_cut_is_the_one_of_a_search() -> None:
    random = np.random.default_rng(1)
    for share in (1.0, 0.4):
        for _ in range(50):
            sure, gained = random.integers(0, 9, 40) / 8, random.normal(size=40)
            found = best_cut(sure, gained, share)
            cuts = [cut for cut in [*np.unique(sure), -1.0] if (sure > cut).mean() <= share]
            worth = [gained[sure > cut].sum() for cut in cuts if cut >= 0 or (sure > 0).all()]
            assert gained[sure > found].sum() >= max(0.0, *worth) - 1e-9
            assert (sure > found).mean() <= share


def test_nobody_is_acted_on_where_nothing_is_gained() -> None:
    assert best_cut(np.array([0.2, 0.9]), np.array([-1.0, -1.0])) == 1.0
    assert best_cut(np.array([0.2, 0.9]), np.array([1.0, 1.0])) == 0.1


def test_the_capacity_is_kept() -> None:
    p = np.arange(100) / 100
    assert (p > most_above(p, 0.1)).sum() == 10
    assert most_above(p, 1.0) == 0.0
    assert (np.full(10, 0.5) > most_above(np.full(10, 0.5), 0.2)).sum() == 0  # equals stay together


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.2), (0.3, np.nextafter(0.3, 1)), (0.0, 1e-300)])
def test_a_threshold_lies_between(low: float, high: float) -> None:
    assert low <= between(low, high) < high
