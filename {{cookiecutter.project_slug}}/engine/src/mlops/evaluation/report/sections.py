"""What the sections of the report show, as plain data and plots for its template."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...config.settings import Settings
from ...config.value import Amount, split
from ...metrics.arrays import Array
from ...metrics.bootstrap import Estimate
from ...metrics.catalogue import known
from ..decision import Confirmed
from ..expectation import Expectation
from ..intervals import Coverage
from ..measurement import Estimates, Measurement
from ..slices import Slice
from . import charts, figures, rowcharts, shapes
from .svg import Plot, between
from .terms import Curve, Levels, Shown

SHOWN = 60
Section = dict[str, Any]


class Answers(NamedTuple):
    """The sections about single answers, whose figures name their plots."""

    sections: list[Section]
    plots: dict[str, Plot]


def classes(settings: Settings, target: NDArray[Any], predictions: Array) -> Answers:
    """Show curves, calibration and confusion of a classifier."""
    task, labels = settings.data.task, settings.data.labels
    binary = task == "binary"
    roc, pr = charts.curves(task, target, predictions, labels)
    bins = charts.calibration(task, target, predictions)
    threshold = settings.evaluation.threshold
    counts = charts.confusion(task, target, predictions, len(labels), threshold)
    said = "Predicted probability" if binary else "Probability of the predicted class"
    happened = f"Share that is {labels[-1]}" if binary else "Share that is right"
    guess = "Dashed is the share of positives." if binary else "Each class against the rest."
    answer = f"{labels[-1]} above a probability of {threshold:g}"
    answer = answer if binary else "the most probable class"
    drawn = [one.label for one in roc]
    plots = {
        "roc": figures.roc(roc),
        "pr": figures.precision_recall(pr, float(np.mean(target == 1)) if binary else None),
        "calibration": figures.calibration(bins, said, happened),
        "confusion": figures.confusion(counts, labels),
    }
    separates = [
        _figure("roc", "ROC curve", "Top left is better. Dashed is guessing.", drawn),
        _figure("pr", "Precision and recall", f"Top right is better. {guess}", drawn),
    ]
    on_it = "On the diagonal, what it says is what happens. Bars: rows."
    holds = [
        _figure("calibration", "Calibration", on_it),
        _figure("confusion", "Confusion matrix", f"The answer is {answer}. Shares are of a row."),
    ]
    return Answers(
        [
            {"title": "How well it separates", "figures": separates},
            {"title": "How far its answers hold", "figures": holds},
        ],
        plots,
    )


def errors(target: Array, predictions: Array) -> Answers:
    """Show predictions against the truth of a regression."""
    rest = "Few extremes lie outside."
    shown = [
        _figure(
            "predicted_actual",
            "Predicted and actual",
            f"Darker is more rows, dashed is perfect. {rest}",
        ),
        _figure("residuals", "Residuals", f"Narrow and centred on zero is better. {rest}"),
    ]
    plots = {
        "predicted_actual": figures.predicted_actual(target, predictions),
        "residuals": figures.residuals(target, predictions),
    }
    return Answers([{"title": "How far off it is", "figures": shown}], plots)


def metrics(estimates: Estimates) -> list[Section]:
    """Return each metric with its interval; `strip` draws one that lies between 0 and 1."""
    return [_metric(name, one) for name, one in estimates.items()]


def slices(measurement: Measurement) -> list[Section]:
    """Return each slice; those too small to judge have no metrics."""
    return [
        {
            "name": part.name,
            "column": part.column,
            "label": part.label,
            "rows": len(part.rows),
            "judged": found is not None,
            "metrics": {name: one._asdict() for name, one in (found or {}).items()},
        }
        for part, found in measurement.slices
    ]


def by_slice(settings: Settings, measurement: Measurement) -> Plot | None:
    """Draw the primary metric of every slice that is judged beside the whole."""
    primary = settings.evaluation.primary
    judged = [(part, found[primary]) for part, found in measurement.slices if found is not None]
    overall = measurement.overall[primary]
    shown = _farthest(judged, overall)
    return rowcharts.slices(shown, overall, known()[primary].title) if judged else None


def intervals(settings: Settings, covered: Coverage) -> Section:
    """Return what intervals, or sets of labels, promise and hold."""
    regression = settings.data.task == "regression"
    return {
        "noun": "intervals" if regression else "sets of labels",
        "promised": covered.promised,
        "coverage": covered.overall._asdict(),
        "width": covered.width,
        "unit": f"of {settings.data.target}" if regression else "labels",
        "by": settings.data.intervals and settings.data.intervals.by,
        "missed": [part.name for part, _ in covered.missed],
    }


def worth(found: Confirmed | Expectation, settings: Settings) -> Section:
    """Return what the decision brings on the holdout, what it gains over others, and by what."""
    amounts = _amounts(settings)
    if isinstance(found, Expectation):
        names = {name: f"{name} for everyone" for name in found.expected.actions}
        return {
            "currency": found.expected.currency,
            "shares": list(found.acted.items()),
            "mine": found.worth._asdict(),
            "others": _others(found, names),
            "amounts": amounts,
        }
    (below, above), share = found.decision.actions, found.decision.share
    named = {
        "nothing": f"{below} for everyone",
        "everyone": f"{above} for everyone" if share >= 1 else f"{above} for {share:.1%}, by lot",
        "default": "at the threshold before",
    }
    return {
        "currency": found.decision.currency,
        "threshold": found.decision.threshold,
        "above": above,
        "below": below,
        "shares": None,
        "acted": found.acted,
        "share": share,
        "mine": found.worth._asdict(),
        "others": _others(found, named),
        "amounts": amounts,
    }


def _amounts(settings: Settings) -> Section:
    """Return the value table as it was given: a row for each label, and one for the costs."""
    value, labels = settings.evaluation.value, settings.data.labels
    actions = value.actions if value is not None else {}
    brings = [action.by_label() for action in actions.values()]
    rows = [(f"{settings.data.target} is {n}", [_amount(b[n]) for b in brings]) for n in labels]
    costs = [action.cost for action in actions.values()]
    return {"actions": list(actions), "rows": [*rows, ("cost", [_amount(c) for c in costs])]}


def _amount(amount: Amount) -> str:
    """Return an amount in words: a number, a column, or a multiple of one."""
    name, times = split(amount)
    if not name:
        return f"{times:,.10g}"  # to the digit: it is what somebody wrote
    return name if times == 1 else f"{times:,.10g} times {name}"


def _others(found: Confirmed | Expectation, named: dict[str, str]) -> list[Section]:
    return [
        {"name": named.get(name, name), "worth": one._asdict(), "gain": found.gains[name]._asdict()}
        for name, one in found.others.items()
    ]


def coverage_by_slice(covered: Coverage) -> Plot | None:
    """Draw the share that intervals hold of every slice that is judged beside the whole."""
    shown = _farthest(covered.slices, covered.overall)
    return rowcharts.slices(shown, covered.overall, "Share held") if shown else None


def terms(settings: Settings, found: Shown) -> Answers:
    """Show the terms that a model adds up: their weights, and the shapes of single features."""
    data = settings.data
    scale = {"binary": "log-odds", "multiclass": "log-probability", "regression": data.target}
    unit = f"logarithm of {data.target}" if found.logarithmic else scale[data.task]
    classes = list(data.labels) if data.task == "multiclass" else []
    labels = [f"{label}: " for label in classes] or [""]
    plots = {"terms": rowcharts.weights(found.weights, f"Mean contribution, {unit}")}
    figures = []
    for place, one in enumerate(found.shapes, 1):
        plots[f"shape_{place}"] = shapes.shape(one, labels, f"Contribution, {unit}")
        figures.append(_figure(f"shape_{place}", one.feature, _caption(one), classes))
    return Answers(figures, plots)


def _caption(one: Curve | Levels) -> str:
    """Return how to read a shape."""
    if isinstance(one, Levels):
        return f"{one.left} labels that add less are left out." if one.left else "By label."
    missing = " The dot at the left is a missing value." if one.missing is not None else ""
    return f"Bars: rows of the holdout.{missing}"


def interval(estimate: Section) -> str:
    """Return an interval in words."""
    return between(estimate["low"], estimate["high"])


def _figure(plot: str, title: str, caption: str, labels: Sequence[str] = ()) -> Section:
    return {"plot": plot, "title": title, "caption": caption, "labels": list(labels)}


def _metric(name: str, estimate: Estimate) -> Section:
    metric = known()[name]
    shown = metric.unit and np.isfinite(estimate.value)
    return {
        "name": name,
        "title": metric.title,
        "better": "higher" if metric.greater_is_better else "lower",
        "unit": metric.unit,
        **estimate._asdict(),
        "strip": rowcharts.strip(estimate) if shown else "",
    }


def _farthest(
    parts: list[tuple[Slice, Estimate]], overall: Estimate
) -> list[tuple[Slice, Estimate]]:
    """Return as many slices as fit, those farthest from the whole, in their own order."""
    gaps = np.nan_to_num([abs(one.value - overall.value) for _, one in parts], nan=np.inf)
    kept = np.sort(np.argsort(-gaps, kind="stable")[:SHOWN])
    return [parts[at] for at in kept]
