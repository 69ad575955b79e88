"""What the terms of a model that adds them up look like on a holdout, as small arrays."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...contract import Contract
from ...metrics.arrays import Array, Index
from ...runtime.terms import Axis, Term, Terms
from .svg import padded

SHAPES = 8
STEPS = 400  # of a curve: a pixel each
CATEGORIES = 16
COUNTS = 30
BLOCK = 10_000
MISSING, OTHER = "missing", "any other"


class Weight(NamedTuple):
    """A term, and the mean of how much it adds to an answer, whichever way."""

    term: str
    size: float


class Curve(NamedTuple):
    """The scores (bins, 1 or classes) of a number between `edges`, and how many rows lie where.

    `missing` has the score of a missing value, where the holdout has one.
    """

    feature: str
    edges: Array
    scores: Array
    missing: Array | None
    counts: Index


class Levels(NamedTuple):
    """The score of each label of a category, (labels, 1 or classes), and how many rows have it."""

    feature: str
    labels: tuple[str, ...]
    scores: Array
    counts: Index
    left: int = 0


class Shown(NamedTuple):
    """The terms with their weights, the heaviest first, and the shapes of the heaviest features."""

    weights: list[Weight]
    shapes: list[Curve | Levels]
    logarithmic: bool


def shown(
    terms: Terms,
    contract: Contract,
    names: Sequence[str],
    matrix: NDArray[np.float32],
    hidden: Collection[str] = (),
) -> Shown:
    """Weigh terms on the rows of a matrix of the columns `names`, and take their shapes.

    Features that are `hidden` have weights alone.
    """
    sizes = np.zeros(len(terms.terms))
    for start in range(0, len(matrix), BLOCK):
        block = matrix[start : start + BLOCK].astype(np.float64)
        found = terms.contributions(dict(zip(names, block.T, strict=True)))
        sizes += np.abs(found).mean(axis=2).sum(axis=0)
    order = np.argsort(-sizes, kind="stable")
    alone = [terms.terms[at] for at in order if len(terms.terms[at].axes) == 1]
    heaviest = [term for term in alone if term.axes[0].feature not in hidden][:SHAPES]
    shapes = [
        _shape(term, contract, matrix[:, names.index(term.name)].astype(np.float64))
        for term in heaviest
    ]
    weights = [Weight(terms.terms[at].name, float(sizes[at]) / len(matrix)) for at in order]
    return Shown(weights, shapes, terms.link == "exp")


def _shape(term: Term, contract: Contract, values: Array) -> Curve | Levels:
    (axis,) = term.axes
    column = contract.columns.get(axis.feature)
    kind = None if column is None else column.type
    if kind == "category":
        assert column is not None
        return _levels(term, axis, dict(enumerate(column.categories)), values)
    if kind == "boolean":
        return _levels(term, axis, {0: "false", 1: "true"}, values)
    if axis.codes is not None:
        return _levels(term, axis, {code: f"{code:g}" for code in axis.codes}, values)
    return _curve(term, axis, values)


def _levels(term: Term, axis: Axis, labels: dict[Any, str], values: Array) -> Levels:
    codes = np.array([*labels, np.nan, max(labels, default=-1) + 1], np.float64)
    names = [*labels.values(), MISSING, OTHER]
    scores = term.table[axis.bins(codes)]
    counts = [int(np.sum(values == code)) for code in codes]
    counts[-2] = int(np.isnan(values).sum())
    counts[-1] = len(values) - sum(counts[:-1])
    there = [at for at in range(len(names)) if at < len(labels) or counts[at]]
    heavy = sorted(there, key=lambda at: -float(np.abs(scores[at]).max()))[:CATEGORIES]
    kept = [at for at in there if at in heavy]
    chosen = tuple(names[at] for at in kept)
    found = np.array([counts[at] for at in kept], np.intp)
    return Levels(axis.feature, chosen, scores[kept], found, len(there) - len(kept))


def _curve(term: Term, axis: Axis, values: Array) -> Curve:
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, [0.002, 0.998]) if len(known) else (0.0, 1.0)
    if low == high:
        low, high = padded([float(low)])
    inside = axis.steps[(axis.steps > low) & (axis.steps < high)]
    pixels = np.floor((inside - low) / (high - low) * STEPS)
    inside = inside[np.append(np.diff(pixels) > 0, True)] if len(inside) else inside
    scores = term.table[axis.bins(np.concatenate([[low], inside]))]
    moved = np.append(True, np.any(np.diff(scores, axis=0) != 0, axis=1))
    edges = np.concatenate([[low], inside])[moved]
    counts = np.histogram(known, bins=COUNTS, range=(low, high))[0]
    gone = term.table[0] if len(known) < len(values) else None
    return Curve(axis.feature, np.append(edges, high), scores[moved], gone, counts)
