"""What a person wants to see beside the verdict: each feature by day, losses as they came in."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from ..bundle.cells import Cells
from .case import Case
from .policy import Policy
from .rules.performance import Mean, Performance, expected, mean, sequence

DAYS = 90
SLICES = 6  # of a rule, whose losses are shown
QUANTILES = {"low": 0.1, "median": 0.5, "high": 0.9}
REFRESH = "mlops refresh --because reports/monitor/monitor.json"


def log(case: Case) -> dict[str, Any]:
    """Return how much of the log was read."""
    return {
        "rows": sum(about.counts.rows for about in case.days.values()),
        "days": len(case.days),
        "first": min(case.days, default=None),
        "last": max(case.days, default=None),
        "outcomes": sum(case.days[day].known for day in case.mature),
    }


def features(case: Case) -> list[dict[str, Any]]:
    """Return each recorded feature: the reference, and the last days."""
    days = list(_shown(case))
    whole = dict(_named(case, case.reference.seen.features))
    by_day = {day: dict(_named(case, case.days[day].counts.features)) for day in days}
    return [
        {
            **_about(cells),
            "importance": case.importance.get(cells.name),
            "reference": described(cells, whole[cells.name]),
            "days": [{"date": day, **described(cells, by_day[day][cells.name])} for day in days],
        }
        for cells, _ in case.features(case.reference.seen.features)
    ]


def predictions(case: Case) -> list[dict[str, Any]]:
    """Return each output, as the features are."""
    split = case.layout.split_outputs
    days = list(_shown(case))
    by_day = {day: [part for _, part in split(case.days[day].counts.outputs)] for day in days}
    return [
        {
            **_about(cells),
            "importance": None,
            "reference": described(cells, part),
            "days": [{"date": day, **described(cells, by_day[day][at])} for day in days],
        }
        for at, (cells, part) in enumerate(split(case.reference.held.outputs))
    ]


def performance(
    case: Case, policy: Policy, alerted: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Return how each judged loss came in: the mean until each day, and its interval.

    Overall, and of the first slices that have an alert.
    """
    found = []
    for name, rule in policy.rules.items():
        if not isinstance(rule, Performance):
            continue
        slices = [one["part"] for one in alerted if one["rule"] == name and one["part"]]
        for part in ["", *slices[:SLICES]]:
            reference = mean(case.reference.outcomes, part, rule.loss)
            if reference is not None:
                found.append(_measured(case, rule, part, reference, policy.settings.alpha))
    return found


def _measured(
    case: Case, rule: Performance, part: str, reference: Mean, alpha: float
) -> dict[str, Any]:
    return {
        "metric": rule.loss,
        "slice": part,
        "reference": reference.value,
        "margin": reference.value * rule.margin,
        "sequence": [
            {
                "date": day,
                "rows": int(one.rows),
                "value": one.value,
                "low": one.value - half,
                "high": one.value + half,
            }
            for day, one, half in sequence(case, part, rule.loss, alpha)
        ],
    }


def estimated(case: Case) -> dict[str, Any] | None:
    """Return the loss that is expected of the week's answers."""
    window = case.windows["week"]
    if not case.bundle.contract.labels or not window.counts.rows:
        return None
    value = expected(case, window.counts.outputs)
    return None if value is None else {"metric": "log_loss", "value": value}


def following(
    alerted: Sequence[Mapping[str, Any]],
    noted: Sequence[Mapping[str, Any]],
    ruled: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Return what to do next, the most urgent first."""
    broken = [one for one in alerted if one["kind"] == "quality"]
    worse = [one for one in alerted if one["kind"] == "performance"]
    said = [
        f"Look at where {one.get('part') or 'the traffic'} comes from: {one['reason']}."
        for one in broken[:3]
    ]
    if broken and worse:
        said.append(f"When that is mended, train again on new data: `{REFRESH}`.")
    elif worse:
        said.append(f"Train again on new data, through the same gate: `{REFRESH}`.")
    if noted and not alerted:
        said.append(
            "Nothing is broken, and no measured loss is beyond its margin: read the notes in time."
        )
    allowed = {
        finding["part"]
        for one in ruled
        for finding in one["findings"]
        if finding["reason"].startswith("`allow`")
    }
    if allowed:
        said.append(
            f"Take {', '.join(sorted(allowed))} out of `allow` in conf/monitoring: no such feature."
        )
    silent = [one["name"] for one in ruled if one["verdict"] == "not judged"]
    if silent:
        said.append(f"Not judged: {', '.join(silent)}; the report says why.")
    return said or ["Nothing."]


def described(cells: Cells, counts: np.ndarray) -> dict[str, Any]:
    """Return rows, missing share, and quantiles of a number or shares of labels."""
    rows, there = int(counts.sum()), counts[:-1]
    about: dict[str, Any] = {"rows": rows, "missing": int(counts[-1]) / rows if rows else None}
    if cells.labels:
        total = max(1, int(there.sum()))
        return {**about, **dict.fromkeys(QUANTILES), "shares": (there / total).tolist()}
    found = cells.quantiles(there, [*QUANTILES.values()])
    return {**about, **dict(zip(QUANTILES, found, strict=True)), "shares": None}


def _about(cells: Cells) -> dict[str, Any]:
    labels = [*cells.labels, "(not declared)"] if cells.labels else None
    return {
        "name": cells.name,
        "kind": "category" if cells.labels else "number",
        "labels": labels,
    }


def _named(case: Case, flat: Sequence[int]) -> Iterator[tuple[str, np.ndarray]]:
    for cells, part in case.features(flat):
        yield cells.name, part


def _shown(case: Case) -> Iterator[str]:
    first = (case.at - timedelta(days=DAYS - 1)).isoformat()
    return (day for day in case.days if day >= first)
