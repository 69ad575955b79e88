"""Whether a measured loss alarms where nothing changed, and how soon where the relation did.

    python benchmarks/monitoring/outcomes.py [--runs 200]

Answers of a calibrated model, 5,000 a week over half a year; outcomes come 30 days late. Looked at
every day. `null` changes nothing, `late` has some outcomes never, in `concept` the odds of
a quarter of the rows turn round from one day on.
"""

import argparse
from collections import Counter
from datetime import date, timedelta

import numpy as np

import traffic  # isort: skip  # finds the engine

from mlops.bundle.cells import Cells, Layout
from mlops.bundle.counting import Counts
from mlops.bundle.losses import outcomes
from mlops.bundle.reference import Reference
from mlops.config.settings import Monitoring
from mlops.monitoring.case import Case, Day
from mlops.monitoring.rules.performance import Performance
from mlops.monitoring.statistics import holm

DAILY, DAYS, CHANGE, LATE = 714, 180, 90, 30
FIRST = date(2026, 1, 1)
SLICES = ("north", "south", "east", "west", "(not declared)", "(missing)")
LAYOUT = Layout(
    (Cells("x", np.linspace(-3, 3, 20).astype(np.float32)),),
    (Cells("", np.linspace(0, 1, 20).astype(np.float32)),),
    {"region": SLICES},
    0.5,
)


def rows(random: np.random.Generator, count: int, changed: bool) -> tuple[np.ndarray, ...]:
    """Return answers, what came true, and regions."""
    logit = random.normal(-1, 1.5, count)
    region = random.integers(0, 4, count).astype(float)
    turned = changed & (random.random(count) < 0.25)
    true = random.random(count) < 1 / (1 + np.exp(np.where(turned, logit, -logit)))
    return 1 / (1 + np.exp(-logit)), true.astype(np.int64), region


def run(seed: int, kind: str, rule: Performance, settings: Monitoring) -> int | None:
    """Return the day of the first alert, of all rows or of a slice."""
    random = np.random.default_rng([17, seed])
    answers, true, region = rows(random, 4_000, False)
    held = outcomes(LAYOUT, true, answers, {"region": region}, ("no", "yes"))
    reference = Reference(Counts.none(LAYOUT), Counts.none(LAYOUT), held)
    bundle = traffic.bundle(traffic.contract())
    days: dict[str, Day] = {}
    for number in range(DAYS):
        answers, true, region = rows(random, DAILY, kind == "concept" and number >= CHANGE)
        known = random.random(DAILY) < (0.6 if kind == "late" else 1.0)
        found = outcomes(
            LAYOUT, true[known], answers[known], {"region": region[known]}, ("no", "yes")
        )
        day = FIRST + timedelta(number)
        days[day.isoformat()] = Day(day.isoformat(), "m", Counts.none(LAYOUT), outcomes=found)
        if number < LATE:
            continue
        mature = (day - timedelta(LATE)).isoformat()
        seen = {name: about for name, about in days.items() if name <= mature}
        case = Case(day, bundle, LAYOUT, reference, settings, seen, {})
        chances = [one.p for one in rule.judge(case) if one.p is not None]
        if chances and min(holm(chances)) <= settings.alpha / 3:
            return number
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    told = parser.parse_args()
    settings, rule = Monitoring(), Performance(loss="log_loss", margin=0.1, min_rows=200)
    for kind in ("null", "late", "concept"):
        days = [run(seed, kind, rule, settings) for seed in range(told.runs)]
        alarms = [day for day in days if day is not None]
        line = f"{kind:8} {len(alarms)} of {told.runs} runs of {DAYS} daily looks alarm"
        if kind == "concept":
            after = np.array(alarms) - CHANGE - LATE
            early = Counter(after < 0)[True]
            line += (
                f", {early} before the change is mature; days after that: median "
                f"{np.median(after):.0f}, 95 % within {np.quantile(after, 0.95):.0f}"
            )
        print(line, flush=True)


if __name__ == "__main__":
    main()
