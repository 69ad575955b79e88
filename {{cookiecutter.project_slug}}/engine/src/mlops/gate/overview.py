"""How candidate and champion stand on the same rows: every metric, and the slices that are worst.

For the reader of the report: what passes or not is for the rules to say.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ..contract import Task
from ..evaluation.evaluate import MANY_ROWS
from ..evaluation.measurement import rounded
from ..evaluation.slices import slices
from ..metrics import catalogue, power
from ..metrics.bootstrap import Estimate, estimate
from .case import Case
from .resampling import figures

SHOWN = 12
DRAWS = 200  # for MANY_ROWS: enough to read, where the rules' own take most of the time

Row = dict[str, Any]


def resamples(case: Case) -> int:
    """Return how many draws the intervals of the table come from."""
    return min(case.resamples, DRAWS) if len(case.target) >= MANY_ROWS else case.resamples


def metrics(case: Case) -> list[Row]:
    """Return the metrics of the task, with intervals, and that of the difference.

    Every one of the engine's, and those of the owner's that the candidate measures.

    The difference is candidate minus champion under the same draws; `better` says whether more
    is better, `tells` from which loss on these rows tell one from models that are equally good.
    """
    measured, own = case.settings.evaluation.measured, catalogue.own()
    names = [
        name
        for name in catalogue.allowed(case.settings.data.task)
        if name not in own or name in measured
    ]
    models = [case.candidate.predictions]
    if case.champion is not None:
        models.append(case.champion.predictions)
    values, draws = figures(replace(case, resamples=resamples(case)), names, models)
    found = []
    for at, name in enumerate(names):
        row: Row = {"metric": name, "better": "more"}
        if not catalogue.known()[name].greater_is_better:
            row["better"] = "less"
        for place, who in enumerate(("candidate", "champion")[: len(models)]):
            drawn = draws[:, place, 0, at]
            value = estimate(float(values[place, 0, at]), drawn, case.confidence)
            row[who] = _plain(catalogue.known()[name].within(value))
        if case.champion is not None:
            gained = float(values[0, 0, at] - values[1, 0, at])
            paired = draws[:, 0, 0, at] - draws[:, 1, 0, at]
            row["difference"] = _plain(estimate(gained, paired, case.confidence))
            error = float(np.nanstd(paired, ddof=1)) if np.isfinite(paired).any() else math.nan
            row["tells"] = rounded(power.upwards(power.detectable(error, case.confidence)))
        found.append(row)
    return found


def undefined(task: Task) -> list[Row]:
    """Return every metric of the task for a candidate that gave no predictions."""
    known, none = catalogue.known(), {"value": None, "low": None, "high": None}
    better = {n: "more" if known[n].greater_is_better else "less" for n in catalogue.allowed(task)}
    return [{"metric": name, "better": which, "candidate": none} for name, which in better.items()]


def worst(case: Case) -> list[Row]:
    """Return the slices with the worst primary metric, the worst first, and what each gained."""
    task, primary = case.settings.data.task, case.settings.evaluation.primary
    sign = 1 if catalogue.known()[primary].greater_is_better else -1
    found = []
    for part in slices(case.columns, case.settings.data, case.settings.evaluation.slices):
        if not part.judged:
            continue
        target = case.target[part.rows]

        def value(predictions: np.ndarray, rows: Any = part.rows, target: Any = target) -> float:
            answers, threshold = predictions[rows], case.settings.evaluation.threshold
            figures = catalogue.compute(task, [primary], target, answers, threshold=threshold)
            return figures[primary]

        row: Row = {"slice": part.name, "rows": len(part.rows), "metric": primary}
        row["candidate"] = rounded(value(case.candidate.predictions))
        if case.champion is not None:
            row["champion"] = rounded(value(case.champion.predictions))
        found.append(row)
    found.sort(key=lambda row: math.inf if row["candidate"] is None else sign * row["candidate"])
    return found[:SHOWN]


def _plain(one: Estimate) -> Row:
    return {"value": rounded(one.value), "low": rounded(one.low), "high": rounded(one.high)}
