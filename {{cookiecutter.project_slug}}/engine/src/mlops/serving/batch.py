"""Predictions for a table, in constant memory."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
from .unfit import Unfit

ROWS = 50_000


@dataclass(frozen=True)
class Scored:
    """How many rows were scored, and what a person should know of them."""

    rows: int
    notes: tuple[str, ...]


def predict(file: Path, out: Path, bundle: Path, rows: int = ROWS) -> Scored:
    """Score every row of `file` into `out` (.csv or .parquet), in its order.

    The columns are the contract's id columns that the file has, `prediction`, the probabilities of
    a classifier, and where the contract promises intervals `prediction_low` and `prediction_high`,
    or for each label whether it is in the set. A row has none where a cell is missing that may not
    be. Raises DataError, and writes nothing, where a column is missing, a cell cannot be read, or
    most cells of a column are none that the contract declares.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise DataError(f"{out} must end in .csv or .parquet: choose one")
    if not out.resolve().parent.is_dir():
        raise DataError(f"{out.parent} is no folder: create it, or name another --out")
    loaded = load(bundle)
    scoring = _Scoring(file, loaded)
    done = 0
    bar = progress(title="predict", unit=" rows", unit_scale=True)
    with bar, atomic_file(out) as staging, _writer(staging, out.suffix) as write:
        for scored in scoring.tables(rows):
            write(scored)
            done += scored.num_rows
            bar.update(scored.num_rows)
        if not done:
            raise DataError(f"{file} has no rows: give at least one")
        scoring.unfit.check(file)
    return Scored(done, scoring.notes())


def source_of(file: Path, contract: Contract) -> Source:
    """Return how to read `file`: as the contract says, or as it is found to be written."""
    if contract.source.format == "csv":
        return contract.source
    from ..data.sniffing import sniff

    return sniff(file, contract.names("feature")[0])


class _Scoring:
    """One file on its way through a bundle, and what was seen on it."""

    def __init__(self, file: Path, loaded: Loaded) -> None:
        self._file, self._loaded = file, loaded
        self.unfit = Unfit(loaded.contract, loaded.encoder.inputs)
        self._before = Before.find(loaded.contract)
        self._said: dict[str, None] = {}

    def tables(self, rows: int) -> Iterator[pa.Table]:
        """Yield the answers, table by table of at most so many rows."""
        contract, encoder = self._loaded.contract, self._loaded.encoder
        source = source_of(self._file, contract)
        for frame in frames([self._file], source, rows, absent=contract.target):
            check_names(frame, contract, required=encoder.inputs)
            if source.header and contract.target not in frame.frame.columns:
                self._say(f"{self._file} was read as without {contract.target}")
            ids = [name for name in contract.names("id") if name in frame.frame.columns]
            values, findings = validated(frame, contract, [*ids, *encoder.inputs], strict=False)
            refuse(findings, contract)
            columns = {
                name: _plain(values[name], contract.columns[name]) for name in encoder.inputs
            }
            self.unfit.add(columns, frame)
            answer = self._answers(columns, ~self.unfit.lacking(columns, frame), frame)
            named = self._named(ids, answer)
            yield pa.table(
                {**{named[n]: pa.array(values[n], from_pandas=True) for n in ids}, **answer}
            )

    def _answers(
        self, columns: Mapping[str, np.ndarray], whole: np.ndarray, frame: Frame
    ) -> dict[str, pa.Array]:
        """Return the output columns, in which a row that is not whole has nothing."""
        contract = self._loaded.contract
        threshold = self._loaded.settings.evaluation.threshold
        rows = np.flatnonzero(whole)
        if len(rows) < len(whole):
            columns = {name: values[rows] for name, values in columns.items()}
        if self._before is not None and len(rows):
            _check(self._before, columns, frame, rows)
        shape = (0, len(contract.labels)) if contract.task == "multiclass" else 0
        predictions = self._loaded.answer(columns) if len(rows) else np.empty(shape)
        answer = _answer(predictions, contract, threshold)
        answer |= self._around(columns, predictions)
        if len(rows) == len(whole):
            return answer
        place = pa.array(np.cumsum(whole) - 1, mask=~whole)
        return {name: values.take(place) for name, values in answer.items()}

    def _around(
        self, columns: Mapping[str, np.ndarray], predictions: np.ndarray
    ) -> dict[str, pa.Array]:
        """Return what the contract promises beside the predictions, if anything."""
        intervals, contract = self._loaded.intervals, self._loaded.contract
        if intervals is None:
            return {}
        codes = None if intervals.by is None else columns[intervals.by]
        if contract.task == "regression":
            ends = intervals.around(predictions, contract, codes)
            return {
                "prediction_low": pa.array(np.ascontiguousarray(ends[:, 0])),
                "prediction_high": pa.array(np.ascontiguousarray(ends[:, 1])),
            }
        threshold = self._loaded.settings.evaluation.threshold
        among = intervals.sets(predictions, contract, threshold, codes)
        return {
            f"in_set_{label}": pa.array(np.ascontiguousarray(among[:, code]))
            for code, label in enumerate(contract.labels)
        }

    def notes(self) -> tuple[str, ...]:
        """Return what a person should know."""
        return (*self._said, *self.unfit.notes())

    def _named(self, ids: list[str], answer: Mapping[str, pa.Array]) -> dict[str, str]:
        """Return what each id is called beside the answer, which may have a column of its name."""
        named = {name: name for name in ids}
        for name in ids:
            while named[name] in answer or (named[name] != name and named[name] in ids):
                named[name] = f"input_{named[name]}"
            if named[name] != name:
                self._say(f"the id {name} is {named[name]} in the answer, which has a {name}")
        return named

    def _say(self, note: str) -> None:
        self._said[note] = None


def _check(
    before: Before, columns: Mapping[str, np.ndarray], frame: Frame, rows: np.ndarray
) -> None:
    """Raise DataError where `before` vetoes some of the `rows` of a frame, with the first."""
    try:
        before(columns)
    except Veto as veto:
        place = _vetoed(before, columns, len(rows)) if veto.row is None else veto.row
        row = frame.start + int(rows[place])
        raise DataError(
            f"{frame.path} row {row} is refused by `before` of src/project/serving.py "
            f"({veto.reason}): leave such rows out"
        ) from None


def _vetoed(before: Before, columns: Mapping[str, np.ndarray], rows: int) -> int:
    """Return the first row that is vetoed alone, else the first of all."""
    for at in range(rows):
        try:
            before({name: values[at : at + 1] for name, values in columns.items()})
        except Veto:
            return at
    return 0


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
