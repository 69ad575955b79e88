"""What a table was answered, in the log folder as a server records it: each file of rows once."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ...bundle.reading import Loaded
from ...log_layout import COUNTS, PREDICTIONS, counted
from ..predictor import Predictor
from .compaction import Parts, synced
from .segment import Answers, Declaration, blocks
from .selection import declared
from .spool import NO_TIME, RecordingError
from .tables import MOMENT, batches

ROLE = "batch"
SLICE = 20_000  # rows that are Python objects at a time


class Record:
    """The rows of tables on their way into Parquet files, one for each table, named after it.

    One that the log has of this model, of whatever day, is left as it is: the same rows answered
    twice are no more traffic. Nor is one recorded that was counted before its day was deleted.
    """

    def __init__(
        self, log_folder: Path, loaded: Loaded, bundle_digest: str, at: datetime, stack: ExitStack
    ) -> None:
        self._log_folder = log_folder
        self._bundle_digest = bundle_digest
        self._time = at.timestamp()
        self._declaration = _declaration(loaded, bundle_digest)
        self._stack = stack
        self._files: dict[str, Parts | None] = {}  # none for what is recorded already
        self._open = ""
        self._counted: set[str] | None = None  # names of files, once they are asked for

    def add(
        self, request_id: str, indices: np.ndarray, values: pd.DataFrame, predictions: np.ndarray
    ) -> None:
        """Take the rows with these indices of one table, as they were parsed and answered."""
        if request_id != self._open:
            self.finish()
            self._open = request_id
            self._files[request_id] = self._begun(request_id)
        parts = self._files[request_id]
        if parts is None:
            return
        for start in range(0, len(indices), SLICE):
            piece = slice(start, start + SLICE)
            self._add(parts, request_id, indices[piece], values.iloc[piece], predictions[piece])

    def finish(self) -> None:
        """Write what waits of the table that was added last, and close its file."""
        parts = self._files.get(self._open)
        if parts is not None:
            parts.finish()
            for writer in parts.writers.values():
                writer.close()

    def sync(self) -> None:
        """Have the system keep the names of the files, which have appeared."""
        for parts in filter(None, self._files.values()):
            synced(parts)

    def notes(self) -> list[str]:
        """Return what was not recorded."""
        known = sum(parts is None for parts in self._files.values())
        tables = "1 table" if known == 1 else f"{known:,} tables"
        said = f"{tables} in {self._log_folder} already, from an earlier run: recorded once"
        return [said] if known else []

    def _add(
        self,
        parts: Parts,
        request_id: str,
        indices: np.ndarray,
        values: pd.DataFrame,
        predictions: np.ndarray,
    ) -> None:
        block = Answers(
            self._bundle_digest,
            ROLE,
            [request_id],
            [len(indices)],
            [self._time],
            self._rows(values),
            np.ascontiguousarray(predictions, dtype="<f8").tobytes(),
        )
        for part, batch in batches(block, {self._bundle_digest: self._declaration}):
            # A row that was not answered is not recorded, and the next keeps its index.
            at = batch.schema.get_field_index("row")
            numbers = pa.array(indices, batch.schema.field(at).type)
            parts.add(part, batch.set_column(at, batch.schema.field(at), numbers))

    def _rows(self, values: pd.DataFrame) -> list[tuple[object, ...]]:
        """Return rows as a server has them, without personal data."""
        columns = [
            _objects(values[name], kind)
            for name, kind, recorded in self._declaration.columns
            if recorded
        ]
        return list(zip(*columns, strict=True)) if columns else [()] * len(values)

    def _begun(self, request_id: str) -> Parts | None:
        name = f"part-{request_id}"
        if self._is_recorded(f"{name}.parquet", self._bundle_digest[:12]):
            return None
        return Parts(self._log_folder, name, self._stack)

    def _is_recorded(self, name: str, model: str) -> bool:
        if any((self._log_folder / PREDICTIONS).glob(f"date=*/model={model}/{name}")):
            return True
        if self._counted is None:
            paths = (self._log_folder / COUNTS).glob(f"date=*/{model}.json")
            self._counted = {
                file for path in paths for file in counted(path.read_bytes()).get("files", {})
            }
        return name in self._counted


@contextmanager
def recording(
    log_folder: Path, loaded: Loaded, bundle_digest: str, at: datetime | None
) -> Iterator[Record]:
    """Yield what takes the rows of tables; the files appear together at the end of the block."""
    if at is None:
        raise RecordingError(f"{NO_TIME}: give --at, or record outside of the pipeline")
    with ExitStack() as stack:
        record = Record(log_folder, loaded, bundle_digest, at, stack)
        yield record
    record.sync()


def _declaration(loaded: Loaded, bundle_digest: str) -> Declaration:
    """Return what the server's own segments say of the bundle."""
    (found,) = blocks(declared(Predictor(loaded, bundle_digest))[0])
    assert isinstance(found, Declaration)
    return found


def _objects(values: pd.Series, kind: str) -> list[object]:
    """Return a parsed column as the values that a server decodes; None for a missing one."""
    match kind:
        case "boolean":
            missing = values.isna().to_numpy()
            return pa.array(values.fillna(0).to_numpy() == 1, mask=missing).to_pylist()
        case "datetime":
            moments = pa.array(values, from_pandas=True).cast(MOMENT)
            return moments.cast(pa.string()).to_pylist()
        case "number" | "integer":
            return list(values.to_numpy(dtype=np.float64, na_value=np.nan).tolist())
        case _:
            return pa.array(values, pa.string(), from_pandas=True).to_pylist()
