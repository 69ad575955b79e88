"""Days of an invented service, counted, beside half a year that a bundle was made of."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import cache
from typing import Any, NamedTuple

import msgspec
import numpy as np

from mlops.bundle.cells import Layout, Limits
from mlops.bundle.counting import Counts, Tally
from mlops.bundle.losses import Outcomes, outcomes
from mlops.bundle.profile import profile
from mlops.bundle.reading import Loaded
from mlops.bundle.reference import Period, Reference
from mlops.config.settings import Features, Monitoring
from mlops.contract import Contract
from mlops.features.encoding import Encoder
from mlops.monitoring.case import Case, Day

AT = date(2026, 8, 2)  # a Sunday; the reference ends a month before
WEEKS, ROWS = 26, 400  # of the reference, a week
START = date(2026, 1, 1)
NUMBER, RARE, KIND = range(3)
KINDS = ("flat", "house", "villa")
SHARES = (0.5, 0.3, 0.2)
COLUMNS = {
    "size": {"type": "number", "nullable": True},
    "rare": {"type": "number", "nullable": True},
    "kind": {"type": "category", "nullable": True, "categories": list(KINDS)},
    "y": {"type": "boolean", "role": "target"},
}
Change = Callable[[np.ndarray, np.random.Generator], Any]


class World(NamedTuple):
    """What a bundle knows of its rows."""

    bundle: Loaded
    layout: Layout
    reference: Reference


def drawn(rows: int, seed: int, change: Change | None = None) -> np.ndarray:
    """Float32 rows: a size around 0, a number that a tenth of the rows has, and a kind."""
    random = np.random.default_rng(seed)
    values = np.empty((rows, 3), dtype=np.float32)
    values[:, NUMBER] = random.standard_normal(rows)
    rare = random.random(rows) < 0.1
    values[:, RARE] = np.where(rare, random.standard_normal(rows), np.nan)
    values[:, KIND] = random.choice(3, rows, p=SHARES)
    if change is not None:
        change(values, random)
    return values


def answers(values: np.ndarray) -> np.ndarray:
    """What is answered: it hangs on the size."""
    return 1 / (1 + np.exp(-np.nan_to_num(values[:, NUMBER]).astype(np.float64)))


def truth(given: np.ndarray, seed: int, wrong: float = 0.0) -> np.ndarray:
    """What turns out to be true: as often as was answered, turned round in a share `wrong`."""
    random = np.random.default_rng(seed + 10**6)
    true = random.random(len(given)) < given
    return (true ^ (random.random(len(given)) < wrong)).astype(float)


@cache
def world(weeks: int = WEEKS, season: Change | None = None) -> World:
    """Return the bundle and its reference; with no weeks, no period of it is known.

    The second half of the weeks is of another `season`.
    """
    contract = msgspec.convert({"name": "t", "task": "binary", "columns": COLUMNS}, Contract)
    encoder = Encoder.build(contract, Features())
    parts = [drawn(ROWS, seed, season if seed >= WEEKS // 2 else None) for seed in range(WEEKS)]
    every = np.concatenate(parts)
    about = profile(contract, encoder, every, answers(every), "binary")
    layout = Layout.of(about, contract, Limits(12, 0.5))
    seen = _tallied(layout, every).counts()
    periods = []
    for week, values in enumerate(parts[:weeks]):
        counted = _tallied(layout._replace(sliced={}), values).counts()
        first = START + timedelta(days=7 * week)
        ends = first.isoformat(), (first + timedelta(days=7)).isoformat()
        periods.append(Period(*ends, len(values), counted.features, counted.outputs))
    reference = Reference(seen, seen, _known(layout, every, truth(answers(every), 0)), periods)
    settings: Any = None
    bundle = Loaded({}, contract, encoder, settings, settings)
    return World(bundle, layout, reference)


def case(
    change: Change | None = None,
    since: int = 1,
    rows: int = 400,
    days: int = 28,
    wrong: float = 0.0,
    of: World | None = None,
    traffic: Mapping[str, int] | None = None,
    at: date = AT,
    unrecorded: frozenset[str] = frozenset(),
    **settings: Any,
) -> Case:
    """Return a case of days with as many rows each, changed in the last `since`.

    Outcomes of all of them are mature; a share `wrong` of those that changed is turned round.
    """
    known = of or world()
    recent = {}
    for back in range(days):
        day = (at - timedelta(days=back)).isoformat()
        changed = back < since
        counted, outcome = _day(
            known, rows, 1000 + back, change if changed else None, wrong * changed
        )
        recent[day] = Day(day, "m" * 64, counted, outcomes=outcome, known=rows)
    order = dict(sorted(recent.items()))
    came = traffic if traffic is not None else {day: rows for day in order}
    asked = Monitoring(**{"maturity_days": 0, **settings})
    return Case(at, known.bundle, known.layout, known.reference, asked, order, came, unrecorded)


def _day(
    known: World, rows: int, seed: int, change: Change | None, wrong: float
) -> tuple[Counts, Outcomes]:
    values = drawn(rows, seed, change)
    true = truth(answers(values), seed, wrong)
    return _tallied(known.layout, values).counts(), _known(known.layout, values, true)


def _tallied(layout: Layout, values: np.ndarray) -> Tally:
    tally = Tally(layout)
    tally.add(values, answers(values), {"kind": values[:, KIND].astype(float)})
    return tally


def _known(layout: Layout, values: np.ndarray, true: np.ndarray) -> Outcomes:
    columns = {"kind": values[:, KIND].astype(float)}
    return outcomes(layout, true, answers(values), columns, ("false", "true"))
