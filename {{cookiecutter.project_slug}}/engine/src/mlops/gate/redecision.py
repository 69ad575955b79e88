"""The decision of a candidate made again: its threshold, and what it is said to be worth."""

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np

from ..bundle.reading import CONFIG, METRICS
from ..config.settings import Settings
from ..evaluation import decision, expectation
from ..files import parse_yaml
from ..metrics.decisions import best_cut
from ..runtime.decision import DECISION, Decision
from ..runtime.expectation import Expected
from .case import Case
from .rederivation import AGAIN, Rederived
from .rule import Finding

Array = np.ndarray
PART, EVIDENCE = "decision", "decision's worth"


def findings(case: Case, made: Rederived, tolerance: float) -> list[Finding]:
    """Return a finding for the threshold and one for what it is worth; none where none decides.

    `made` has the training rows as fits predict them that have not seen them. A threshold may be
    `tolerance` away, or as much worth on those rows; the figures may be off by so much of the
    largest amount. Of several labels no threshold is chosen, and the figures alone are compared.
    """
    if Expected.find(case.settings) is not None:
        return [_evidence(case, lambda settings: _expected(case, settings), tolerance)]
    path = case.candidate.folder / DECISION
    content = path.read_bytes() if path.is_file() else None
    if content is None and made.decision is None:
        return []
    inputs = f"the inputs of {made.commit[:12]}"
    try:
        if content is None or made.decision is None or made.choice is None:
            raise ValueError("one of them decides nothing")
        mine, other = (msgspec.json.decode(one, type=Decision) for one in (content, made.decision))
        rows = np.asarray(made.choice, dtype=np.float64)
        if rows.ndim != 2 or len(rows) != 3 or not rows.size or not np.isfinite(rows).all():
            raise ValueError("no training rows were decided on")
    except ValueError as error:
        reason = f"{inputs} make another {DECISION} than the candidate's ({error}): {AGAIN}"
        return [Finding("rejected", reason, PART)]
    found = _threshold(mine, other, rows, inputs, tolerance)
    evidence = _evidence(case, lambda settings: _decided(case, settings, mine, rows), tolerance)
    return [found, evidence]


def _threshold(
    mine: Decision, other: Decision, rows: Array, inputs: str, tolerance: float
) -> Finding:
    """Compare what is decided: the table's facts, and thresholds by what they bring on `rows`."""
    facts = (mine.actions, mine.currency, mine.costs) == (
        other.actions,
        other.currency,
        other.costs,
    )
    facts &= (mine.break_even is None) == (other.break_even is None)
    thresholds = [(mine.threshold, other.share)]
    if mine.break_even is not None:
        thresholds.append((mine.break_even, 1.0))
    due = [best_cut(rows[0], rows[2] - rows[1], share) for _, share in thresholds]
    pairs = list(zip(thresholds, due, strict=True))
    near = facts and abs(mine.share - other.share) <= tolerance
    if near and all(_is_as_good(rows, *one, best, tolerance) for one, best in pairs):
        far = max(abs(threshold - best) for (threshold, _), best in pairs)
        reason = f"{inputs} choose the threshold that it has, or one {far:.2g} away worth as much"
        return Finding("passed", reason, PART, far)
    reason = (
        f"{inputs} decide otherwise: {other.actions[1]} above {due[0]:g}, and the candidate's "
        f"{DECISION} says {mine.actions[1]} above {mine.threshold:g}: {AGAIN}"
    )
    return Finding("rejected", reason, PART, abs(mine.threshold - due[0]), threshold=tolerance)


def _is_as_good(rows: Array, threshold: float, share: float, best: float, tolerance: float) -> bool:
    """Say whether a threshold is the `best` one of rows, or brings as much."""
    predictions, gained = rows[0], rows[2] - rows[1]
    if abs(threshold - best) <= tolerance:
        return True
    acted, due = predictions > threshold, predictions > best
    lost = (gained[due].sum() - gained[acted].sum()) / len(gained)
    is_within = acted.mean() <= share + tolerance
    return bool(is_within and lost <= tolerance * np.abs(gained).mean())


def _expected(case: Case, settings: Settings) -> dict[str, Any]:
    """Return what actions by the greatest expected worth bring, by the answers that were judged."""
    predictions, units = case.candidate.predictions, case.units
    return expectation.confirmed(settings, case.target, predictions, units).figures()


def _decided(case: Case, settings: Settings, mine: Decision, rows: Array) -> dict[str, Any]:
    """Return what a decision by a threshold brings, by the answers that were judged."""
    chosen = float(np.where(rows[0] > mine.threshold, rows[2], rows[1]).mean())
    judged = (case.columns, case.target, case.candidate.predictions, case.units)
    return decision.confirmed(mine, chosen, settings, *judged).figures()


def _evidence(
    case: Case, figures: Callable[[Settings], dict[str, Any]], tolerance: float
) -> Finding:
    """Compare what the candidate says that its decision is worth with figures made again."""
    folder = case.candidate.folder
    try:
        carried = json.loads((folder / METRICS).read_text(encoding="utf-8"))["value"]
        evaluation = parse_yaml((folder / CONFIG).read_text(encoding="utf-8"))["evaluation"]
        asked = msgspec.structs.replace(
            case.settings.evaluation, threshold=float(evaluation["threshold"])
        )
        found = figures(msgspec.structs.replace(case.settings, evaluation=asked))
        told = dict(_numbers(carried))
    except (OSError, ValueError, LookupError, TypeError, RecursionError, AssertionError) as error:
        reason = f"{METRICS} does not say what the decision is worth ({error}): {AGAIN}"
        return Finding("rejected", reason, EVIDENCE)
    due = dict(_numbers(found))
    scale = max([1.0, *(abs(one) for one in due.values())])
    wrong = [
        f"{name} is {value:.6g} and it says {told.get(name)}"
        for name, value in due.items()
        if not math.isclose(value, told.get(name, math.nan), abs_tol=tolerance * scale)
    ]
    if not wrong:
        return Finding("passed", "what the decision is worth is what it says", EVIDENCE)
    more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return Finding("rejected", f"{METRICS}: {wrong[0]}{more}: {AGAIN}", EVIDENCE)


def _numbers(content: Any, name: str = "value") -> Iterator[tuple[str, float]]:
    """Yield each number of a report, by its place."""
    if isinstance(content, dict):
        for key, one in content.items():
            yield from _numbers(one, f"{name}.{key}")
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield name, float(content)
