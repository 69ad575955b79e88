"""How often intervals of what a policy would have earned hold what it earns, and what is refused.

    python benchmarks/value.py            # seeded simulations, a minute

Units come one to four times, an action is drawn for each by a known lot, and rewards are skewed.
What a policy truly brings follows from the rewards' means, row by row, of very many rows.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "{{cookiecutter.project_slug}}/engine/src")]

from mlops.impact.assigned import Logged  # noqa: E402
from mlops.impact.counterfactual import evaluated  # noqa: E402
from mlops.impact.sequences import Sums, difference  # noqa: E402
from mlops.metrics.decisions import best_cut  # noqa: E402
from mlops.rollout.declaration import ExperimentError  # noqa: E402

RUNS, UNITS, TRUTH = 400, 2000, 400_000
ACTIONS = np.array(["nothing", "call", "discount"], dtype=object)
COSTS = np.array([0.0, 1.0, 3.0])
EXPLORED = 0.1  # of the units, for each action; the rest gets what the model decides
Array = np.ndarray


class People(NamedTuple):
    """Rows: whose each is, what the model says of it, and what moves its rewards beside that."""

    unit: Array
    probability: Array
    loyal: Array


def people(random: np.random.Generator, units: int) -> People:
    """Return units that come one to four times each."""
    unit = np.repeat(np.arange(units), random.integers(1, 5, units))
    probability = np.clip(random.beta(2, 4, units)[unit] + random.normal(0, 0.05, len(unit)), 0, 1)
    return People(unit, probability, (random.random(units) < 0.4)[unit])


def means(of: People) -> Array:
    """Return what each action brings a row in the mean, (rows, actions)."""
    leaves = of.probability
    called = leaves * np.where(of.loyal, 0.4, 0.8)
    discounted = leaves * 0.5
    return -20 * np.column_stack([leaves, called, discounted])


def policies(of: People) -> dict[str, Array]:
    """Return the action of each row by several policies, as numbers."""
    best = (means(of) - COSTS).argmax(axis=1)
    return {
        "threshold 0.2": (of.probability > 0.2).astype(int),
        "threshold 0.5": (of.probability > 0.5).astype(int),
        "always discount": np.full(len(of.unit), 2),
        "loyal are called": np.where(of.loyal, 1, 0),
        "the best there is": best,
    }


def logged(random: np.random.Generator, units: int = UNITS) -> tuple[People, Logged]:
    """Return a log: a unit's arm is drawn once, and what is done follows for each of its rows."""
    of = people(random, units)
    decided = (of.probability > 0.35).astype(int)
    arm = random.choice(4, units, p=[EXPLORED] * 3 + [1 - 3 * EXPLORED])[of.unit]
    done = np.where(arm == 3, decided, arm)
    propensity = EXPLORED + (1 - 3 * EXPLORED) * (done == decided)
    mean = means(of)[np.arange(len(done)), done]
    stays = random.random(units)[of.unit] < 0.5  # what rows of a unit share
    value = mean * random.exponential(1.0, len(done)) * np.where(stays, 0.5, 1.5)
    nothing = np.zeros(len(done))
    none = np.full(len(done), None, dtype=object)
    times = np.full(len(done), np.datetime64("2026-03-01", "us"))
    columns = pa.table({"loyal": of.loyal})
    names = np.array(["n", "c", "d", "model"], dtype=object)[arm]
    what = (of.unit, times, names, ACTIONS[done], propensity, value, COSTS[done] + nothing)
    return of, Logged(*what, none, of.probability, columns, 0)


def main() -> None:
    every = people(np.random.default_rng(0), TRUTH)
    worth = means(every) - COSTS
    truth = {
        name: worth[np.arange(len(what)), what].mean() for name, what in policies(every).items()
    }
    covered = {name: np.zeros((RUNS, 2), dtype=bool) for name in truth}
    widths = {name: np.zeros((RUNS, 2)) for name in truth}
    for run in range(RUNS):
        of, log = logged(np.random.default_rng([1, run]))
        for name, what in policies(of).items():
            found = evaluated(log, ACTIONS[what])
            for at, one in enumerate((found.snips, found.doubly_robust)):
                covered[name][run, at] = one.low <= truth[name] <= one.high
                widths[name][run, at] = one.high - one.low
    for name, true in truth.items():
        snips, robust = covered[name].mean(axis=0)
        wide = widths[name].mean(axis=0)
        print(
            f"{name} ({true:.3f}): held by SNIPS {snips:.1%} (width {wide[0]:.3f}), by the doubly "
            f"robust {robust:.1%} ({wide[1]:.3f}) of {RUNS} logs of {UNITS:,} units"
        )
    for gain in (0.0, 0.15):
        wrong, right, days = paid(1000, gain)
        print(
            f"three actions against doing nothing, one worth {gain:g}: {right:.1%} found (median "
            f"day {days}), {wrong:.1%} say something of those that are alike"
        )
    print(f"a tenth without support: {refused(RUNS)} of {RUNS} refused")
    print(f"a threshold chosen on 2,000 rows brings {chosen():.1%} of what the best one does")


def paid(runs: int, gain: float, a_day: int = 200, days: int = 28) -> tuple[float, float, float]:
    """Return how often arms that are alike are told apart, and how often, and when, one that pays.

    Each of three arms is looked at every day at a third of alpha, against the same control.
    """
    wrong, found = 0, []
    for run in range(runs):
        random = np.random.default_rng([4, run])
        day = np.repeat(np.arange(days), a_day)
        nothing = np.zeros(len(day))
        sums = [
            Sums.of(random.exponential(1.0, len(day)) + more, nothing, day, days).cumulated()
            for more in (0.0, 0.0, 0.0, gain)
        ]
        looks = [difference(sums[0], one, 10_000, 0.05 / 3) for one in sums[1:]]
        apart = [np.flatnonzero(np.abs(one.effect) > one.half) for one in looks]
        alike = apart if gain == 0 else apart[:2]
        wrong += any(map(len, alike))
        found.append(apart[2][0] + 1 if gain and len(apart[2]) else np.inf)
    return wrong / runs, float(np.isfinite(found).mean()), float(np.median(found))


def refused(runs: int) -> int:
    """Return how many logs are refused in which a tenth of the people were never called."""
    count = 0
    for run in range(runs):
        _, log = logged(np.random.default_rng([2, run]))
        never = log.probability >= np.quantile(log.probability, 0.9)
        given = np.where(never, "nothing", log.action).astype(object)
        sure = np.where(never, 1.0, log.propensity)
        wanted = np.full(len(given), "call", dtype=object)
        try:
            evaluated(log._replace(action=given, propensity=sure), wanted)
        except ExperimentError:
            count += 1
    return count


def chosen(runs: int = 200, rows: int = 2000) -> float:
    """Return what the threshold that is chosen on some rows brings on others, of what is best.

    A row brings 1 acted on where it is positive, and costs 0.25: acting above 0.25 is best.
    """
    brought, best = 0.0, 0.0
    for run in range(runs):
        random = np.random.default_rng([3, run])
        p = random.beta(1, 3, rows)
        gained = (random.random(rows) < p) - 0.25
        every = random.beta(1, 3, 100_000)
        brought += np.where(every > best_cut(p, gained), every - 0.25, 0).mean()
        best += np.maximum(every - 0.25, 0).mean()
    return float(brought / best)


if __name__ == "__main__":
    main()
