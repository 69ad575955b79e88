"""A server's log of days that never were: rows with what a bundle answers them."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlops.bundle.reading import Loaded
from mlops.data import prepared
from mlops.serving.recording.segment import Answers, Declaration, Outcomes
from mlops.serving.recording.tables import batches


def answered(loaded: Loaded, rows: pa.Table) -> np.ndarray:
    """Return what a bundle answers typed rows."""
    return loaded.answer(prepared.arrays(rows, loaded.contract, loaded.encoder.inputs))


def record(
    log: Path,
    loaded: Loaded,
    digest: str,
    day: date,
    rows: pa.Table,
    role: str = "champion",
    units: list[str | None] | None = None,
) -> np.ndarray:
    """Write a day's rows as the server's compaction does, and return their predictions."""
    contract = loaded.contract
    names = loaded.encoder.inputs
    declaration = Declaration(
        digest,
        contract.task,
        list(contract.labels),
        loaded.settings.evaluation.threshold,
        [(name, contract.columns[name].type, not contract.columns[name].pii) for name in names],
        contract.source.missing,
    )
    predictions = answered(loaded, rows)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
    kept = [name for name in names if not contract.columns[name].pii]
    values = zip(*(_plain(rows.column(name)) for name in kept), strict=True)
    ids = [f"{day}-{at}" for at in range(rows.num_rows)]
    block = Answers(
        digest,
        role,
        ids,
        [1] * rows.num_rows,
        [noon] * rows.num_rows,
        list(values),
        np.ascontiguousarray(predictions, dtype="<f8").tobytes(),
        *([units] if units else []),
    )
    _write(log, block, {digest: declaration}, f"{role}-{day}")
    return predictions


def report(log: Path, day: date, on: date, outcomes: Mapping[int, Any]) -> None:
    """Write what was reported one day of rows that were answered on another."""
    moment = datetime(on.year, on.month, on.day, 13, tzinfo=UTC).timestamp()
    rows = sorted(outcomes)
    block = Outcomes(
        [f"{day}-{at}" for at in rows],
        [0] * len(rows),
        [moment] * len(rows),
        [outcomes[at] for at in rows],
    )
    _write(log, block, {}, f"of-{day}")


def _write(log: Path, block: Any, declared: Any, name: str) -> None:
    for part, batch in batches(block, declared):
        path = log / part.folder / f"part-{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_batches([batch]), path)


def _plain(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        return [None if value is None else value.isoformat() for value in column.to_pylist()]
    return column.to_pylist()
