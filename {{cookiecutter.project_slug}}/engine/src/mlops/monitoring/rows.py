"""Rows of a log as a bundle sees them: what was asked and answered, of whom, and what came true."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..bundle.counting import hashes
from ..contract import Contract
from ..data import prepared
from ..errors import ProjectError
from ..files import in_quotes
from ..log_layout import stored
from ..policy.finding import number

ROWS = 50_000
UNIT, DIGITS = "unit", 16
BESIDE = ("role", UNIT, "prediction", "probabilities")
ANSWERED = ("champion", "challenger", "batch")  # roles of rows that somebody got an answer to


class LogError(ProjectError):
    """The log cannot be read as that of the bundle."""


def batches(path: Path, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file with these inputs, and what else is counted of them."""
    with pq.ParquetFile(path) as file:
        wanted = {*names, *map(stored, names), *BESIDE}
        there = [name for name in file.schema_arrow.names if name in wanted]
        yield from file.iter_batches(batch_size=ROWS, columns=there)


def answered(batch: pa.RecordBatch, roles: dict[str, int]) -> pa.RecordBatch:
    """Return the rows that somebody got an answer to, and count them by role."""
    role = batch.column("role")
    names = role.dictionary.to_pylist()
    counted = np.bincount(role.indices.to_numpy(), minlength=len(names))
    kept = [name in ANSWERED for name in names]
    for name, rows, keep in zip(names, counted.tolist(), kept, strict=True):
        if keep and rows:
            roles[name] = roles.get(name, 0) + rows
    if all(kept):
        return batch
    return batch.filter(pa.array(kept).take(role.indices))


def inputs(
    batch: pa.RecordBatch, contract: Contract, names: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Return what was asked, as features are computed from it."""
    from_log = {name: _called(name, batch) for name in names}
    missing = [name for name, called in from_log.items() if called not in batch.schema.names]
    if missing:
        raise LogError(
            f"the log has no {', '.join(missing)}, which the bundle reads: point at its own log"
        )
    table = pa.table({name: batch.column(called) for name, called in from_log.items()})
    return prepared.arrays(table.combine_chunks(), contract, names)


def predictions(batch: pa.RecordBatch, contract: Contract) -> np.ndarray:
    """Return what was answered: a number, the last label's probability, or one of each label."""
    if not contract.labels:
        return batch.column("prediction").to_numpy(zero_copy_only=False).astype(np.float64)
    given = batch.column("probabilities").flatten().to_numpy(zero_copy_only=False)
    answers = given.reshape(batch.num_rows, len(contract.labels))
    return answers[:, 1] if contract.task == "binary" else answers


def _called(name: str, batch: pa.RecordBatch) -> str:
    """Return what an input is called in a file: older ones know fewer names that are taken."""
    return stored(name) if stored(name) in batch.schema.names else name


def units(batch: pa.RecordBatch, names: Sequence[str]) -> np.ndarray | None:
    """Return a number for who each row is of, where the log has that; None where it does not."""
    is_input = UNIT in names and _called(UNIT, batch) == UNIT
    if is_input or UNIT not in batch.schema.names or batch.column(UNIT).null_count:
        return None
    text = b"".join(batch.column(UNIT).cast(pa.binary()).to_pylist())
    if len(text) != DIGITS * batch.num_rows:
        return None
    halves = np.frombuffer(text, dtype=np.uint64).reshape(-1, 2)
    return hashes(halves.T)


def targets(batch: pa.RecordBatch, contract: Contract, silence: Any) -> np.ndarray:
    """Return what came true as numbers or class codes: NaN where nothing is known."""
    values, quiet = batch.column("outcome").to_pylist(), silent(contract, silence)
    if not contract.labels:
        return np.array([quiet if v is None else float(v) for v in values], dtype=np.float64)
    codes = {label: float(code) for code, label in enumerate(contract.labels)}
    return np.array([quiet if v is None else codes.get(str(v), np.nan) for v in values])


def silent(contract: Contract, silence: Any) -> float:
    """Return the number or class code of a row of which nothing was heard: NaN leaves it out."""
    if silence is None:
        return np.nan
    if not contract.labels:
        if (given := number(silence)) is None:
            raise LogError(f"monitoring.silence is {silence!r}: give a number, as the target is")
        return given
    for name in (str(silence), str(silence).lower()):
        if name in contract.labels:
            return float(contract.labels.index(name))
    choose = in_quotes(contract.labels) or f"choose from {', '.join(contract.labels)}"
    raise LogError(f"monitoring.silence is {silence!r}: {choose}")
