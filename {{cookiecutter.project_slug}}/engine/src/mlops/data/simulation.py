"""The simulation of subscription churn behind the sample data (docs/sample-data.md).

The table is a rotating panel: each of its places follows one customer, month by month, until
the customer churns or has been followed for PANEL months; then another customer takes the place.
So every month has the same distribution, until `drift` changes it.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np

Columns: TypeAlias = dict[str, np.ndarray]

START = np.datetime64("2025-01", "M")
PANEL = 6  # months that a customer is followed
RAMP = 11  # months until the drift is complete
CLOSED = np.timedelta64(28, "D")  # the books close then, so that every month is as long

# Labels in the order of their codes, and how often each occurs.
LABELS: dict[str, dict[str, float]] = {
    "age_band": {"18-25": 0.14, "26-35": 0.24, "36-50": 0.28, "51-65": 0.22, "66+": 0.12},
    "gender": {"female": 0.49, "male": 0.49, "other": 0.02},
    "region": {"north": 0.2, "east": 0.25, "south": 0.3, "west": 0.15, "islands": 0.1},
    "plan": {"basic": 0.45, "standard": 0.35, "premium": 0.2},
    "contract": {"monthly": 0.5, "yearly": 0.35, "two_years": 0.15},
    "payment_method": {"card": 0.45, "direct_debit": 0.3, "invoice": 0.25},
    "channel": {"web": 0.45, "app": 0.3, "store": 0.25},
}
APP_AT_FULL_DRIFT = {"web": 0.25, "app": 0.6, "store": 0.15}
FEES = np.array([9.0, 17.0, 32.0])  # by plan
TERMS = np.array([1, 12, 24])  # months, by contract


def month_after_start(count: int) -> np.datetime64:
    """Return the month `count` months after the first."""
    return START + np.timedelta64(count, "M")


def strength(month: int, drift: float) -> float:
    """Return how far the drift has come: from 0 in the first month to `drift` after a year."""
    return drift * min(max(month, 0) / RAMP, 1.0)


def churn_probability(columns: Mapping[str, np.ndarray], drifted: float = 0.0) -> np.ndarray:
    """Return each row's true probability of churn, from columns of the table alone.

    Categories are codes, missing numbers NaN and missing datetimes NaT.
    """
    tenure, calls = columns["tenure_months"], columns["support_calls"]
    contract, plan, channel = columns["contract"], columns["plan"], columns["channel"]
    satisfaction, login = columns["satisfaction"], columns["days_since_login"]
    renews, usage = columns["auto_renew"] == 1, columns["usage_hours"]
    delay = (columns["paid_at"] - columns["billed_at"]) / np.timedelta64(1, "D")
    monthly, by_invoice = contract == 0, columns["payment_method"] == 2
    term = TERMS[contract.astype(np.intp)]
    ends = ~monthly & (tenure % term >= term - 2)
    value = np.log(columns["monthly_fee"] / (np.nan_to_num(usage, nan=12.0) + 3.0))
    young, old = columns["age_band"] <= 1, columns["age_band"] >= 3

    logit = np.full(len(tenure), -1.4)
    logit += np.where(monthly, 0.9 + 1.6 * np.exp(-tenure / 5.0), -1.6)
    logit += np.where(ends, np.where(renews, 1.6, 4.0), 0.0)
    logit += np.where(renews, -0.9 * (1.0 - drifted), 0.0)
    logit += np.where(plan == 2, 0.6, 1.8) * np.tanh(1.5 * value)
    logit += np.where((calls >= 2) & (satisfaction <= 2), 2.3, 0.0)
    logit -= np.where((calls >= 1) & (satisfaction >= 4), 1.6, 0.0)
    logit += np.where(np.isnan(satisfaction), 0.35, 0.0)
    logit += np.where(login > 20, np.where(channel == 1, 2.6, 0.4), 0.0)
    logit += np.where(np.isnan(login), np.where(channel == 2, -0.8, 1.1), 0.0)
    logit += np.where(delay > 12, np.where(by_invoice, 0.2, 1.5), 0.0)
    logit += np.where(np.isnat(columns["paid_at"]), np.where(by_invoice, 0.5, 1.9), 0.0)
    logit += np.where(young & (channel == 2), 1.0, 0.0) - np.where(old & (channel == 2), 0.9, 0.0)
    logit += np.where(np.isnan(usage), 0.5, 0.0) + np.where(columns["region"] == 4, 0.4, 0.0)
    return np.reciprocal(1.0 + np.exp(-logit))


def simulate(chunk: int, places: int, months: int, drift: float, seed: int) -> Iterator[Columns]:
    """Yield each month of one chunk of the panel.

    The panel starts PANEL - 1 months early, unseen: from then on, the customers of each month
    have been followed for all lengths of time alike.
    """
    rotation = np.arange(places) % PANEL
    people: Columns = {}
    count, leaving = 0, np.ones(places, dtype=bool)
    for month in range(1 - PANEL, months):
        rng = np.random.default_rng([seed, chunk, month + PANEL])
        leaving |= rotation == month % PANEL
        arrivals = _people(rng, int(leaving.sum()), chunk * 10**7 + count)
        count += int(leaving.sum())
        people = _replaced(people, leaving, arrivals)
        now = strength(month, drift)
        columns = {**people, **_month(rng, people, month_after_start(month), now)}
        leaving = rng.random(places) < churn_probability(columns, now)
        if month >= 0:
            yield {**columns, "churned": leaving.copy()}
        people["tenure_months"] = people["tenure_months"] + 1


def _replaced(people: Columns, leaving: np.ndarray, arrivals: Columns) -> Columns:
    """Return the customers of every place, with the arrivals in the places that became free."""
    if not people:
        return arrivals
    replaced = {name: values.copy() for name, values in people.items()}
    for name, values in replaced.items():
        values[leaving] = arrivals[name]
    return replaced


def _people(rng: np.random.Generator, count: int, first: int) -> Columns:
    """Draw customers, in households of one to four that share a region."""
    leads = rng.random(count) < 0.45
    leads[np.arange(count) % 4 == 0] = True
    leader = np.maximum.accumulate(np.where(leads, np.arange(count), 0))
    drawn = {name: _labels(rng, LABELS[name], count) for name in LABELS if name != "channel"}
    region = drawn["region"][leader].astype(np.float64)
    region[(rng.random(count) < 0.02)[leader]] = np.nan
    discount = rng.choice([1.0, 0.9, 0.75], count, p=[0.6, 0.25, 0.15])
    return drawn | {
        "customer": first + np.arange(count),
        "household": first + leader,
        "region": region,
        "tenure_months": np.minimum(rng.geometric(0.04, count) - 1, 96),
        "auto_renew": rng.random(count) < np.where(drawn["payment_method"] == 2, 0.35, 0.7),
        "fee": FEES[drawn["plan"]] * discount * rng.uniform(0.9, 1.1, count),
        "activity": rng.normal(0.0, 0.8, count) + 0.5 * drawn["plan"],
    }


def _month(
    rng: np.random.Generator, people: Columns, month: np.datetime64, drifted: float
) -> Columns:
    """Draw what differs from month to month."""
    count = len(people["customer"])
    shares = {
        label: (1 - drifted) * share + drifted * APP_AT_FULL_DRIFT[label]
        for label, share in LABELS["channel"].items()
    }
    calls = rng.poisson(0.9 * (1 + drifted), count)
    mood = 3.6 - 0.45 * calls + rng.normal(0.0, 1.2, count)
    satisfaction = np.clip(np.rint(mood), 1, 5)
    satisfaction[rng.random(count) < np.where(satisfaction <= 2, 0.5, 0.3)] = np.nan
    usage = np.exp(2.2 + people["activity"] + rng.normal(0.0, 0.5, count))
    usage = np.round(np.minimum(usage, 600.0), 2)
    login = np.minimum(np.floor(rng.exponential(11.0 * np.exp(-0.4 * people["activity"]))), 90.0)
    login[rng.random(count) < 0.08] = np.nan
    usage[rng.random(count) < 0.05] = np.nan
    billed = month.astype("datetime64[s]") + rng.integers(0, 5 * 86_400, count)
    paid = billed + np.minimum(rng.lognormal(12.9, 1.0, count), 1e8).astype("timedelta64[s]")
    paid[paid >= month.astype("datetime64[s]") + CLOSED] = np.datetime64("NaT", "s")
    return {
        "month": np.full(count, month.astype("datetime64[us]")),
        "channel": _labels(rng, shares, count),
        "monthly_fee": np.round(people["fee"] * (1 + 0.25 * drifted), 2),
        "usage_hours": usage,
        "support_calls": calls,
        "satisfaction": satisfaction,
        "days_since_login": login,
        "billed_at": billed.astype("datetime64[us]"),
        "paid_at": paid.astype("datetime64[us]"),
    }


def _labels(rng: np.random.Generator, shares: Mapping[str, float], count: int) -> np.ndarray:
    bounds = np.cumsum(list(shares.values()))[:-1]
    return np.searchsorted(bounds, rng.random(count), side="right").astype(np.int8)
