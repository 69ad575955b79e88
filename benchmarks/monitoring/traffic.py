"""Seeded weeks of a table with fifty features, as a bundle's reference and as traffic."""

import sys
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
sys.path[:0] = [str(PROJECT / "engine/src"), str(PROJECT / "src")]

from mlops.bundle.cells import Cells, Layout  # noqa: E402
from mlops.bundle.counting import Tally, equal_chance, hashes  # noqa: E402
from mlops.bundle.losses import Outcomes  # noqa: E402
from mlops.bundle.reading import Loaded  # noqa: E402
from mlops.bundle.reference import Period, Reference  # noqa: E402
from mlops.config.settings import (  # noqa: E402
    Evaluation,
    Features,
    Model,
    Monitoring,
    Settings,
    Split,
    Training,
    Tuning,
)
from mlops.contract import Contract  # noqa: E402
from mlops.features.encoding import Encoder  # noqa: E402
from mlops.monitoring.case import Case, Day  # noqa: E402

NUMBERS, LABELS = 30, (2, 2, 3, 3, 4, 4, 5, 5, 6, 8, 8, 10, 10, 12, 20, 20, 30, 50, 100, 200)
START = date(2024, 1, 4)  # a Thursday, as the weeks of numpy begin
WEEKS = 52
REFERENCE_ROWS = 5_000  # a week, at most
RARE = (20, 0.2)  # the feature of which a fifth is missing
BINS = 20
KINDS = ("independent", "wobbling", "seasonal", "repeated")
WOBBLE, SEASON, VISITS = 0.03, 0.5, 10


class Change(NamedTuple):
    """What is wrong with a week: its kind, and how much."""

    kind: str = ""
    size: float = 0.0


NONE = Change()


