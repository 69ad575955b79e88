"""Rows to train on out of a server's log: what was answered, with the values that were used."""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ..files import sha256
from ..log_layout import FEATURES
from .outcomes import feedback_files, outcomes, prediction_files
from .rows import ANSWERED

AS_OF = FEATURES[0]
KNOWN_TIME = "features_known_time"
MOMENT = pa.timestamp("us")


class Asked(NamedTuple):
    """Which rows of a log: of a bundle (its first twelve digits), and of days, both included."""

    log: Path
    model: str | None = None
    first: date | None = None
    last: date | None = None


def served(asked: Asked) -> Iterator[pa.Table]:
    """Yield the rows that somebody got an answer to, by date, file and position.

    They have the log's columns: request and row, which name a prediction, the inputs as they were
    used, and `outcome`, null where it is not known. `features_known_time` is the newest moment that
    looked-up values of a row were known for, null where none was used.
    """
    found = outcomes(asked.log, asked.first, asked.last, asked.model, roles=ANSWERED)
    for batch in found:
        table = pa.Table.from_batches([batch])
        yield table.append_column(KNOWN_TIME, _known(table))


def lineage(asked: Asked) -> dict[str, Any]:
    """Return which files of the log the rows and outcomes are of."""
    predictions = prediction_files(asked.log, asked.first, asked.last, asked.model)
    files = [*predictions, *feedback_files(asked.log, asked.first, None)]
    return {
        "model": asked.model,
        "since": None if asked.first is None else asked.first.isoformat(),
        "until": None if asked.last is None else asked.last.isoformat(),
        "inputs": [
            {"name": path.relative_to(asked.log).as_posix(), "sha256": sha256(path)}
            for path in files
        ],
    }


def _known(table: pa.Table) -> pa.Array:
    if AS_OF not in table.column_names:
        return pa.nulls(table.num_rows, MOMENT)
    times: Sequence[pa.ChunkedArray] = pa.table({AS_OF: table.column(AS_OF)}).flatten().columns
    return times[0] if len(times) == 1 else pc.max_element_wise(*times)
