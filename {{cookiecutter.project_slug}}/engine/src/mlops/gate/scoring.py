"""A bundle's answers for today's holdout, and whether they are those it was bundled with."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle import manifest, reading
from ..data import prepared
from ..errors import ProjectError
from ..metrics import catalogue
from ..runtime.model import BATCH, farthest
from .case import Answers, Judged
from .rule import Finding, Verdict

TOLERANCE = 1e-5  # of predictions and metrics: float32 on another processor
SHOWN = 5


class ScoringError(ProjectError):
    """A bundle cannot answer for today's rows."""


def judged(folder: Path, bundle: Answers, holdout: Path) -> Judged:
    """Have a verified bundle predict the holdout, by its own contract and features.

    Raises ScoringError where a column that it reads is gone, or an answer is no finite number.
    """
    inputs = bundle.encoder.inputs
    present = set(prepared.column_names(holdout))
    if gone := [name for name in inputs if name not in present]:
        raise ScoringError(f"today's holdout has no column {', '.join(gone)}")
    if not (rows := prepared.row_count(holdout)):
        raise ScoringError("the holdout has no rows: run `dvc repro`")
    columns = prepared.read(holdout, bundle.contract, inputs)
    # In the blocks that a model predicts in: others may give other last bits.
    blocks = [slice(start, start + BATCH) for start in range(0, rows, BATCH)]
    parts = [bundle.answer({name: c[block] for name, c in columns.items()}) for block in blocks]
    predictions = np.concatenate(parts)
    if len(predictions) != rows:
        raise ScoringError(f"{rows} rows got {len(predictions)} predictions")
    if wrong := int((~np.isfinite(predictions)).sum()):
        raise ScoringError(f"{wrong} of its predictions are not finite numbers")
    return Judged(folder, bundle, predictions)


def golden(one: Judged) -> Finding:
    """Find whether a bundle answers its golden rows, and those beyond, as when it was made."""
    rows = json.loads((one.folder / reading.GOLDEN).read_text(encoding="utf-8"))
    if not len(rows):
        return Finding("rejected", "it holds no golden rows", "golden rows")
    if (beyond := one.folder / reading.EDGES).is_file():
        rows += json.loads(beyond.read_text(encoding="utf-8"))
    try:
        expected = np.asarray([row["prediction"] for row in rows], dtype=np.float64)
    except ValueError:
        return Finding(
            "rejected", "its golden rows have predictions of several forms", "golden rows"
        )
    answers = one.bundle.golden([row["row"] for row in rows])
    far = farthest(answers, expected, one.bundle.contract.task)
    kept = far <= TOLERANCE
    said = "answers its golden rows as it did" if kept else "no longer answers its golden rows"
    reason = f"it {said}: the farthest prediction is {far:.2g} away"
    if not math.isfinite(far):
        return Finding("rejected", reason, "golden rows")
    verdict: Verdict = "passed" if kept else "rejected"
    return Finding(verdict, reason, "golden rows", far, threshold=TOLERANCE)


def predictions(one: Judged) -> Finding:
    """Find whether recomputed predictions are, to the bit, those that the manifest recorded."""
    recorded = one.bundle.manifest["holdout"]
    found = manifest.digest(one.predictions)
    if (recorded["rows"], recorded["predictions"]) == (len(one.predictions), found):
        return Finding("passed", "it predicts the holdout as its manifest says", "predictions")
    reason = (
        f"it predicts {len(one.predictions):,} holdout rows (digest {found[:12]}) and its manifest "
        f"says {recorded['rows']:,} ({str(recorded['predictions'])[:12]})"
    )
    return Finding("rejected", reason, "predictions")


def unknown(one: Judged, measured: Sequence[str]) -> list[str]:
    """Return the metrics of a bundle that the code which judges does not know."""
    known = catalogue.allowed(one.bundle.contract.task)
    return [name for name in dict.fromkeys([*measured, *_carried(one)]) if name not in known]


def metrics(
    one: Judged, target: np.ndarray, measured: Sequence[str], base: str = "the base"
) -> list[Finding]:
    """Find whether a bundle carries every metric `measured`, and they are its predictions'.

    Those that `base` does not know yet are named: nothing here could compute them.
    """
    carried = _carried(one)
    if not carried:
        return [Finding("rejected", f"its {reading.METRICS} holds no metric", "metrics")]
    new = unknown(one, measured)
    told = [
        Finding(
            "not applicable",
            f"it is not known to {base} yet: not checked; from the merge on it is",
            name,
        )
        for name in new
    ]
    if absent := [name for name in measured if name not in carried]:
        said = f"its {reading.METRICS} lacks {', '.join(absent)}: run `dvc repro`"
        return [*told, Finding("rejected", said, "metrics")]
    threshold = one.bundle.settings.evaluation.threshold
    task = one.bundle.contract.task
    names = [name for name in carried if name not in new]
    found = catalogue.compute(task, names, target, one.predictions, threshold=threshold)
    own = catalogue.own()
    wrong = [
        f"{name} is {value:.6g} and it says {carried[name]['value']}"
        + (" (a metric that now means something else needs another name)" if name in own else "")
        for name, value in found.items()
        if not _agree(value, carried[name]["value"])
    ]
    if wrong:
        return [*told, Finding("rejected", "; ".join(wrong[:SHOWN]), "metrics")]
    if not names:
        return told
    return [*told, Finding("passed", "its metrics are those of its predictions", "metrics")]


def _carried(one: Judged) -> dict[str, Any]:
    """Return the metrics that a bundle says it has on the holdout."""
    try:
        told = json.loads((one.folder / reading.METRICS).read_text(encoding="utf-8"))
        return dict(told["holdout"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}


def _agree(value: float, carried: Any) -> bool:
    if carried is None or isinstance(carried, bool) or not isinstance(carried, int | float):
        return carried is None and not math.isfinite(value)
    return math.isclose(value, carried, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
