"""How often an experiment is wrong, how soon it is right, and how soon a bad model is stopped.

    python benchmarks/experiments.py            # seeded simulations, four minutes

Units come every day, each arm is looked at every day, and the first look that decides stands.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.stats import binom

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "{{cookiecutter.project_slug}}/engine/src")]

from mlops.impact.sequences import Sums, difference, sample_ratio  # noqa: E402
from mlops.rollout.drift import Drift  # noqa: E402
from mlops.rollout.guard import Guard  # noqa: E402

ALPHA, RATIO, DAYS, UNITS, PLANNED = 0.05, 0.01, 28, 500, 10_000
A_MINUTE, MINUTES, LIMIT = 20, 60, 0.01
LEVEL, MARGIN = (
    0.2,
    0.05,
)  # the share that a champion answers a label, and how far one may lie apart
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


def drifts(levels: tuple[Array, Array], shares: Array, a_minute: int, runs: int) -> Array:
    """Return the minute in which a challenger was stopped that answers a label at other levels.

    By minute, as the champion's levels and the challenger's share: units come, and are drawn.
    """
    random, alpha = np.random.default_rng(4), ALPHA / 3
    first = np.full(runs, np.inf)
    for run in range(runs):
        found = Drift(MARGIN, 1)
        for minute, (one, other, share) in enumerate(zip(*levels, shares, strict=True)):
            challenger = random.random(a_minute) < share
            values = random.random(a_minute) < np.where(challenger, other, one)
            found.add(values[:, None].astype(float), challenger, np.full(a_minute, share))
            if found.is_beyond(alpha):
                first[run] = minute + 1
                break
    return first


def tell_drifts() -> None:
    same, half = np.full(120, LEVEL), np.full(120, 0.5)
    # Who comes changes with the hour, while a ramp gives the challenger more.
    hours, ramp = LEVEL + 0.1 * np.sin(np.linspace(0, 12, 120)), np.geomspace(0.01, 0.5, 120)
    cases: list[tuple[str, tuple[Array, Array], Array]] = [
        ("as the champion", (same, same), half),
        ("at the margin", (same, same + MARGIN), half),
        ("at the margin, by the hour, with a share from 1 to 50 %", (hours, hours + MARGIN), ramp),
        ("below it, likewise", (hours, hours - MARGIN), ramp),
        ("10 points more", (same, same + 0.1), half),
        ("15 points more", (same, same + 0.15), half),
        ("15 points less", (same, same - 0.15), half),
        ("15 points more, of a tenth", (same, same + 0.15), np.full(120, 0.1)),
    ]
    for name, levels, shares in cases:
        found = drifts(levels, shares, 2 * A_MINUTE, 2000)
        late = np.quantile(found, [0.5, 0.9], method="lower")
        print(
            f"a label at {LEVEL:.0%}, {name}, {2 * A_MINUTE} units a minute, margin {MARGIN:.0%}: "
            f"{np.isfinite(found).mean():.2%} stopped, half by minute {late[0]}, 90 % by {late[1]}"
        )


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
    tell_drifts()


if __name__ == "__main__":
    main()
