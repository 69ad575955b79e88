"""experiment.json: what two models did to people, and what follows, with all that it rests on."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ..bundle.verdict import sealed
from ..files import sha256, write_text
from ..monitoring.statistics import holm
from ..rollout import stops
from ..rollout.declaration import Experiment, Primary, lasting, read, utc
from . import passing, shadow
from . import units as unit
from .sequences import Difference, Sums, chance, difference, sample_ratio
from .units import Units

FORMAT = 1
REPORT = "experiment.json"
RATIO = 0.01  # chance over all looks to say that the arms are not as drawn, where they are
MOST = 20  # values of a slice that are judged
DIGITS = 10


class Look(NamedTuple):
    """One day of the sequence: the difference, where it surely lies, and the mean of each arm."""

    day: str
    units: tuple[int, int]
    effect: float
    low: float
    high: float
    means: tuple[float, float]

    def told(self) -> dict[str, Any]:
        """Return it as a report has it."""
        return {**self._asdict(), "units": [*self.units], "means": [*self.means]}


def judge(path: Path, log: Path, at: date) -> dict[str, Any]:
    """Return the sealed report of an experiment, of all that is known at the end of a day (UTC).

    Raises ExperimentError where it is not declared as it has to be, and where the log has none of
    its units.
    """
    about = read(path)
    taken_back = stops.kept(log, stops.key(about))
    alike = shadow.agreement(log, about, at) if about.mode == "shadow" else None
    units = unit.read(log, about, at)
    beside = None
    if about.mode == "ab" and about.primary.measure != "value":
        worth = msgspec.structs.replace(about, primary=Primary("value", units=about.primary.units))
        beside = unit.read(log, worth, at)
    return report(about, sha256(path), units, at, taken_back, alike, beside)


def nobody(path: Path, log: Path, at: date) -> dict[str, Any]:
    """Return the report of an experiment that no unit came to yet."""
    about = read(path)
    none = np.zeros(0)
    empty = Units(
        *(none.astype(int), none.astype(int), none, none, {}, utc(about.since).date()),
        *(np.zeros((1, 2), dtype=int), 0, (0, 0), 0, 0),
    )
    return report(about, sha256(path), empty, at, stops.kept(log, stops.key(about)))


def report(
    about: Experiment,
    declared: str,
    units: Units,
    at: date,
    taken_back: str = "",
    alike: dict[str, Any] | None = None,
    beside: Units | None = None,
) -> dict[str, Any]:
    """Return the sealed report of units.

    `taken_back` says why servers stopped the challenger, `alike` how it agreed as a shadow;
    `beside` are the units by what they brought, where something else decides.
    """
    came = np.cumsum(units.met, axis=0).astype(float)
    ratio = np.ones(1)
    if about.share < 1:
        ratio = sample_ratio(came[:, 0], came[:, 1], about.share)
    found = _sequence(units, about)
    looks = _looks(units, found) if about.mode == "ab" else []
    met = units.met.sum(axis=0)
    verdict, reason = _verdict(about, looks, float(ratio[-1]), at)
    if taken_back:
        verdict, reason = "stopped", taken_back
    elif about.mode != "ab" and verdict != "broken":
        verdict, reason = passing.verdict(about, int(met[1]), at)
    return sealed(
        {
            "format": FORMAT,
            "declaration": declared,
            "mode": about.mode,
            "champion": about.champion,
            "challenger": about.challenger,
            "step": about.step,
            "share": about.share,
            "since": utc(about.since).isoformat() + "Z",
            "at": at.isoformat(),
            "units": {
                "champion": int(met[0]),
                "challenger": int(met[1]),
                "judged": len(units.y),
                "young": units.young,
                "crossed": units.crossed,
                "unknown": list(units.unknown),
                "rows_of_nobody": units.nameless,
            },
            "sample_ratio": {"p": _rounded(ratio[-1]), "alpha": RATIO},
            "measure": {"name": about.primary.measure, "label": about.primary.label},
            "means": _means(found),
            "shadow": alike,
            "looks": [look.told() for look in looks],
            "value": _value(about, units, beside),
            "slices": [] if about.mode != "ab" or verdict == "broken" else _slices(units, about),
            "verdict": verdict,
            "reason": reason,
        }
    )


def write(folder: Path, content: dict[str, Any]) -> Path:
    """Write the report; returns where."""
    path = folder / REPORT
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return path


def _sequence(units: Units, about: Experiment) -> Difference:
    days = int(units.day.max()) + 1 if len(units.day) else 1
    arms = [
        Sums.of(units.y[chosen], units.x[chosen], units.day[chosen], days).cumulated()
        for chosen in (units.arm == 0, units.arm == 1)
    ]
    return difference(arms[0], arms[1], about.primary.units, about.alpha)


def _looks(units: Units, found: Difference) -> list[Look]:
    days = len(found.effect)
    counts = [np.cumsum(np.bincount(units.day[units.arm == arm], minlength=days)) for arm in (0, 1)]
    return [
        Look(
            (units.first_day + timedelta(days=at)).isoformat(),
            (int(counts[0][at]), int(counts[1][at])),
            _rounded(found.effect[at]),
            _rounded(found.low[at]),
            _rounded(found.high[at]),
            (_rounded(found.means[0][at]), _rounded(found.means[1][at])),
        )
        for at in range(days)
        if np.isfinite(found.half[at])
    ]


def _value(about: Experiment, units: Units, beside: Units | None) -> dict[str, Any] | None:
    """Return what units brought, where that decides nothing; None where it does, or none did."""
    if about.mode == "canary":
        beside = units
    if beside is None or not np.any(beside.y):
        return None
    looks = _looks(beside, _sequence(beside, about))
    return {"looks": [look.told() for look in looks]}


def _verdict(about: Experiment, looks: list[Look], ratio: float, at: date) -> tuple[str, str]:
    """Return what follows, and why: the first look that decides stands."""
    if ratio < RATIO:
        return "broken", (
            f"units did not come as they were drawn (p {ratio:.1e}), so that nothing can be said "
            "of either model: find out what loses or adds units of an arm, then begin anew with "
            "another salt"
        )
    asked = about.primary
    for look in looks:
        if min(look.units) < about.min_units:
            continue
        side = _side(look, asked)
        if side:
            return side, (
                f"{_told(asked)} is {look.effect:+.4g} ({look.low:+.4g} to {look.high:+.4g}) since "
                f"{look.day}, with {look.units[0]:,} and {look.units[1]:,} units"
            )
    begun = utc(about.since).date()
    ends = begun + lasting(about.horizon) + lasting(about.maturity)
    if at >= ends:
        return "undecided", f"the horizon of {about.horizon} is over: the champion stays"
    few = not looks or min(looks[-1].units) < about.min_units
    why = (
        f"fewer than {about.min_units:,} units of an arm are old enough"
        if few
        else (f"{_told(asked)} may lie on either side of {asked.margin:g}")
    )
    return "going on", f"{why}; it ends on {ends} at the latest"


def _side(look: Look, asked: Primary) -> str:
    low, high = (look.low, look.high) if asked.better == "higher" else (-look.high, -look.low)
    if low > asked.margin:
        return "better"
    return "worse" if high < asked.margin else ""


def _told(asked: Primary) -> str:
    of = f" {asked.label}" if asked.label else ""
    return f"the challenger's {asked.measure}{of} against the champion's"


def _means(found: Difference) -> dict[str, float | None]:
    names = ("champion", "challenger")
    return {name: _or_none(mean[-1]) for name, mean in zip(names, found.means, strict=True)}


def _slices(units: Units, about: Experiment) -> list[dict[str, Any]]:
    """Return the difference in each slice, with Holm's correction over all of them."""
    made: list[dict[str, Any]] = []
    chances = []
    for name, values in units.slices.items():
        for value in unit.names(values, MOST):
            part = unit.subset(units, values == value)
            counts = np.bincount(part.arm, minlength=2)
            if counts.min() < about.min_units:
                continue
            found = _sequence(part, about)
            chances.append(chance(found, 0.0, about.primary.units, about.alpha))
            ends = (found.effect[-1], found.low[-1], found.high[-1])
            effect, low, high = map(_rounded, ends)
            made.append(
                {"slice": f"{name} = {value}", "units": counts.tolist()}
                | {"effect": effect, "low": low, "high": high}
            )
    for one, p in zip(made, holm(chances) if chances else [], strict=True):
        one["p"] = _rounded(p)
    return made


def _rounded(number: float) -> float:
    return float(f"{float(number):.{DIGITS}g}")


def _or_none(number: float) -> float | None:
    return _rounded(number) if np.isfinite(number) else None
