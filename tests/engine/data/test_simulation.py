"""The simulated months: calibrated, alike without drift, and drifting as documented with it."""

from itertools import pairwise

import numpy as np
import pytest

from mlops.data.simulation import LABELS, PANEL, churn_probability, simulate, strength

PLACES = 20_000
NUMBERS = ("tenure_months", "monthly_fee", "usage_hours", "support_calls", "satisfaction")

Month = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def steady() -> list[Month]:
    return list(simulate(0, PLACES, 12, drift=0.0, seed=1))


@pytest.fixture(scope="module")
def drifting() -> list[Month]:
    return list(simulate(0, PLACES, 12, drift=1.0, seed=1))


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the two-sample Kolmogorov-Smirnov statistic in units of its 0.1 % critical value."""
    first, second = first[~np.isnan(first)], second[~np.isnan(second)]
    grid = np.unique(np.concatenate([first, second]))
    shares = [np.searchsorted(np.sort(x), grid, side="right") / len(x) for x in (first, second)]
    scale = np.sqrt((len(first) + len(second)) / (len(first) * len(second)))
    return float(np.abs(shares[0] - shares[1]).max() / (1.95 * scale))


def per_person(month: Month, name: str) -> np.ndarray:
    """Return one value of each household: its members share what is drawn for it."""
    values = month[name].astype(np.float64)
    return values[np.unique(month["household"], return_index=True)[1]]


def auc(score: np.ndarray, target: np.ndarray) -> float:
    ranks = np.empty(len(score))
    ranks[np.argsort(score)] = np.arange(1, len(score) + 1)
    positives = target.sum()
    above = ranks[target].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(target) - positives)))


def test_churn_is_drawn_with_the_stated_probability(drifting: list[Month]) -> None:
    for number, month in enumerate(drifting):
        stated = churn_probability(month, strength(number, 1.0))
        deciles = np.array_split(np.argsort(stated), 10)
        for rows in deciles:
            expected, variance = stated[rows].sum(), (stated[rows] * (1 - stated[rows])).sum()
            assert abs(month["churned"][rows].sum() - expected) < 5 * np.sqrt(variance)


def test_the_signal_is_strong_and_a_fifth_churns(steady: list[Month]) -> None:
    month = steady[3]
    assert 0.17 < month["churned"].mean() < 0.23
    assert 0.87 < auc(churn_probability(month), month["churned"]) < 0.91


@pytest.mark.parametrize("name", [*NUMBERS, *LABELS, "days_since_login", "auto_renew", "churned"])
def test_without_drift_months_are_alike(steady: list[Month], name: str) -> None:
    """Months further apart than a customer is followed are independent samples."""
    assert distance(per_person(steady[0], name), per_person(steady[11], name)) < 1
    assert distance(per_person(steady[2], name), per_person(steady[9], name)) < 1


def test_without_drift_bills_are_paid_alike(steady: list[Month]) -> None:
    january, december = (
        (m["paid_at"] - m["billed_at"]) / np.timedelta64(1, "D") for m in (steady[0], steady[11])
    )
    assert distance(january, december) < 1
    unpaid = [np.isnat(steady[month]["paid_at"]).astype(float) for month in (0, 1, 11)]
    assert distance(unpaid[0], unpaid[2]) < 1
    assert distance(unpaid[0], unpaid[1]) < 1


@pytest.mark.parametrize("name", ["channel", "monthly_fee", "support_calls", "satisfaction"])
def test_drift_moves_the_documented_columns_more_each_quarter(
    drifting: list[Month], name: str
) -> None:
    moved = [distance(drifting[0][name], drifting[n][name]) for n in (3, 7, 11)]
    assert moved[0] < moved[1] < moved[2]
    assert moved[2] > 2


@pytest.mark.parametrize("name", ["usage_hours", "days_since_login", "region", "plan"])
def test_drift_leaves_other_columns_alone(
    steady: list[Month], drifting: list[Month], name: str
) -> None:
    assert distance(per_person(steady[0], name), per_person(drifting[11], name)) < 1


def test_drift_takes_the_effect_of_auto_renew_away(steady: list[Month]) -> None:
    bound = {**steady[0], "auto_renew": np.ones(PLACES, dtype=bool), "contract": np.zeros(PLACES)}
    free = {**bound, "auto_renew": np.zeros(PLACES, dtype=bool)}
    assert (churn_probability(bound) < churn_probability(free)).all()
    np.testing.assert_array_equal(churn_probability(bound, 1.0), churn_probability(free, 1.0))


def test_customers_return_with_their_attributes_until_they_churn(steady: list[Month]) -> None:
    followed: dict[int, int] = {}
    for before, after in pairwise(steady):
        kept = before["customer"] == after["customer"]
        assert not before["churned"][kept].any()
        for name in ("household", "age_band", "region", "plan", "contract", "auto_renew"):
            np.testing.assert_array_equal(before[name][kept], after[name][kept])
        np.testing.assert_array_equal(
            before["tenure_months"][kept] + 1, after["tenure_months"][kept]
        )
        gone = before["customer"][before["churned"]]
        assert not np.isin(gone, after["customer"]).any()
    for month in steady:
        customers = month["customer"]
        assert len(np.unique(customers)) == PLACES
        for customer in customers[:200].tolist():
            followed[customer] = followed.get(customer, 0) + 1
    assert max(followed.values()) == PANEL


def test_households_are_small_and_share_a_region(steady: list[Month]) -> None:
    households = np.concatenate([m["household"] for m in steady])
    customers = np.concatenate([m["customer"] for m in steady])
    regions = np.nan_to_num(np.concatenate([m["region"] for m in steady]), nan=-1)
    pairs = np.unique(np.stack([households, customers]), axis=1)
    sizes = np.unique(pairs[0], return_counts=True)[1]
    assert set(sizes.tolist()) == {1, 2, 3, 4}
    places = np.unique(np.stack([households, regions]), axis=1)
    assert places.shape[1] == len(np.unique(households))


def test_chunks_draw_different_customers() -> None:
    first, second = (next(simulate(chunk, 100, 1, 0.0, 1)) for chunk in (0, 1))
    assert not np.isin(first["customer"], second["customer"]).any()
    assert (first["usage_hours"] != second["usage_hours"]).any()


def test_more_months_leave_the_earlier_ones_as_they_were(drifting: list[Month]) -> None:
    for short, long in zip(simulate(0, PLACES, 2, 1.0, 1), drifting, strict=False):
        for name, values in short.items():
            np.testing.assert_array_equal(values, long[name])
