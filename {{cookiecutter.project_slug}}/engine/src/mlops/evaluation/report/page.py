"""One self-contained page of HTML that shows a person what was measured."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ...config.settings import Settings
from ...metrics.arrays import Array
from ...metrics.catalogue import known
from ..decision import Confirmed
from ..expectation import Expectation
from ..importance import Importance
from ..intervals import Coverage
from ..measurement import Measurement
from . import rowcharts, sections
from .rendering import render
from .svg import number
from .terms import Shown

TEMPLATES = Path("src/templates")  # the owner's: how a report looks makes no other model
FILTERS: Mapping[str, Callable[..., Any]] = {"number": number, "interval": sections.interval}


def page(
    settings: Settings,
    measurement: Measurement,
    target: NDArray[Any],
    predictions: Array,
    importances: Sequence[Importance],
    training: Mapping[str, Any],
    templates: Path = TEMPLATES,
    told: Sequence[str] = (),
    covered: Coverage | None = None,
    terms: Shown | None = None,
    worth: Confirmed | Expectation | None = None,
) -> str:
    """Return the report, which needs neither the network nor a script.

    `training` is what model/training.json holds, `told` what to look at before believing it,
    `covered` what intervals hold, where the contract promises some, `terms` what the model adds
    up, where it is a sum, `worth` what its decisions bring, where there is a value table.
    Where `templates` holds a report.html, it is rendered in place of the engine's, with the same
    context.
    """
    asked = settings.evaluation
    answers = (
        sections.errors(target, predictions)
        if settings.data.task == "regression"
        else sections.classes(settings, target, predictions)
    )
    drawn = {
        **answers.plots,
        "slices": sections.by_slice(settings, measurement) or "",
        "importance": rowcharts.importances(importances, known()[asked.primary].title),
    }
    if covered is not None:
        drawn["coverage"] = sections.coverage_by_slice(covered) or ""
    added = None if terms is None else sections.terms(settings, terms)
    drawn |= {} if added is None else added.plots
    metrics = sections.metrics(measurement.overall)
    context = {
        "settings": settings,
        "training": training,
        "rows": measurement.rows,
        "groups": measurement.units.number,
        "units": measurement.units.noun,
        "estimator": _estimator(settings),
        "question": _question(settings),
        "metrics": metrics,
        "check": list(told),
        "primary": next(one for one in metrics if one["name"] == asked.primary),
        "answers": answers.sections,
        "intervals": None if covered is None else sections.intervals(settings, covered),
        "worth": None if worth is None else sections.worth(worth, settings),
        "slices": sections.slices(measurement),
        "shown": sections.SHOWN,
        "importance": [one._asdict() for one in importances],
        "terms": None if terms is None else [one._asdict() for one in terms.weights],
        "shapes": [] if added is None else added.sections,
        "bars": rowcharts.BARS,
        "facts": _facts(settings, measurement, target, len(importances), training),
        "plots": {name: Markup(plot) for name, plot in drawn.items()},
    }
    return render("report.html", context, FILTERS, templates)


def _question(settings: Settings) -> str:
    """Return what the model predicts, in words."""
    data = settings.data
    match data.task:
        case "binary":
            return f"whether {data.target} is {data.labels[-1]}"
        case "multiclass":
            return f"{data.target}, one of {len(data.labels)} classes"
        case "regression":
            return data.target


def _facts(
    settings: Settings,
    measurement: Measurement,
    target: NDArray[Any],
    features: int,
    training: Mapping[str, Any],
) -> dict[str, list[tuple[str, object]]]:
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
    if stopped := training.get("early_stopping"):
        model.append(("Rounds", f"{stopped['rounds']} of {stopped['most']}, stopped early"))
    model += sorted({**settings.model.parameters, **_found(training)}.items())
    model += _searched(training, settings.evaluation.primary)
    model += [("Seed", settings.seed), ("Runtime", training.get("runtime", "unknown"))]
    return {"data": facts, "model": model}


def _shares(labels: Sequence[str], target: NDArray[Any]) -> str:
    counts = np.bincount(target, minlength=len(labels))
    pairs = zip(labels, counts / len(target), strict=True)
    return ", ".join(f"{label} {share:.1%}" for label, share in pairs)


def _validated(training: Mapping[str, Any]) -> list[tuple[str, object]]:
    found, metrics = training.get("cross_validation") or {}, known()
    return [
        (
            f"{metrics[name].title if name in metrics else name}, cross-validated",
            f"{number(one['mean'])} ± {number(one['std'])}",
        )
        for name, one in found.items()
    ]


def _searched(training: Mapping[str, Any], primary: str) -> list[tuple[str, object]]:
    """Return what a search did, and which parameters are its own."""
    if not (search := training.get("search")):
        return []
    best = f", the best {number(search[primary])}" if primary in search else ""
    ended = f", {search['pruned']} ended early" if "pruned" in search else ""
    return [
        ("Search", f"{search['trials']} trials on {search['folds']} folds{ended}{best}"),
        ("Found by it", ", ".join(sorted(_found(training)))),
    ]


def _found(training: Mapping[str, Any]) -> dict[str, object]:
    """Return the parameters that a search found."""
    found = training.get("parameters") or {}
    return {
        name: f"{value:.4g}" if isinstance(value, float) else value for name, value in found.items()
    }


def _estimator(settings: Settings) -> str:
    return settings.model.target.rpartition(".")[2]
