"""One self-contained page of HTML that shows a person what was measured."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...config.settings import Settings
from ...metrics.arrays import Array
from ...metrics.bootstrap import Estimate
from ...metrics.catalogue import METRICS
from ..importance import Importance
from ..measurement import Measurement
from . import rowcharts, sections
from .html import card, pair, table
from .style import STYLE
from .svg import number


def page(
    settings: Settings,
    measurement: Measurement,
    target: NDArray[Any],
    predictions: Array,
    importances: Sequence[Importance],
    training: Mapping[str, Any],
) -> str:
    """Return the report, which needs neither the network nor a script.

    `training` is what model/training.json holds.
    """
    answers = (
        sections.errors(target, predictions)
        if settings.data.task == "regression"
        else sections.classes(settings, target, predictions)
    )
    body = [
        _heading(settings, measurement),
        _headline(settings, measurement),
        answers,
        sections.slices(settings, measurement),
        sections.importances(settings, importances),
        _facts(settings, measurement, target, len(importances), training),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(settings.data.name)}: holdout report</title>"
        f"<style>{STYLE}</style></head>\n<body><main>{''.join(body)}</main></body></html>\n"
    )


def _heading(settings: Settings, measurement: Measurement) -> str:
    data = settings.data
    asked = data.target
    if data.task == "binary":
        asked = f"whether {data.target} is {data.labels[-1]}"
    elif data.task == "multiclass":
        asked = f"{data.target}, one of {len(data.labels)} classes"
    return (
        f'<p class="eyebrow">Holdout report · {data.task}</p><h1>{escape(data.name)}</h1>'
        f'<p class="muted">{escape(_estimator(settings))} predicts {escape(asked)}. Measured on '
        f"{measurement.rows:,} rows that it was not trained on.</p>"
    )


def _headline(settings: Settings, measurement: Measurement) -> str:
    evaluation = settings.evaluation
    primary = METRICS[evaluation.primary]
    estimate = measurement.overall[evaluation.primary]
    better = "higher" if primary.greater_is_better else "lower"
    drawn = "rows" if measurement.groups is None else f"{measurement.groups:,} groups of rows"
    return (
        f'<div class="lead"><section class="card hero"><h3>{primary.title}</h3>'
        f'<p class="big">{number(estimate.value)}</p><p>{sections.interval(estimate)} '
        f'<span class="muted">{evaluation.confidence:.0%} interval</span></p>'
        f'<p class="muted note">The primary metric: {better} is better. Intervals come from '
        f"{evaluation.resamples:,} bootstrap draws of the {drawn}.</p></section>"
        f'<section class="card">{_metrics(measurement)}</section></div>'
    )


def _metrics(measurement: Measurement) -> str:
    unit = any(METRICS[name].unit for name in measurement.overall)
    rows = [_metric(name, one, unit) for name, one in measurement.overall.items()]
    return table(["Metric", "Value", "Interval", *["0 to 1"] * unit], rows, numbers=1)


def _metric(name: str, estimate: Estimate, unit: bool) -> list[str]:
    metric = METRICS[name]
    arrow = "↑" if metric.greater_is_better else "↓"
    shown = metric.unit and np.isfinite(estimate.value)
    gaps = f" <small>({estimate.undefined} draws undefined)</small>" if estimate.undefined else ""
    cells = [
        f'<td>{metric.title} <span class="muted">{arrow}</span></td>',
        f'<td class="n"><b>{number(estimate.value)}</b></td>',
        f'<td class="n">{sections.interval(estimate)}{gaps}</td>',
    ]
    strip = rowcharts.strip(estimate) if shown else ""
    return [*cells, f'<td class="strip">{strip}</td>'] if unit else cells


def _facts(
    settings: Settings,
    measurement: Measurement,
    target: NDArray[Any],
    features: int,
    training: Mapping[str, Any],
) -> str:
    data, split = settings.data, settings.split
    trained = training.get("rows")
    before = f"{trained:,} trained on, " if isinstance(trained, int) else ""
    side = f"from {split.cutoff}" if split.cutoff else f"{split.holdout:.0%}, salt {split.salt}"
    facts: list[tuple[str, object]] = [
        ("Rows", f"{before}{measurement.rows:,} in the holdout"),
        ("Split", f"{split.method}, {side}"),
        ("Target", data.target),
        *([("Classes", _shares(data.labels, target))] if data.labels else []),
        ("Features", features),
        *_validated(training),
    ]
    fitted = settings.training
    model: list[tuple[str, object]] = [("Estimator", _estimator(settings))]
    if data.task != "regression":
        model += [("calibration", fitted.calibration), ("class_weight", fitted.class_weight)]
    model += sorted(settings.model.parameters.items())
    model += [("Seed", settings.seed), ("Runtime", training.get("runtime", "unknown"))]
    return "<h2>Data and experiment</h2>" + pair(card("Data", facts), card("Model", model))


def _shares(labels: Sequence[str], target: NDArray[Any]) -> str:
    counts = np.bincount(target, minlength=len(labels))
    pairs = zip(labels, counts / len(target), strict=True)
    return ", ".join(f"{label} {share:.1%}" for label, share in pairs)


def _validated(training: Mapping[str, Any]) -> list[tuple[str, object]]:
    found = training.get("cross_validation") or {}
    return [
        (
            f"{METRICS[name].title if name in METRICS else name}, cross-validated",
            f"{number(one['mean'])} ± {number(one['std'])}",
        )
        for name, one in found.items()
    ]


def _estimator(settings: Settings) -> str:
    return settings.model.target.rpartition(".")[2]
