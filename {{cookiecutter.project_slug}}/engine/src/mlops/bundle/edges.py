"""Rows at the edge of what a client may send, made from golden ones, and their predictions.

A holdout has few missing, unseen or extreme values, and no value on a threshold of the model.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ..contract import Column, Contract
from ..data.prepared import arrays
from ..runtime.hooks import Before
from .golden import Answer, plain

ROWS = 40
UNSEEN = "(no declared label)"
HUGE = 1e300  # a number, and as float32 none
MISSING: Mapping[str, Any] = {"datetime": np.datetime64("NaT"), "text": None}


class Edge(NamedTuple):
    """One value that a column gets: as JSON has it, as features see it, and what it is."""

    column: str
    sent: Any
    seen: Any
    what: str


def edges(
    rows: pa.Table, contract: Contract, thresholds: Mapping[str, Sequence[float]], answer: Answer
) -> list[dict[str, Any]]:
    """Return [{"row": {column: value}, "prediction": …, "what": …}], at most ROWS.

    `rows` are holdout rows with the columns that a request has; in each that is returned one column
    has another value, of each kind as many as there are of others. `answer` is what is served for
    columns. A row that `before` vetoes, or that model or project do not answer, is left out.
    """
    found: list[dict[str, Any]] = []
    before = Before.find(contract)
    names, changes = rows.column_names, _mixed(contract, rows.column_names, thresholds)
    for place, edge in enumerate(changes):
        if len(found) == ROWS or not rows.num_rows:
            break
        base = rows.slice(place % rows.num_rows, 1)
        columns = dict(arrays(base, contract, names))
        columns[edge.column] = np.array([edge.seen], dtype=columns[edge.column].dtype)
        try:
            if before is not None:
                before(columns)
            prediction = answer(columns)
        except Exception:  # of the owner's code, or of a model that takes no such value
            continue
        if not np.isfinite(prediction).all():
            continue
        row = {n: plain(v, contract, n) for n, v in base.to_pylist()[0].items()}
        row[edge.column] = edge.sent
        found.append({"row": row, "prediction": prediction[0].tolist(), "what": edge.what})
    return found


def _mixed(
    contract: Contract, names: Sequence[str], thresholds: Mapping[str, Sequence[float]]
) -> Iterator[Edge]:
    """Yield values of each kind in turn, so that none crowds out the others."""
    columns = {name: contract.columns[name] for name in names}
    kinds = (
        [e for n, c in columns.items() for e in _missing(n, c)],
        [e for n, c in columns.items() for e in _unseen(n, c)],
        [e for n, c in columns.items() for e in _extreme(n, c)],
        [e for n, c in columns.items() for e in _on_threshold(n, c, thresholds.get(n, ()))],
    )
    for several in zip_longest(*kinds):
        yield from (e for e in several if e is not None and not _means_missing(e, contract))


def _means_missing(edge: Edge, contract: Contract) -> bool:
    """Say whether a number is one that a request or a table would have read as no value."""
    if not isinstance(edge.sent, int | float):
        return False
    texts = (*contract.columns[edge.column].missing, *contract.source.missing)
    return any(_number(text) == edge.sent for text in texts)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _missing(name: str, column: Column) -> Iterator[Edge]:
    if column.nullable:
        yield Edge(name, None, MISSING.get(column.type, np.nan), "missing")


def _unseen(name: str, column: Column) -> Iterator[Edge]:
    if column.type == "category" and UNSEEN not in column.categories:
        yield Edge(name, UNSEEN, float(len(column.categories)), "unseen")


def _extreme(name: str, column: Column) -> Iterator[Edge]:
    bounds = [b for b in (column.min, column.max) if b is not None]
    if column.type == "integer":
        least = [] if column.min is None else [math.ceil(column.min)]
        most = [] if column.max is None else [math.floor(column.max)]
        for whole in (*least, *most, 2**53, -(2**53)):
            yield Edge(name, whole, float(whole), "extreme")
    elif column.type == "number":
        for value in (*bounds, HUGE, -HUGE, -0.0):
            yield Edge(name, value, value, "extreme")


def _on_threshold(name: str, column: Column, thresholds: Sequence[float]) -> Iterator[Edge]:
    """Yield the float32 of each threshold and its neighbours: features are float32."""
    if column.type == "integer":  # beside one alone: thresholds lie between whole numbers
        for threshold in thresholds:
            for whole in (math.floor(threshold), math.ceil(threshold)):
                yield Edge(name, whole, float(whole), "on a threshold, or beside it")
    if column.type != "number":
        return
    for threshold in thresholds:
        on = np.float32(threshold)
        for value in (
            on,
            np.nextafter(on, np.float32(-np.inf)),
            np.nextafter(on, np.float32(np.inf)),
        ):
            yield Edge(name, float(value), float(value), "on a threshold, or beside it")
