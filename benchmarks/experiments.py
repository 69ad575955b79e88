"""How often an experiment is wrong, how soon it is right, and how soon a bad model is stopped.

    python benchmarks/experiments.py            # seeded simulations, two minutes

Units come every day, each arm is looked at every day, and the first look that decides stands.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.stats import binom

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "{{cookiecutter.project_slug}}/engine/src")]

from mlops.impact.sequences import Sums, difference, sample_ratio  # noqa: E402
from mlops.rollout.guard import Guard  # noqa: E402

ALPHA, RATIO, DAYS, UNITS, PLANNED = 0.05, 0.01, 28, 500, 10_000
A_MINUTE, MINUTES, LIMIT = 20, 60, 0.01
Array = np.ndarray


def arm(random: np.random.Generator, rate: float) -> Sums:
    """Return the sums of an arm to the end of each day, of units that do something or do not."""
    did = np.cumsum(random.binomial(UNITS, rate, DAYS)).astype(float)
    n = UNITS * np.arange(1.0, DAYS + 1)
    nothing = np.zeros(DAYS)
    return Sums(n, did, did, nothing, nothing, nothing)


def decisions(rates: tuple[float, float], runs: int) -> Array:
    """Return the day on which each run was decided, infinite where none was."""
    random = np.random.default_rng(1)
    first = np.full(runs, np.inf)
    for run in range(runs):
        found = difference(arm(random, rates[0]), arm(random, rates[1]), PLANNED, ALPHA)
        hits = np.flatnonzero(np.abs(found.effect) > found.half)
        if len(hits):
            first[run] = hits[0] + 1
    return first


def ratios(share: float, runs: int, a_day: int = 2000) -> Array:
    """Return the day on which arms drawn by halves were found not to be, if they were."""
    random = np.random.default_rng(2)
    first = np.full(runs, np.inf)
    for run in range(runs):
        came = np.cumsum(random.binomial(a_day, share, DAYS)).astype(float)
        found = sample_ratio(a_day * np.arange(1.0, DAYS + 1) - came, came, 0.5)
        hits = np.flatnonzero(found < RATIO)
        if len(hits):
            first[run] = hits[0] + 1
    return first


def stops(rate: float, runs: int, alpha: float) -> Array:
    """Return the minute in which a canary with a rate of errors was stopped, if it was."""
    random, guard = np.random.default_rng(3), Guard(LIMIT)
    failed = random.binomial(A_MINUTE, rate, (runs, MINUTES)).cumsum(axis=1)
    first = np.full(runs, np.inf)
    for minute in range(MINUTES):
        requests = A_MINUTE * (minute + 1)
        too_many = next(k for k in range(requests + 1) if guard.is_above(k, requests, alpha))
        hit = (failed[:, minute] >= too_many) & np.isinf(first)
        first[hit] = minute + 1
    return first


def best_possible() -> float:
    """Return the most that any rule can find in ten minutes that stops 1 % of the healthy ones.

    Neyman and Pearson, Philosophical Transactions A 231, 1933: of one look at the end.
    """
    requests = 10 * A_MINUTE
    least = next(k for k in range(requests) if binom.sf(k - 1, requests, LIMIT / 2) <= 0.01)
    spare = 0.01 - binom.sf(least - 1, requests, LIMIT / 2)
    drawn = spare / binom.pmf(least - 1, requests, LIMIT / 2)
    found = binom.sf(least - 1, requests, 0.05) + drawn * binom.pmf(least - 1, requests, 0.05)
    return float(found)


def main() -> None:
    same = decisions((0.2, 0.2), 1000)
    print(f"two that are alike, 1,000 runs: {np.isfinite(same).mean():.1%} decided")
    more = decisions((0.2, 0.22), 1000)
    days = np.median(more)
    print(f"+2 points, {UNITS} units an arm and day: {np.isfinite(more).mean():.1%}, median {days}")
    for share in (0.5, 0.48):
        found = ratios(share, 10_000)
        within = (found <= 5).mean()
        print(
            f"arms of {1 - share:.0%} and {share:.0%}, 2,000 a day: {np.isfinite(found).mean():.2%}"
            f" told, {within:.1%} within five days, median day {np.median(found)}"
        )
    for alpha in (ALPHA, ALPHA / 4):
        for rate in (0.005, 0.01, 0.05):
            found = stops(rate, 10_000, alpha)
            soon = (found <= 10).mean()
            print(
                f"canary of {A_MINUTE} requests a minute, {rate:.1%} errors, limit {LIMIT:.0%}, "
                f"alpha {alpha:.3g}: {np.isfinite(found).mean():.2%} stopped, {soon:.1%} within "
                f"ten minutes, 99 % by minute {np.quantile(found, 0.99, method='lower')}"
            )
    print(f"the most that any rule finds within ten minutes: {best_possible():.1%}")


if __name__ == "__main__":
    main()
