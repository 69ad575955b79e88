"""actions.json: what each way to act brought, against doing what the control does."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..bundle.verdict import sealed
from ..files import sha256
from ..log_layout import stored
from ..monitoring.statistics import holm
from ..rollout.actions import Actions, read
from ..rollout.declaration import lasting, utc
from . import assigned
from .assigned import Logged
from .experiment import MOST, RATIO
from .sequences import Difference, Sums, chance, difference, sample_ratio
from .units import names

FORMAT = 1
REPORT = "actions.json"
DIGITS = 10


class Judged(NamedTuple):
    """One entry for each unit that is old enough: its arm, the day it was, and what it brought."""

    arm: np.ndarray
    day: np.ndarray
    value: np.ndarray
    cost: np.ndarray
    slices: dict[str, np.ndarray]
    first_day: date
    met: np.ndarray  # units by the day on which they came, of each arm (days, arms)
    young: int
    crossed: int
    as_drawn: float | None  # share of reported actions that are those that were drawn


def judge(path: Path, log: Path, at: date) -> dict[str, Any]:
    """Return the sealed report of an experiment of actions, of all that is known by a day (UTC).

    Raises ExperimentError where it is not declared as it has to be, or the log has none of it.
    """
    about = read(path)
    since = utc(about.since)
    logged = assigned.read(log, at, about.costs, about.slices, since, about.model)
    return report(about, sha256(path), judged(about, logged, at), at, logged.nameless)


def judged(about: Actions, logged: Logged, at: date) -> Judged:
    """Return the units of rows: a unit counts by all its rows of `maturity` from its first on."""
    order = np.lexsort((logged.time, logged.unit))
    unit, time = logged.unit[order], logged.time[order].astype("datetime64[us]")
    starts = np.flatnonzero(np.append(True, unit[1:] != unit[:-1]))
    place = {name: number for number, name in enumerate(about.arms)}
    arms = np.array([place.get(name, -1) for name in logged.arm[order]])
    came, of = (
        time[starts],
        np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(unit)))),
    )
    lasts = np.timedelta64(lasting(about.maturity))
    within = time < came[of] + lasts
    value, cost = (
        np.bincount(of, np.where(within, one[order], 0.0), len(starts))
        for one in (logged.value, logged.cost)
    )
    alone = np.minimum.reduceat(arms, starts) == np.maximum.reduceat(arms, starts)
    alone &= arms[starts] >= 0
    until = np.datetime64(at, "us") + np.timedelta64(1, "D")
    old = alone & (came + lasts <= until)
    met_day = came.astype("datetime64[D]").astype(int)
    width = len(about.arms)
    met = np.bincount(
        (width * (met_day - met_day.min()) + arms[starts])[alone],
        minlength=width * (met_day.max() - met_day.min() + 1),
    ).reshape(-1, width)
    last = (came + lasts - np.timedelta64(1, "us")).astype("datetime64[D]").astype(int)
    first = int(last[old].min()) if old.any() else int(last.min())
    told = np.array([one is not None for one in logged.taken], dtype=bool)
    return Judged(
        arms[starts][old],
        last[old] - first,
        value[old],
        cost[old],
        {
            name: np.array(logged.columns[stored(name)].to_pylist(), dtype=object)[order][starts][
                old
            ]
            for name in about.slices
        },
        date(1970, 1, 1) + timedelta(days=first),
        met,
        int((alone & ~old).sum()),
        int((~alone).sum()),
        float((logged.taken[told] == logged.action[told]).mean()) if told.any() else None,
    )


def report(
    about: Actions, declared: str, found: Judged, at: date, nameless: int = 0
) -> dict[str, Any]:
    """Return the sealed report of units."""
    ratio = _ratio(about, found)
    arms = [_arm(about, found, name, at, ratio) for name in about.others]
    return sealed(
        {
            "format": FORMAT,
            "declaration": declared,
            "model": about.model,
            "since": utc(about.since).isoformat() + "Z",
            "at": at.isoformat(),
            "control": about.control,
            "units": {
                "met": dict(zip(about.arms, found.met.sum(axis=0).tolist(), strict=True)),
                "judged": len(found.arm),
                "young": found.young,
                "crossed": found.crossed,
                "rows_of_nobody": nameless,
            },
            "done_as_drawn": None if found.as_drawn is None else _rounded(found.as_drawn),
            "sample_ratio": {"p": _rounded(ratio), "alpha": RATIO},
            "means": {name: _means(about, found, name) for name in about.arms},
            "arms": arms,
            "verdict": _verdict(arms, ratio),
            "pays": _pays(arms),
        }
    )


def _arm(about: Actions, found: Judged, name: str, at: date, ratio: float) -> dict[str, Any]:
    """Return what an arm brought against the control: by day, in the end, by slice, and for what.

    Each of several arms is judged at its part of alpha (Bonferroni), so that all of them together
    are wrong with a chance of alpha at most.
    """
    pair = _pair(about, found, name)
    effect = _compared(about, found, pair)
    counts = [
        np.cumsum(np.bincount(found.day[found.arm == one], minlength=len(effect.effect)))
        for one in pair
    ]
    looks: list[dict[str, Any]] = [
        {
            "day": (found.first_day + timedelta(days=day)).isoformat(),
            "units": [int(one[day]) for one in counts],
            **dict(zip(("effect", "low", "high"), _ends(effect, day), strict=True)),
        }
        for day in range(len(effect.effect))
        if np.isfinite(effect.half[day])
    ]
    verdict = "broken" if ratio < RATIO else _side(about, looks, at)
    spent = _spent(found, pair)
    net: dict[str, float] | None = None
    if looks:
        net = {key: looks[-1][key] for key in ("effect", "low", "high")}
    return {
        "arm": name,
        "verdict": verdict,
        "net": net,
        "spent": _rounded(spent),
        "roi": _returned(net, spent) if net and spent > 0 else None,
        "looks": looks,
        "slices": [] if verdict == "broken" else _slices(about, found, pair),
    }


def _returned(net: dict[str, float], spent: float) -> dict[str, float]:
    """Return what each 1 that was spent more brought, beyond itself."""
    return {key: _rounded(one / spent) for key, one in net.items()}


def _pair(about: Actions, found: Judged, name: str) -> tuple[int, int]:
    place = list(about.arms)
    return place.index(about.control), place.index(name)


def _compared(about: Actions, found: Judged, pair: tuple[int, int]) -> Difference:
    """Return the confidence sequence of what units of one arm bring less than of the other."""
    days = int(found.day.max()) + 1 if len(found.day) else 1
    net = found.value - found.cost
    sums = []
    for one in pair:
        chosen = found.arm == one
        nothing = np.zeros(int(chosen.sum()))
        sums.append(Sums.of(net[chosen], nothing, found.day[chosen], days).cumulated())
    return difference(sums[0], sums[1], about.units, about.alpha / len(about.others))


def _spent(found: Judged, pair: tuple[int, int]) -> float:
    """Return what a unit of an arm costs more than one of the control."""
    means = [found.cost[found.arm == one] for one in pair]
    return float(means[1].mean() - means[0].mean()) if all(map(len, means)) else 0.0


def _side(about: Actions, looks: list[dict[str, Any]], at: date) -> str:
    for look in looks:
        if min(look["units"]) < about.min_units:
            continue
        if look["low"] > about.margin:
            return "pays"
        if look["high"] < about.margin:
            return "does not pay"
    ends = utc(about.since).date() + lasting(about.horizon) + lasting(about.maturity)
    return "undecided" if at >= ends else "going on"


def _slices(about: Actions, found: Judged, pair: tuple[int, int]) -> list[dict[str, Any]]:
    """Return the difference in each slice, with Holm's correction over all of them."""
    made: list[dict[str, Any]] = []
    chances = []
    for name, values in found.slices.items():
        for value in names(values, MOST):
            chosen = np.array([str(one) == value for one in values], dtype=bool)
            part = found._replace(
                **{key: getattr(found, key)[chosen] for key in ("arm", "day", "value", "cost")}
            )
            counts = [int((part.arm == one).sum()) for one in pair]
            if min(counts) < about.min_units:
                continue
            effect = _compared(about, part, pair)
            chances.append(chance(effect, 0.0, about.units, about.alpha / len(about.others)))
            ends = dict(zip(("effect", "low", "high"), _ends(effect, -1), strict=True))
            made.append({"slice": f"{name} = {value}", "units": counts, **ends})
    for one, p in zip(made, holm(chances) if chances else [], strict=True):
        one["p"] = _rounded(p)
    return made


