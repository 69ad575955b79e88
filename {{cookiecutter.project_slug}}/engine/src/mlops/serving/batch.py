"""Predictions for a table, in constant memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ..bundle.reading import Loaded, load
from ..contract import Column, Contract, Source
from ..data import prepared
from ..data.sources import DataError, Frame, frames
from ..data.validation import check_names, refuse, validated
from ..files import atomic_file
from ..progress import progress
from ..runtime.hooks import Before, Veto

ROWS = 50_000


def predict(file: Path, out: Path, bundle: Path, rows: int = ROWS) -> int:
    """Score every row of `file` into `out` (.csv or .parquet), in its order; return their number.

    The columns are the contract's id columns that the file has, `prediction`, and the
    probabilities of a classifier. Raises DataError, and writes nothing, where a column is
    missing or a cell cannot be read.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise DataError(f"{out} must end in .csv or .parquet: choose one")
    if not out.resolve().parent.is_dir():
        raise DataError(f"{out.parent} is no folder: create it, or name another --out")
    loaded = load(bundle)
    done = 0
    bar = progress(title="predict", unit=" rows", unit_scale=True)
    with bar, atomic_file(out) as staging, _writer(staging, out.suffix) as write:
        for scored in _scored(file, loaded, rows):
            write(scored)
            done += scored.num_rows
            bar.update(scored.num_rows)
        if not done:
            raise DataError(f"{file} has no rows: give at least one")
    return done


def source_of(file: Path, contract: Contract) -> Source:
    """Return how to read `file`: as the contract says, or as its own ending does."""
    if file.suffix == ".parquet":
        return Source(format="parquet")
    if contract.source.format == "csv":
        return contract.source
    from ..data.sniffing import sniff

    return sniff(file, contract.names("feature")[0])


def _scored(file: Path, loaded: Loaded, rows: int) -> Iterator[pa.Table]:
    contract, encoder = loaded.contract, loaded.encoder
    threshold = loaded.settings.evaluation.threshold
    before = Before.find(contract)
    for frame in frames([file], source_of(file, contract), rows):
        check_names(frame, contract, required=encoder.inputs)
        ids = [name for name in contract.names("id") if name in frame.frame.columns]
        values, findings = validated(frame, contract, [*ids, *encoder.inputs], strict=False)
        refuse(findings, contract)
        columns = {name: _plain(values[name], contract.columns[name]) for name in encoder.inputs}
        if before is not None:
            _check(before, columns, frame)
        answer = _answer(loaded.answer(columns), contract, threshold)
        yield pa.table({**{n: pa.array(values[n], from_pandas=True) for n in ids}, **answer})


def _check(before: Before, columns: dict[str, np.ndarray], frame: Frame) -> None:
    """Raise DataError where `before` vetoes rows, with the number of the first."""
    try:
        before(columns)
    except Veto as veto:
        row = _vetoed(before, columns, frame) if veto.row is None else frame.start + veto.row
        raise DataError(
            f"{frame.path} row {row} is refused by `before` of src/project/serving.py "
            f"({veto.reason}): leave such rows out"
        ) from None


def _vetoed(before: Before, columns: dict[str, np.ndarray], frame: Frame) -> int:
    """Return the number of the first row that is vetoed alone, else of the first of all."""
    for at in range(len(frame.frame)):
        try:
            before({name: values[at : at + 1] for name, values in columns.items()})
        except Veto:
            return frame.start + at
    return frame.start


def _plain(values: pd.Series, column: Column) -> np.ndarray:
    """Return a parsed column as the array that features are computed from."""
    if column.type == "category":
        return prepared.codes(pa.array(values, pa.string(), from_pandas=True), column.categories)
    if column.type == "text":
        return values.astype(object).where(values.notna(), None).to_numpy()
    return values.to_numpy()


def _answer(predictions: np.ndarray, contract: Contract, threshold: float) -> dict[str, pa.Array]:
    """Return the output columns: the decision first, then what it was made from."""
    labels = contract.labels
    if contract.task == "regression":
        return {"prediction": pa.array(predictions)}
    if contract.task == "binary":
        decided = (predictions > threshold).astype(np.int32)
        probabilities = {f"probability_{labels[1]}": pa.array(predictions)}
    else:
        decided = predictions.argmax(axis=1).astype(np.int32)
        probabilities = {
            f"probability_{label}": pa.array(np.ascontiguousarray(predictions[:, code]))
            for code, label in enumerate(labels)
        }
    return {"prediction": pa.array(labels).take(pa.array(decided)), **probabilities}


@contextmanager
def _writer(path: Path, suffix: str) -> Iterator[Callable[[pa.Table], None]]:
    """Yield a function that appends a table to the file, opened at the first."""
    writer = None

    def write(table: pa.Table) -> None:
        nonlocal writer
        if writer is None:
            opened = pq.ParquetWriter if suffix == ".parquet" else pyarrow.csv.CSVWriter
            writer = opened(str(path), table.schema)
        writer.write_table(table)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()
