"""Recorded blocks as typed columns, and where in the log folder they belong."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ...data.prepared import ARROW
from ...log_layout import ASSIGNED, FEATURES, FEEDBACK, FORMAT, PREDICTIONS, stored
from ...spelling import Spellings, spellings
from ...views.online import key_text
from .segment import Answers, Declaration, Outcomes

MOMENT = pa.timestamp("us")


class Part(NamedTuple):
    """Where rows belong, relative to the log folder."""

    folder: str
    schema: pa.Schema


def batches(
    block: Answers | Outcomes, declared: dict[str, Declaration]
) -> Iterator[tuple[Part, pa.RecordBatch]]:
    """Yield the rows of a block by the day they were answered or reported."""
    if isinstance(block, Answers):
        about = declared[block.bundle_digest]
        leaf = f"/model={block.bundle_digest[:12]}"
        batch, root = _answers(block, about), PREDICTIONS
    else:
        batch, root, leaf = _outcomes(block), FEEDBACK, ""
    days = np.asarray(batch.column("time")).astype("datetime64[D]")
    for day in np.unique(days):
        here = batch if (days == day).all() else batch.filter(pa.array(days == day))
        yield Part(f"{root}/date={day}{leaf}", batch.schema), here


def _answers(block: Answers, about: Declaration) -> pa.RecordBatch:
    counts = block.counts
    rows = len(block.rows)
    columns = {
        "request_id": pa.array(_repeated(block.ids, counts), pa.string()),
        "row": pa.array(list(chain.from_iterable(map(range, counts))), pa.int32()),
        "time": _moments(_repeated(block.times, counts)),
        "digest": pa.array([block.bundle_digest] * len(block.rows)).dictionary_encode(),
        "role": pa.array([block.role] * len(block.rows)).dictionary_encode(),
        "unit": pa.array(_repeated(block.units or [None] * len(counts), counts), pa.string()),
        "arm": pa.array([block.arm] * rows, pa.string()).dictionary_encode(),
        "propensity": pa.array([block.propensity] * rows, pa.float64()),
    }
    if block.assigned:
        columns[ASSIGNED] = _assigned(block)
    if about.views:
        columns |= _looked_up(block, about)
    values = zip(*block.rows, strict=True)
    for name, kind, recorded in about.columns:
        columns[stored(name)] = (
            _typed(next(values), kind, about, name) if recorded else pa.nulls(rows, ARROW[kind])
        )
    columns |= _predicted(np.frombuffer(block.predictions).reshape(rows, -1), about)
    labels = json.dumps(about.labels, ensure_ascii=False)
    told = {"format": FORMAT, "task": about.task, "labels": labels}
    return pa.RecordBatch.from_pydict(columns, metadata=told)


def _assigned(block: Answers) -> pa.StructArray:
    """Return a struct of the arm, the action and its probability, null of what was not assigned."""
    names = ("arm", "action", "propensity")
    kind = pa.struct(list(zip(names, (pa.string(), pa.string(), pa.float64()), strict=True)))
    rows = [one and dict(zip(names, one, strict=True)) for one in block.assigned]
    return pa.array(rows, kind)


def _looked_up(block: Answers, about: Declaration) -> dict[str, pa.Array]:
    """Return by view when the values of each row were known, and the entity they are of."""
    entities = [
        tuple(key_text(one) if isinstance(one, bytes) else one for one in of_row)
        for of_row in block.entities
    ]
    parts = (
        _by_view(block.as_of, about.views, MOMENT),
        _by_view(entities, about.views, pa.string()),
    )
    return dict(zip(FEATURES, parts, strict=True))


def _by_view(
    rows: Sequence[tuple[Any, ...]], views: Sequence[str], kind: pa.DataType
) -> pa.StructArray:
    """Return a struct with a field for each view."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(views)
    return pa.StructArray.from_arrays(
        [
            pa.array(column, pa.int64()).cast(kind) if kind == MOMENT else pa.array(column, kind)
            for column in columns
        ],
        names=list(views),
    )


def _predicted(predictions: np.ndarray, about: Declaration) -> dict[str, pa.Array]:
    """Return the decision as `mlops predict` makes it, and the probability of each label."""
    if not about.labels:
        nothing = pa.nulls(len(predictions), pa.list_(pa.float64()))
        return {"prediction": pa.array(predictions[:, 0]), "probabilities": nothing}
    if about.task == "binary":
        decided = (predictions[:, 0] > about.threshold).astype(np.int32)
        predictions = np.column_stack([1 - predictions[:, 0], predictions[:, 0]])
    else:
        decided = predictions.argmax(axis=1).astype(np.int32)
    starts = np.arange(0, predictions.size + 1, predictions.shape[1], dtype=np.int32)
    return {
        "prediction": pa.DictionaryArray.from_arrays(decided, pa.array(about.labels)),
        "probabilities": pa.ListArray.from_arrays(starts, predictions.ravel()),
    }


def _outcomes(block: Outcomes) -> pa.RecordBatch:
    none = [None] * len(block.ids)
    return pa.RecordBatch.from_pydict(
        {
            "request_id": pa.array(block.ids, pa.string()),
            "row": pa.array(block.rows, pa.int32()),
            "time": _moments(block.times),
            "outcome": pa.array(block.outcomes),
            "value": pa.array(block.values or none, pa.float64()),
            "currency": pa.array(block.currencies or none, pa.string()),
            "action": pa.array(block.actions or none, pa.string()),
        }
    )


def _typed(values: Sequence[Any], kind: str, about: Declaration, name: str) -> pa.Array:
    """Return the values of one input as data/prepared has them."""
    match kind:
        case "number" | "integer":
            numbers = np.array(values, dtype=np.float64)  # None becomes NaN
            return pa.array(numbers, ARROW[kind], from_pandas=True)
        case "datetime":
            return pa.array(values, pa.string()).cast(MOMENT)
        case "category":
            known = spellings(tuple(about.categories.get(name, ())), about.decimal)
            encoded = pa.array(values, pa.string()).dictionary_encode()
            return _labels(encoded, about.missing, known)
        case "text":
            encoded = pa.array(values, pa.string()).dictionary_encode()
            texts = _labels(encoded, about.missing, spellings((), about.decimal))
            return texts.cast(ARROW[kind])
        case _:
            return pa.array(values, ARROW[kind])


def _labels(
    encoded: pa.DictionaryArray, missing: Sequence[str], known: Spellings
) -> pa.DictionaryArray:
    """Return texts as `mlops predict` reads them: stripped, null where they mean missing."""
    texts = encoded.dictionary.to_pylist()
    stripped = [text.strip() for text in texts]
    labels = [None if text in missing else known.meant(text) for text in stripped]
    if labels == texts:
        return encoded
    return pa.array(labels, pa.string()).take(encoded.indices).dictionary_encode()


def _moments(seconds: Sequence[float]) -> pa.Array:
    return pa.array((np.asarray(seconds) * 1e6).astype(np.int64)).cast(MOMENT)


def _repeated(values: Sequence[Any], counts: Sequence[int]) -> list[Any]:
    return list(chain.from_iterable(map(repeat, values, counts)))
