"""The stage `evaluate`: model/ and the holdout in, reports/ out."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config.settings import Settings
from ..errors import ProjectError
from ..files import write_text
from ..metrics.arrays import Array
from ..metrics.catalogue import check
from .importance import Importance, Predict, importances
from .measurement import Measurement, estimated, measure
from .report import page, plots
from .report import terms as shapes
from .slices import slices
from .units import units

HOLDOUT = Path("data/prepared/holdout")
MODEL = Path("model")
REPORTS = Path("reports")
MANY_ROWS = 100_000  # from here on a second thread pays


class EvaluationError(ProjectError):
    """The holdout cannot tell how good the model is."""


class Evaluated(NamedTuple):
    """What was measured on a holdout, with the predictions it was measured on."""

    measurement: Measurement
    importances: list[Importance]
    predictions: Array


def evaluate(
    settings: Settings, holdout: Path = HOLDOUT, model: Path = MODEL, out: Path = REPORTS
) -> dict[str, Any]:
    """Score the holdout with the model and write its figures to `out`.

    They are metrics.json, slices.json, plots/ and report.html; returned are the metrics, and under
    `check` what to look at before believing them. Raises EvaluationError, and writes nothing, where
    the holdout is empty or knows only one class, and IntervalError where there are too few
    calibration rows for the intervals that the contract promises.
    """
    from ..data import prepared
    from ..features.encoding import Encoder
    from ..runtime import model as runtime
    from ..runtime import terms as sums
    from ..runtime.decision import decided
    from ..runtime.hooks import After
    from . import decision as deciding
    from . import expectation, intervals
    from .suspicion import missed, scarce, suspicions

    contract = settings.data
    columns = prepared.read(holdout, contract, columns_of(settings))
    target = prepared.target(columns, contract)
    check_holdout(settings, target)
    encoder = Encoder.build(contract, settings.features)
    predict = runtime.load(model).predict
    matrix = encoder.matrix(columns)
    predictions = predict(matrix)
    if (after := After.find(contract)) is not None:  # measured is what is served
        predictions = after({name: columns[name] for name in encoder.inputs}, predictions)
    asked, decision, chosen = settings, None, 0.0
    is_valued = settings.evaluation.value is not None
    if is_valued and contract.task != "multiclass":
        decision, chosen = deciding.chosen(settings, holdout.parent, model)
        settings = decided(settings, decision)  # measured is what is served
    around = intervals.calibrated(settings, holdout.parent, encoder, predict)
    found = evaluation(settings, columns, target, predictions, predict, matrix, encoder.features)
    covered = None
    worth: deciding.Confirmed | expectation.Expectation | None = None
    drawn = found.measurement.units
    if is_valued and decision is None:
        worth = expectation.confirmed(settings, target, predictions, drawn)
    elif decision is not None:
        worth = deciding.confirmed(*(decision, chosen, asked, columns, target, predictions, drawn))
    if around is not None:
        measured = found.measurement
        covered = intervals.coverage(around, settings, columns, target, predictions, measured)
    added = sums.load(model, contract, encoder.names, predict)
    terms = (
        None
        if added is None
        else shapes.shown(added, contract, encoder.names, matrix, encoder.unshown(contract))
    )
    training = json.loads((model / runtime.ABOUT).read_text(encoding="utf-8"))
    figures = found.measurement.figures()
    if validated := training.get("cross_validation"):
        figures["training"] = validated
    if covered is not None:
        figures["intervals"] = covered.figures()
        for part, share in covered.slices:
            figures["slices"][part.name]["coverage"] = estimated(share)
    if worth is not None:
        figures["value"] = worth.figures()
    threshold = settings.evaluation.threshold
    tables = plots.tables(contract, target, found.predictions, found.importances, threshold)
    few = found.measurement.units.few
    told = suspicions(contract.task, target, found.predictions, found.importances)
    if worth is not None:
        told = [*worth.told(), *told]
    told = [*([few] if few else []), *scarce(settings, target), *missed(settings, covered), *told]
    html = page.page(
        settings,
        found.measurement,
        target,
        found.predictions,
        found.importances,
        training,
        told=told,
        covered=covered,
        terms=terms,
        worth=worth,
    )
    plots.write(out / "plots", tables)
    write_text(out / "report.html", html)
    # Apart from the metrics: each would be a column of `dvc exp show`.
    _write_json(out / "slices.json", figures.pop("slices"))
    _write_json(out / "metrics.json", figures)
    return figures | {"check": told}


def _write_json(path: Path, figures: dict[str, Any]) -> None:
    write_text(path, json.dumps(figures, indent=2, allow_nan=False) + "\n")


def evaluation(
    settings: Settings,
    columns: Mapping[str, NDArray[Any]],
    target: NDArray[Any],
    predictions: Array,
    predict: Predict,
    matrix: NDArray[np.float32],
    features: Mapping[str, Sequence[int]],
) -> Evaluated:
    """Measure predictions: metrics with intervals, slices, and what each feature contributes."""
    asked, task = settings.evaluation, settings.data.task
    check(asked.measured, task)
    check_holdout(settings, target)
    measurement = measure(
        task,
        target,
        predictions,
        slices(columns, settings.data, asked.slices),
        asked,
        settings.seed,
        units(settings, columns),
        threads=2 if len(target) >= MANY_ROWS else 1,
    )
    found = importances(
        predict,
        matrix,
        target,
        features,
        task,
        asked.primary,
        asked.importance_rows,
        asked.importance_repeats,
        settings.seed,
        asked.threshold,
    )
    return Evaluated(measurement, found, predictions)


def columns_of(settings: Settings) -> list[str]:
    """Return the columns of a holdout that are read: those in use, and those the split hangs on."""
    kept = [name for name, _ in settings.data.kept()]
    return list(dict.fromkeys([*kept, *settings.split.columns]))


def check_holdout(settings: Settings, target: NDArray[Any]) -> None:
    """Raise EvaluationError for a holdout on which nothing can be measured."""
    remedy = (
        "add rows to data/raw, or draw another holdout in params.yaml: a larger split.holdout, "
        "another split.salt or an earlier split.cutoff"
    )
    if not len(target):
        raise EvaluationError(f"the holdout has no rows: {remedy}")
    if settings.data.task != "regression" and len(present := np.unique(target)) < 2:
        label = settings.data.labels[int(present[0])]
        raise EvaluationError(
            f"every one of the {len(target)} holdout rows has {settings.data.target} {label!r}, "
            f"so no metric means anything: {remedy}"
        )