class World(NamedTuple):
    """Rows of a kind of traffic, drawn week by week from one seed."""

    kind: str
    seed: int = 0

    def rows(self, week: int, rows: int, change: Change = NONE) -> tuple[np.ndarray, np.ndarray]:
        """Return float32 values (rows, features) of one week, and a number for who each is of."""
        random = np.random.default_rng([self.seed, week + 1000])
        units = np.arange(rows, dtype=np.uint64) + np.uint64(week) * np.uint64(1 << 40)
        drawn = rows
        if self.kind == "repeated":
            drawn = max(1, rows // VISITS)
        moved, weights = self._moved(random, week)
        common = random.standard_normal(drawn, dtype=np.float32)
        found = np.empty((rows, NUMBERS + len(LABELS)), dtype=np.float32)
        repeated = np.arange(rows) % drawn
        for at in range(NUMBERS):
            values = 0.5 * common + 0.866 * random.standard_normal(drawn, dtype=np.float32)
            values += moved[at]
            if self.kind == "repeated" and at < 5:  # what differs from visit to visit
                values = values[repeated] + 0.5 * random.standard_normal(rows, dtype=np.float32)
            elif self.kind == "repeated":
                values = values[repeated]
            found[:, at] = _shaped(at, values, random, change)
        for place, labels in enumerate(LABELS):
            shares = 1 / np.arange(1, labels + 1) ** 0.7
            shares = shares * np.exp(weights[place] * np.linspace(-1, 1, labels))
            shares *= np.exp(self._wobble(random) * random.standard_normal(labels))
            codes = _labelled(random, shares / shares.sum(), drawn, place, change)
            found[:, NUMBERS + place] = codes[repeated] if self.kind == "repeated" else codes
        if change.kind == "slice":  # where the first category of ten labels has its second
            within = found[:, NUMBERS + 11] == 1
            found[within, 4] += change.size
        order = random.permutation(rows)
        return found[order], (units[repeated] if self.kind == "repeated" else units)[order]

    def _moved(self, random: np.random.Generator, week: int) -> tuple[np.ndarray, np.ndarray]:
        fixed = np.random.default_rng([self.seed, 7]).random(NUMBERS + len(LABELS))
        season = np.sin(2 * np.pi * (week / 52 + fixed)) * (self.kind == "seasonal")
        moved = SEASON * season
        moved[:NUMBERS] += self._wobble(random) * random.standard_normal(NUMBERS)
        return moved[:NUMBERS].astype(np.float32), moved[NUMBERS:]

    def _wobble(self, _: np.random.Generator) -> float:
        return WOBBLE if self.kind == "wobbling" else 0.0


def _shaped(at: int, values: np.ndarray, random: np.random.Generator, change: Change) -> np.ndarray:
    """Return a number of one of five shapes, changed where it is the one that changes."""
    if change.kind == "mean" and at == 3:
        values = values + np.float32(change.size)
    if 10 <= at < 16:
        values = np.exp(values)
    elif 16 <= at < 20:
        values = np.floor(np.exp(0.5 + 0.6 * values))
    elif at == RARE[0] or 21 <= at < 24:
        share = RARE[1] if at == RARE[0] else 0.02
        share += change.size if change.kind == "missing" and at == RARE[0] else 0.0
        values = np.where(random.random(len(values)) < share, np.float32(np.nan), values)
    elif 24 <= at < 27:
        values = np.round(values * 10) / 10
    if change.kind == "unit" and at == 12:
        values = np.where(random.random(len(values)) < change.size, values * 100, values)
    if change.kind == "stuck" and at == 5:
        values = np.where(random.random(len(values)) < change.size, np.float32(0.3), values)
    return values


def _labelled(
    random: np.random.Generator, shares: np.ndarray, rows: int, place: int, change: Change
) -> np.ndarray:
    """Return codes of labels; the category of ten labels is the one that changes."""
    if place == 12 and change.kind == "label":
        shares = shares * (1 - change.size / (1 - shares[0]))
        shares[0] += 1 - shares.sum()
    codes = np.searchsorted(np.cumsum(shares)[:-1], random.random(rows), side="right")
    if place == 12 and change.kind == "unseen":
        codes = np.where(random.random(rows) < change.size, len(shares), codes)
    return codes.astype(np.float32)


def contract() -> Contract:
    """Return the contract of the table."""
    numbers = {f"n{at}": {"type": "number", "nullable": True} for at in range(NUMBERS)}
    categories = {
        f"c{place}": {"type": "category", "categories": [f"l{code}" for code in range(labels)]}
        for place, labels in enumerate(LABELS)
    }
    columns = {**numbers, **categories, "y": {"type": "boolean", "role": "target"}}
    return msgspec.convert({"name": "weeks", "task": "binary", "columns": columns}, Contract)


def layout(values: np.ndarray, declared: Contract) -> Layout:
    """Return how the table is counted, from the rows of the reference."""
    shares = np.linspace(0, 1, BINS + 1)[1:-1]
    features = []
    for at in range(NUMBERS):
        known = values[:, at][~np.isnan(values[:, at])]
        ends = [known.min(), *np.quantile(known, shares), np.nextafter(known.max(), np.inf)]
        features.append(Cells(f"n{at}", np.unique(np.array(ends, dtype=np.float32))))
    for place in range(len(LABELS)):
        named = tuple(declared.columns[f"c{place}"].categories)
        features.append(Cells(f"c{place}", np.empty(0, np.float32), named))
    sliced = {
        f"c{place}": (*declared.columns[f"c{place}"].categories, "(not declared)", "(missing)")
        for place in (0, 4, 11)
    }
    outputs = (Cells("", np.quantile(answers(values), [0.0, *shares, 1.0]).astype(np.float32)),)
    return Layout(tuple(features), outputs, sliced, 0.5)


def answers(values: np.ndarray) -> np.ndarray:
    """Return what a model says of rows: a probability."""
    logit = values[:, 3] + 0.5 * np.nan_to_num(values[:, 4]) - 0.3 * values[:, NUMBERS]
    return 1 / (1 + np.exp(-logit.astype(np.float64)))


def sides(values: np.ndarray, cells: Layout) -> Mapping[str, np.ndarray]:
    """Return the codes of the columns by which rows are counted apart."""
    return {name: values[:, NUMBERS + int(name[1:])].astype(np.float64) for name in cells.sliced}


def reference(world: World, rows: int) -> tuple[Layout, Reference, Contract]:
    """Return a year of a world as the reference of a bundle."""
    declared = contract()
    weekly = [world.rows(week, min(rows, REFERENCE_ROWS)) for week in range(WEEKS)]
    every = np.concatenate([values for values, _ in weekly])
    cells = layout(every, declared)
    seen, periods = Tally(cells), []
    for week, (values, units) in enumerate(weekly):
        seen.add(values, answers(values), sides(values, cells), units)
        one = Tally(cells._replace(sliced={}))
        one.add(values, answers(values), {})
        start = START + timedelta(days=7 * week)
        ends = start.isoformat(), (start + timedelta(days=7)).isoformat()
        counted = one.counts()
        periods.append(Period(*ends, len(values), counted.features, counted.outputs))
    counts = seen.counts()
    again = 0.0 if world.kind == "repeated" else equal_chance(hashes(np.ascontiguousarray(every.T)))
    return cells, Reference(counts, counts, Outcomes(), periods, again), declared


def bundle(declared: Contract) -> Loaded:
    """Return as much of a bundle as rules look at."""
    settings = Settings(
        0,
        declared,
        Split("hash"),
        Features(),
        Model("dummy", "codes", ["binary"], {}),
        Training(),
        Tuning(),
        Evaluation("log_loss", ["log_loss"]),
    )
    encoder = Encoder.build(declared, Features())
    return Loaded({}, declared, encoder, None, settings)  # type: ignore[arg-type]


def days(
    world: World, cells: Layout, week: int, rows: int, change: Change, keyed: bool
) -> Iterator[Day]:
    """Yield the seven days of a week, counted."""
    values, units = world.rows(week, rows, change)
    for at, part in enumerate(np.array_split(np.arange(rows), 7)):
        tally = Tally(cells)
        chosen = values[part]
        unit = units[part] if keyed else None
        tally.add(chosen, answers(chosen), sides(chosen, cells), unit)
        day = START + timedelta(days=7 * week + at)
        yield Day(day.isoformat(), "weeks", tally.counts())


def case(
    known: tuple[Layout, Reference, Contract],
    settings: Monitoring,
    recent: Mapping[str, Day],
    at: date,
    traffic: Mapping[str, int],
) -> Case:
    """Return the case of a day."""
    cells, about, declared = known
    return Case(at, bundle(declared), cells, about, settings, recent, traffic)
