"""Worlds whose rows depend on one another as those of real tables do, and whose truth is known."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from mlops.config.settings import Evaluation, Features, Model, Settings, Split, Training, Tuning
from mlops.contract import Contract
from mlops.evaluation.measurement import measure
from mlops.evaluation.units import units

METRICS = ("roc_auc", "log_loss", "accuracy")
SURE = 1.5  # the weight of what the model knows
FIRST = np.datetime64("2025-01-01", "us")


class World(NamedTuple):
    """A holdout: how it was split, its columns, and what a model says of it."""

    split: Split
    roles: dict[str, Any]
    columns: dict[str, Any]
    target: Any
    predictions: Any

    @property
    def settings(self) -> Settings:
        types = {"who": "integer", "when": "datetime", "x": "number"}
        declared = {"x": {"type": "number"}, "y": {"type": "boolean", "role": "target"}}
        declared |= {name: {"type": types[name], "role": role} for name, role in self.roles.items()}
        content = {"name": "world", "task": "binary", "columns": declared}
        return Settings(
            seed=1,
            data=msgspec.convert(content, Contract),
            split=self.split,
            features=Features(),
            model=Model("sklearn.dummy.DummyClassifier", "codes", ["binary"], {}),
            training=Training(),
            tuning=Tuning(),
            evaluation=Evaluation("roc_auc", list(METRICS), resamples=400),
        )


Make = Callable[[np.random.Generator, int], World]


def world(
    generator: np.random.Generator,
    shared: Any,
    split: Split,
    roles: dict[str, Any],
    columns: dict[str, Any],
) -> World:
    """Return rows of which the model knows `x` and not what they share."""
    known = generator.normal(size=len(shared))
    target = known * SURE + shared + generator.logistic(size=len(shared)) > 0
    predictions = 1 / (1 + np.exp(-known * SURE))
    columns = columns | {"x": known, "y": target.astype(float)}
    return World(split, roles, columns, target.astype(int), predictions)


def rows(generator: np.random.Generator, size: int) -> World:
    """Return independent rows."""
    ids = {"who": np.arange(20 * size)}
    return world(generator, np.zeros(20 * size), Split("hash"), {"who": "id"}, ids)


def groups(generator: np.random.Generator, size: int) -> World:
    """Return groups of different sizes whose rows share what the model does not know."""
    who = np.repeat(np.arange(size), generator.integers(5, 40, size))
    shared = generator.normal(size=size)[who]
    return world(generator, shared, Split("group"), {"who": "group"}, {"who": who})


def recurring(generator: np.random.Generator, size: int) -> World:
    """Return ids that come twelve times each, with the same target and nearly the same answer."""
    who = np.repeat(np.arange(2 * size), 12)
    once = world(generator, np.zeros(2 * size), Split("hash"), {"who": "id"}, {})
    noise = generator.normal(scale=0.1, size=len(who))
    odds = np.log(once.predictions / (1 - once.predictions))[who] + noise
    columns = {"who": who, "x": odds, "y": once.columns["y"][who]}
    said = 1 / (1 + np.exp(-odds))
    return World(Split("hash"), {"who": "id"}, columns, once.target[who], said)


def days(generator: np.random.Generator, size: int) -> World:
    """Return days of which each shares a shock, seven tenths of which are there a day later."""
    count = 4 * size
    shock, shocks = generator.normal(), np.empty(count)
    for day in range(count):
        shocks[day] = shock
        shock = 0.7 * shock + np.sqrt(1 - 0.7**2) * generator.normal()
    day = np.repeat(np.arange(count), 8)
    when = FIRST + day * np.timedelta64(1, "D")
    split = Split("time", cutoff="2025-01-01")
    return world(generator, shocks[day], split, {"when": "time"}, {"when": when})


def months(generator: np.random.Generator, size: int) -> World:
    """Return a few moments, each with many rows and a shock of its own."""
    month = np.repeat(np.arange(max(4, size // 6)), 100)
    shocks = generator.normal(scale=0.7, size=month.max() + 1)
    when = FIRST + month * np.timedelta64(30, "D")
    split = Split("time", cutoff="2025-01-01")
    return world(generator, shocks[month], split, {"when": "time"}, {"when": when})


def panel(generator: np.random.Generator, size: int) -> World:
    """Return ids that come again in every month: both share what the model does not know."""
    month, who = (one.ravel() for one in np.mgrid[: max(6, size // 4), : 2 * size])
    shared = generator.normal(size=2 * size)[who]
    shared = shared + generator.normal(scale=0.3, size=month.max() + 1)[month]
    when = FIRST + month * np.timedelta64(30, "D")
    split = Split("time", cutoff="2025-01-01")
    roles = {"who": "id", "when": "time"}
    return world(generator, shared, split, roles, {"who": who, "when": when})


def few(generator: np.random.Generator, size: int) -> World:
    """Return eight groups."""
    return groups(generator, 8)


WORLDS: dict[str, Make] = {
    one.__name__: one for one in (rows, groups, recurring, days, months, panel, few)
}


def truth(make: Make) -> dict[str, float]:
    """Return what a holdout without end would say: the mean of many, weighed by their rows."""
    from mlops.metrics.catalogue import compute

    many = [make(np.random.default_rng(10_000 + seed), 2000) for seed in range(4)]
    if make is few:
        many = [groups(np.random.default_rng(10_000 + seed), 2000) for seed in range(4)]
    if make in (months, panel):  # as many rows in more months
        many = [make(np.random.default_rng(10_000 + seed), 1200) for seed in range(4)]
    target = np.concatenate([one.target for one in many])
    predictions = np.concatenate([one.predictions for one in many])
    return compute("binary", METRICS, target, predictions)


def coverage(name: str, worlds: int, size: int = 60) -> dict[str, float]:
    """Return how often the 95 % interval of each metric holds the truth."""
    make, held = WORLDS[name], dict.fromkeys(METRICS, 0)
    known = truth(make)
    for seed in range(worlds):
        one = make(np.random.default_rng(seed), size)
        drawn = units(one.settings, one.columns)
        asked = one.settings.evaluation
        found = measure("binary", one.target, one.predictions, [], asked, seed, drawn).overall
        for metric in METRICS:
            held[metric] += found[metric].low <= known[metric] <= found[metric].high
    return {metric: count / worlds for metric, count in held.items()}