def _ratio(about: Actions, found: Judged) -> float:
    """Return the p-value of the arms being as they were drawn, each against the control."""
    came = np.cumsum(found.met, axis=0).astype(float)
    place, control = list(about.arms), about.arms[about.control].share
    least = 1.0
    for name in about.others:
        share = about.arms[name].share
        first, second = (came[:, place.index(one)] for one in (about.control, name))
        least = min(least, float(sample_ratio(first, second, share / (share + control))[-1]))
    return min(1.0, least * len(about.others))


def _means(about: Actions, found: Judged, name: str) -> dict[str, Any]:
    chosen = found.arm == list(about.arms).index(name)
    if not chosen.any():
        return {"units": 0}
    value, cost = float(found.value[chosen].mean()), float(found.cost[chosen].mean())
    return {
        "units": int(chosen.sum()),
        **{"value": _rounded(value), "cost": _rounded(cost), "net": _rounded(value - cost)},
    }


def _pays(arms: list[dict[str, Any]]) -> str | None:
    """Return the arm that brings most of those that pay."""
    paying = [one for one in arms if one["verdict"] == "pays"]
    return max(paying, key=lambda one: one["net"]["effect"])["arm"] if paying else None


def _verdict(arms: list[dict[str, Any]], ratio: float) -> str:
    if ratio < RATIO:
        return "broken"
    if _pays(arms):
        return "pays"
    verdicts = {one["verdict"] for one in arms}
    return next((one for one in ("going on", "undecided") if one in verdicts), "does not pay")


def _ends(found: Difference, day: int) -> list[float]:
    return [_rounded(one[day]) for one in (found.effect, found.low, found.high)]


def _rounded(number: float) -> float:
    return float(f"{float(number):.{DIGITS}g}")
