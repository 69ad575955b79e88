"""How often the monitor alarms where nothing matters, and how soon it finds what does.

    python benchmarks/monitoring/weeks.py                        # 200 null weeks of each kind
    python benchmarks/monitoring/weeks.py --changes              # and what is found, how soon

An alarm is an alert or a note of any rule of conf/monitoring/standard.yaml, on any day of a week.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta

import traffic  # isort: skip  # finds the engine
from traffic import KINDS, NONE, PROJECT, START, WEEKS, Change, World

from mlops.monitoring.case import Day
from mlops.monitoring.judge import ruling
from mlops.monitoring.policy import Policy, compose

SIZES = (500, 5_000, 50_000, 500_000)
# What changes, by how much, and the days within which it is to be found.
CHANGES = {
    "unit x100 in 5 %": (Change("unit", 0.05), 1),
    "stuck 5 %": (Change("stuck", 0.05), 1),
    "missing +5 points": (Change("missing", 0.05), 1),
    "new label 2 %": (Change("unseen", 0.02), 1),
    "mean +0.25 sd": (Change("mean", 0.25), 7),
    "label +5 points": (Change("label", 0.05), 7),
    "slice of 10 % by 0.5 sd": (Change("slice", 0.5), 14),
}


def policy() -> Policy:
    """Return the policy of the template."""
    return compose(PROJECT, "binary", "the template")


def alarms(
    world: World,
    law: Policy,
    known: tuple,
    rows: int,
    weeks: range,
    change: Change,
    keyed: bool,
) -> Iterator[tuple[date, list[str]]]:
    """Yield each day of some weeks with what is found on it; four weeks before are unchanged."""
    recent: dict[str, Day] = {}
    counts: dict[str, int] = {}
    for week in range(weeks.start - 4, weeks.stop):
        now = change if week >= weeks.start else NONE
        for day in traffic.days(world, known[0], week, rows, now, keyed):
            recent[day.date] = day
            counts[day.date] = day.counts.rows
            if week < weeks.start:
                continue
            at = date.fromisoformat(day.date)
            first = (at - timedelta(days=27)).isoformat()
            recent = {name: one for name, one in recent.items() if name >= first}
            case = traffic.case(known, law.settings, recent, at, counts)
            yield (
                at,
                [
                    f"{entry['name']} {finding.get('part', '')} {finding.get('window', '')}"
                    for entry in ruling(law, case)
                    for finding in entry["findings"]
                    if finding["verdict"] in ("alert", "note")
                ],
            )


def null(law: Policy, kind: str, rows: int, weeks: int, keyed: bool, seed: int) -> str:
    """Return in how many weeks something was found though nothing had changed."""
    world = World(kind, seed)
    known = traffic.reference(world, rows)
    found: Counter[int] = Counter()
    what: Counter[str] = Counter()
    span = range(WEEKS + 4, WEEKS + 4 + weeks)
    if kind == "seasonal":  # a year later, another model is made: start anew
        span = range(WEEKS, WEEKS + 48)
    done = 0
    while done < weeks:
        part = range(span.start, min(span.stop, span.start + weeks - done))
        for at, said in alarms(world, law, known, rows, part, NONE, keyed):
            week = done + ((at - START).days // 7 - part.start)
            found[week] += len(said)
            what.update(said)
        done += len(part)
        if done < weeks:
            world = World(kind, world.seed + 1)
            known = traffic.reference(world, rows)
    alarmed = sum(count > 0 for count in found.values())
    most = ", ".join(f"{name} ({count})" for name, count in what.most_common(3))
    return f"{kind:12} {rows:>8,} rows a week: {alarmed} of {weeks} weeks {most}"


def detected(law: Policy, name: str, rows: int, trials: int) -> str:
    """Return in how many trials a change was found in time."""
    change, within = CHANGES[name]
    hits = 0
    parts = {
        "unit": "n12",
        "stuck": "n5",
        "missing": "n20",
        "unseen": "c12",
        "mean": "n3",
        "label": "c12",
        "slice": "n4 in c11=l1",
    }
    for trial in range(trials):
        world = World("independent", 100 + trial)
        known = traffic.reference(world, rows)
        span = range(WEEKS + 4, WEEKS + 4 + (within + 6) // 7)
        days = list(alarms(world, law, known, rows, span, change, True))[:within]
        hits += any(parts[change.kind] in one for _, said in days for one in said)
    return f"{name:26} {rows:,} rows a week, within {within} days: {hits} of {trials}"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--weeks", type=int, default=200)
    asked.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    asked.add_argument("--kinds", nargs="*", default=KINDS)
    asked.add_argument("--changes", action="store_true")
    asked.add_argument("--trials", type=int, default=40)
    asked.add_argument("--unkeyed", action="store_true", help="no routing key is in the log")
    given = asked.parse_args()
    law = policy()
    for kind in given.kinds:
        for rows in given.sizes:
            print(null(law, kind, rows, given.weeks, not given.unkeyed, 0), flush=True)
    if given.changes:
        for name in CHANGES:
            for rows in (5_000, 35_000):
                print(detected(law, name, rows, given.trials), flush=True)


if __name__ == "__main__":
    main()
