"""Every model on the same training rows: cross-validated alike, beside what a fit costs."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config.settings import Settings
from ..errors import ProjectError
from ..metrics.arrays import Array
from ..metrics.bootstrap import Estimate
from ..metrics.catalogue import known
from .fitting import DATA, Fitting

CONFIDENCE = 0.95


class Compared(NamedTuple):
    """A model, its primary metric, its difference from the best, and processor seconds of a fit.

    `behind` is the model's metric less the best one's; None for the best.
    """

    name: str
    score: Estimate
    behind: Estimate | None
    seconds: float


class Scores(NamedTuple):
    """What a model got on each fold, and what each fit cost."""

    values: Array
    seconds: Array
    ratio: float  # rows that test to rows that train


def compare(
    models: Mapping[str, Settings],
    folds: int,
    data: Path = DATA,
    say: Callable[[str], object] = print,
    done: Callable[[], object] = lambda: None,
) -> list[Compared]:
    """Return the models that could be fitted, the best first; the holdout is not looked at.

    `models` has the settings with each, all of the same data. `say` gets a sentence for a model
    that cannot be fitted, and `done` is called after each fit. Intervals are Student's t of the
    folds' scores, with the variance that accounts for training rows which folds share: Nadeau and
    Bengio, "Inference for the generalization error", Machine Learning 52, 2003.
    """
    found: dict[str, Scores] = {}
    for name, settings in models.items():
        try:
            found[name] = _scores(settings, folds, data, done)
        except ProjectError as error:
            say(f"{name}: {error}")
    if not found:
        return []
    metric = known()[next(iter(models.values())).evaluation.primary]
    sign = 1 if metric.greater_is_better else -1
    order = sorted(found, key=lambda name: -sign * float(found[name].values.mean()))
    best = found[order[0]]
    return [
        Compared(
            name,
            metric.within(_interval(found[name].values, best.ratio)),
            _interval(found[name].values - best.values, best.ratio) if at else None,
            float(np.median(found[name].seconds)),
        )
        for at, name in enumerate(order)
    ]


def shown(rows: Sequence[Compared], title: str) -> str:
    """Return the comparison as a table, and the line that adopts the best."""
    head = ("model", title, "95% interval", "behind the best", "fit, s")
    lines = [head, *(_line(row) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    adopt = f"dvc exp run -S model.use={rows[0].name}"
    cut = [f"Intervals end where {title} does"] if any(map(_is_cut, rows)) else []
    return "\n".join([*table, "", *cut, f"To adopt the first: `{adopt}`, and commit what it made"])


def _line(row: Compared) -> tuple[str, ...]:
    low, high = row.score.low, row.score.high
    behind = "" if row.behind is None else f"{row.behind.value:+.4g}"
    if row.behind is not None and row.behind.low <= 0 <= row.behind.high:
        behind += " (could be none)"
    value, interval = f"{row.score.value:.4g}", f"{low:.4g} to {high:.4g}"
    return row.name, value, interval, behind, f"{row.seconds:.2f}"


def _is_cut(row: Compared) -> bool:
    """Say whether an interval lost an end: Student's t makes it as long on both sides."""
    score = row.score
    return not np.isclose(score.value - score.low, score.high - score.value)


def _scores(settings: Settings, count: int, data: Path, done: Callable[[], object]) -> Scores:
    fitting = Fitting(settings, data)
    primary = settings.evaluation.primary
    values, seconds, ratios = [], [], []
    for fold in fitting.folds(count):
        started = time.process_time()
        fitted, _ = fitting.fitted({}, fold)
        seconds.append(time.process_time() - started)
        values.append(fitting.measured(fitted, fold, [primary])[primary])
        ratios.append(len(fold[1]) / len(fold[0]))
        done()
    return Scores(np.array(values), np.array(seconds), float(np.mean(ratios)))


def _interval(values: Array, ratio: float) -> Estimate:
    from scipy.stats import t

    count = len(values)
    error = float(np.std(values, ddof=1)) * np.sqrt(1 / count + ratio)
    half = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    value = float(values.mean())
    return Estimate(value, value - half, value + half)
