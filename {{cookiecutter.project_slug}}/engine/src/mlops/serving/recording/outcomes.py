"""Predictions beside what turned out to be true of them, read from the log folder."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...errors import ProjectError
from .tables import FEEDBACK, PREDICTIONS

KEY = ["request_id", "row"]
UNMATCHED = b"unmatched_feedback"


class OutcomesError(ProjectError):
    """The log folder cannot be read as one table."""


def joined(folder: Path) -> pa.Table:
    """Return every recorded prediction, with its `outcome` and `outcome_time` where known.

    Of several outcomes of a row the latest counts. Predictions of a shadow are rows of their
    own, with the same outcome. `unmatched` counts what belongs to no recorded prediction.
    """
    predictions = _read(folder / PREDICTIONS)
    feedback = _read(folder / FEEDBACK)
    if predictions is None:
        raise OutcomesError(f"{folder} holds no predictions yet: point at a server's log folder")
    if feedback is None:
        known = pa.nulls(predictions.num_rows, pa.int64())
        latest = pa.table({"time": pa.array([], pa.timestamp("us")), "outcome": pa.nulls(0)})
        unmatched = 0
    else:
        latest = _latest(feedback)
        known, unmatched = _matches(predictions, latest)
    table = predictions.append_column("outcome", latest["outcome"].take(known))
    table = table.append_column("outcome_time", latest["time"].take(known))
    metadata = {**(table.schema.metadata or {}), UNMATCHED: str(unmatched).encode()}
    return table.replace_schema_metadata(metadata)


def unmatched(table: pa.Table) -> int:
    """Return how many outcomes matched no prediction of a joined table."""
    return int(table.schema.metadata[UNMATCHED])


def _read(folder: Path) -> pa.Table | None:
    """Read every part of a folder; a column that some parts lack is null in them."""
    files = sorted(folder.rglob("part-*.parquet"))
    if not files:
        return None
    parts = []
    for path in files:
        with pq.ParquetFile(path) as file:
            parts.append(_plain(file.read()))
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise OutcomesError(
            f"{folder} holds predictions of another task or type ({error}): give every model of "
            "its own kind a log folder of its own"
        ) from error


def _plain(table: pa.Table) -> pa.Table:
    """Return a table without dictionaries, whose labels differ from file to file."""
    for position, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            values = table.column(position).cast(field.type.value_type)
            table = table.set_column(position, field.name, values)
    return table


def _latest(feedback: pa.Table) -> pa.Table:
    """Return the last outcome of each row."""
    order = pc.sort_indices(feedback, sort_keys=[("time", "ascending")])
    feedback = feedback.take(order)
    positions = feedback.select(KEY).append_column("position", _numbered(feedback))
    last = positions.group_by(KEY, use_threads=False).aggregate([("position", "last")])
    return feedback.take(last["position_last"])


def _matches(predictions: pa.Table, latest: pa.Table) -> tuple[pa.Array, int]:
    """Return the position of each prediction's outcome, or null, and how many had none."""
    left = predictions.select(KEY).append_column("prediction", _numbered(predictions))
    right = latest.select(KEY).append_column("outcome", _numbered(latest))
    found = left.join(right, KEY, join_type="left outer").sort_by("prediction")["outcome"]
    matched = len(pc.unique(found.drop_null()))
    return found.combine_chunks(), latest.num_rows - matched


def _numbered(table: pa.Table) -> pa.Array:
    return pa.array(np.arange(table.num_rows))
