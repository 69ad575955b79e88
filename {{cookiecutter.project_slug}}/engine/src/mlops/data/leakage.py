"""Columns that give the target away: what they tell is not known when predicting."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .association import LEAST_ROWS, auc, avoided, explained, least_squares, levels, linear

AUC = 0.995
ERRORS = 0.99
R2 = 0.98
EXACT = 0.9999
NEAR_ONE = 0.15  # how far a slope may be from 1 or -1
SHARE = 0.7  # of the target's spread, that a column which contains it has
MOST_ROWS = 20_000  # looked at, evenly spaced
PAIRED = 30  # columns, and
PAIRED_ROWS = 4_000  # rows, of which pairs are looked at


@dataclass(frozen=True)
class Candidate:
    """What may give the target away: float64 values with NaN, categories as their codes.

    `column` is the contract column to leave out when it does.
    """

    column: str
    values: np.ndarray
    ordered: bool = True


def leaks(candidates: Mapping[str, Candidate], target: np.ndarray, classes: bool) -> dict[str, str]:
    """Return the columns that give the target (class codes or numbers) away, with the evidence.

    A column does where alone it avoids 99 % of the errors of a constant guess (by the majority
    of the other rows with the same value or of the same 50-quantile), orders two classes with
    an AUC of 0.995, or explains 98 % of the variance of a number (by the mean of those rows, or
    a line); or where least squares on all numbers explain as much with slopes near 1 and -1:
    then the columns near 1 contain the target, or are all its parts.
    """
    if len(target) < LEAST_ROWS:
        return {}
    found: dict[str, str] = {}
    for name, candidate in candidates.items():
        said = _class_evidence(candidate, target) if classes else _evidence(candidate, target)
        if said:
            found.setdefault(
                candidate.column, said if name == candidate.column else f"{name} {said}"
            )
    if not classes:
        left = {n: c.values for n, c in candidates.items() if c.ordered and n == c.column}
        found |= _together({n: v for n, v in left.items() if n not in found}, target)
    return found


def pairs(
    candidates: Mapping[str, Candidate], target: np.ndarray, classes: bool
) -> list[tuple[str, str, str]]:
    """Return the pairs of columns that tell the target together though neither does, with how.

    Tried are the difference of two numbers and the joint levels of two categories, for the first
    columns and some of the rows.
    """
    step = -(-len(target) // PAIRED_ROWS)
    target = target[::step]
    if len(target) < LEAST_ROWS:
        return []
    found = []
    chosen = {n: c for n, c in list(candidates.items())[:PAIRED] if len(c.values)}
    for (one, left), (other, right) in combinations(chosen.items(), 2):
        if left.ordered != right.ordered:
            continue
        first, second = left.values[::step], right.values[::step]
        width = 1 if left.ordered else np.nanmax(second, initial=0) + 1
        joint = first - second if left.ordered else first * width + second
        together = Candidate("", joint, left.ordered)
        said = _class_evidence(together, target) if classes else _evidence(together, target)
        if said:
            plural = said.removeprefix("alone ").replace("tells", "tell").replace("orders", "order")
            found.append((one, other, plural))
    return found


def _class_evidence(candidate: Candidate, target: np.ndarray) -> str | None:
    classes = target.astype(np.int64)
    share = avoided(levels(candidate.values, candidate.ordered), classes)
    if share >= ERRORS:
        return f"alone tells the target (avoids {share:.1%} of the errors of a constant guess)"
    if candidate.ordered and classes.max() == 1 and (area := auc(candidate.values, classes)) >= AUC:
        return f"alone orders the classes of the target (AUC {area:.4f})"
    return None


def _evidence(candidate: Candidate, target: np.ndarray) -> str | None:
    share = explained(levels(candidate.values, candidate.ordered), target)
    if candidate.ordered:
        share = max(share, linear(candidate.values, target))
    return f"alone tells the target (explains R² {share:.4f} of it)" if share >= R2 else None


def _together(columns: Mapping[str, np.ndarray], target: np.ndarray) -> dict[str, str]:
    """Return the columns that contain the target, or that it is the sum of."""
    found: dict[str, str] = {}
    left = dict(columns)
    while True:
        fit, slopes, spread = least_squares(left, target)
        plus = [name for name, slope in slopes.items() if abs(slope - 1) < NEAR_ONE]
        minus = [name for name, slope in slopes.items() if abs(slope + 1) < NEAR_ONE]
        whole = [name for name in plus if spread[name] >= SHARE]
        if fit >= R2 and minus and whole:
            guilty, formula = whole, " - ".join([" + ".join(whole), *minus])
        elif fit >= EXACT and len(plus) > 1:
            guilty, formula = plus, " + ".join(plus)
        else:
            return found
        said = "contains the target" if guilty is whole else "is a part of the target"
        found |= dict.fromkeys(guilty, f"{said}, which is nearly {formula} (R² {fit:.4f})")
        left = {name: values for name, values in left.items() if name not in guilty}
