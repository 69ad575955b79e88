"""Predictions for tables, in constant memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc

from ..bundle import contents
from ..bundle.reading import Loaded, parsed
from ..compute.backend import Pool, backend
from ..compute.task import check_shared
from ..config.value import TABLE
from ..contract import Column, Contract
from ..data import prepared
from ..data.sources import DataError, Frame, frames
from ..data.validation import check_names, refuse, validated
from ..engine import version
from ..files import scratch
from ..progress import progress
from ..runtime.hooks import Before, Veto
from .capacity import Best, Staged
from .delivery import delivered, target, written
from .inputs import Input, called, check_unchanged, digested, source_of
from .past import Past
from .unfit import Unfit

ROWS = 50_000
FORMAT = 1  # of the lineage


@dataclass(frozen=True)
class Scored:
    """How many rows were scored, where the answers are, and what a person should know of them."""

    rows: int
    notes: tuple[str, ...]
    out: Path


class Answered(NamedTuple):
    """Answers to consecutive rows of one file, the first of which has the index `start`.

    `table` has all of them. `whole` are the positions of those that have a prediction, `values` the
    parsed columns of all, `predictions` what the model said of those that are whole.
    """

    of: Input
    start: int
    table: pa.Table
    values: pd.DataFrame
    whole: np.ndarray
    predictions: np.ndarray


def predict(
    given: Path | Sequence[Path],
    out: Path,
    bundle: Path,
    rows: int = ROWS,
    *,
    expect: str | None = None,
    log: Path | None = None,
    ids: bool = False,
    partition: str | None = None,
    at: datetime | None = None,
) -> Scored:
    """Score every row of files, or of the files of a folder, into `out`, in their order.

    `out` is a .csv or .parquet, or with `partition` a folder; beside it stands what the answers
    came from. The columns are the contract's id columns that the files have, with `ids` the
    `request_id` and `row` by which the log knows a row, `prediction`, the probabilities of a
    classifier, and where the contract promises intervals `prediction_low` and `prediction_high`,
    or for each label whether it is in the set. A row has none where a cell is missing that may not
    be. What the model reads of feature views is joined, unless a table has all of a view. With
    `log`, what was answered at the time `at` is recorded there, as a server does. Where the value
    table of the bundle has a capacity in rows, so many get the second action, and no more.

    Raises BundleError for another bundle than `expect`. Raises DataError, and writes nothing, where
    a column is missing, a cell cannot be read, or most cells of a column are none that the contract
    declares.
    """
    content = contents.read(bundle, expect)
    loaded = parsed(content)
    place = target(out, partition, at)
    paths = [given] if isinstance(given, Path) else list(given)
    bar = progress(title="predict", unit=" rows", unit_scale=True)
    with ExitStack() as stack, bar:
        inputs = digested(paths, [*place[:2], *([log] if log else [])])
        past = stack.enter_context(Past(loaded, at))
        scoring = _Scoring(inputs, loaded, ids, past)
        record = None
        pool = stack.enter_context(backend())
        if log is not None:
            from .recording.scored import recording

            # Entered first and left last: nothing is recorded of answers that nobody has.
            record = stack.enter_context(recording(log, loaded, content.bundle_digest, at))
        delivery = stack.enter_context(delivered(place))
        write, staged = delivery.write, None
        if scoring.best is not None:  # who is among the best is known at the end
            beside = place.out.with_name(f"{place.out.name}.ranked")
            staged = Staged(stack.enter_context(scratch(beside)) / "answers")
            write = staged.write
        # What was known at a row's time is read of tables that are open here.
        if record is None and not (pool.is_local or past.views) and len(inputs) > 1:
            folder = stack.enter_context(scratch(place.out.with_name(f"{place.out.name}.parts")))
            for table in scoring.elsewhere(pool, bundle, content.bundle_digest, rows, folder):
                write(table)
                bar.update(table.num_rows)
        else:
            for answered in scoring.answers(rows):
                write(answered.table)
                if record is not None:
                    indices = answered.start + answered.whole
                    values = answered.values.iloc[answered.whole]
                    record.add(answered.of.request_id, indices, values, answered.predictions)
                bar.update(answered.table.num_rows)
        if not scoring.rows:
            raise DataError(f"{called(paths)} has no rows: give at least one")
        scoring.unfit.check(called(paths))
        check_unchanged(inputs)
        if staged is not None and scoring.best is not None:
            for table in staged.tables(scoring.best):
                delivery.write(table)
        if record is not None:
            record.finish()
        notes = (*scoring.notes(), *(record.notes() if record else ()))
        delivery.lineage = {**_lineage(scoring, content, at), **past.lineage()}
    return Scored(scoring.rows, notes, place.out)


def _lineage(
    scoring: "_Scoring", content: contents.Contents, at: datetime | None
) -> dict[str, Any]:
    """Return what answers came from."""
    contract, origin = scoring.loaded.contract, content.manifest.get("lineage", {})
    return {
        "format": FORMAT,
        "name": contract.name,
        "task": contract.task,
        "model": {"sha256": content.bundle_digest, "commit": origin.get("commit")},
        "engine": version(),
        "at": written(at),
        "rows": scoring.rows,
        "inputs": [
            {"name": one.name, "sha256": one.sha256, "rows": scoring.counts[one]}
            for one in scoring.inputs
        ],
    }


class _Seen(NamedTuple):
    """What was seen in one file, whose answers are in a file of their own."""

    answers: Path
    rows: int
    ids: list[str] | None
    said: tuple[str, ...]
    unfit: Unfit
    best: Best | None


@lru_cache(maxsize=1)
def _loaded(bundle: Path, digest: str) -> Loaded:
    """Return the bundle of that digest, once in a process."""
    return parsed(contents.read(bundle, digest))


def _scored(bundle: Path, digest: str, of: Input, ids: bool, rows: int, answers: Path) -> _Seen:
    """Score one of several files into a file of Arrow batches."""
    check_shared(answers.parent)
    loaded = _loaded(bundle, digest)
    with ExitStack() as stack:
        scoring = _Scoring([of], loaded, ids, stack.enter_context(Past(loaded, None)), several=True)
        writer = None
        for answered in scoring.answers(rows):
            if writer is None:
                opened = pa.ipc.new_file(str(answers), answered.table.schema)
                writer = stack.enter_context(opened)
            writer.write_table(answered.table)
    return _Seen(
        answers, scoring.rows, scoring.ids, tuple(scoring.said), scoring.unfit, scoring.best
    )


class _Scoring:
    """Files on their way through a bundle, and what was seen on it."""

    def __init__(
        self,
        inputs: Sequence[Input],
        loaded: Loaded,
        ids: bool,
        past: Past,
        several: bool = False,
    ) -> None:
        self.inputs, self.loaded, self.past = inputs, loaded, past
        several = several or len(inputs) > 1
        self.unfit = Unfit(loaded.contract, loaded.encoder.inputs, several)
        self.counts = dict.fromkeys(inputs, 0)
        self.best = Best.of(loaded.settings.evaluation.value, loaded.decision)
        self._has_ids = ids
        self._before = Before.find(loaded.contract)
        self.said: dict[str, None] = {}
        self.ids: list[str] | None = None

    @property
    def rows(self) -> int:
        """How many were answered so far."""
        return sum(self.counts.values())

    def answers(self, rows: int) -> Iterator[Answered]:
        """Yield the answers, in tables of at most so many rows."""
        contract = self.loaded.contract
        for one in self.inputs:
            source = source_of(one.path, contract)
            for frame in frames([one.path], source, rows, absent=contract.target):
                if source.header and contract.target not in frame.frame.columns:
                    self._say(f"{one.path} was read as without {contract.target}")
                yield self._answered(one, frame)
                self.counts[one] += len(frame.frame)

    def elsewhere(
        self, pool: Pool, bundle: Path, digest: str, rows: int, folder: Path
    ) -> Iterator[pa.Table]:
        """Yield the answers as `answers` has them, each file scored by a task of its own."""
        ids, places = self._has_ids, [folder / str(at) for at in range(len(self.inputs))]

        def scored(given: tuple[Input, Path]) -> _Seen:
            return _scored(bundle, digest, given[0], ids, rows, given[1])

        items = list(zip(self.inputs, places, strict=True))
        for one, seen in zip(self.inputs, pool.map(scored, items), strict=True):
            if seen.ids is not None:
                self._check_ids(seen.ids, one.path)
            for note in seen.said:
                self._say(note)
            self.unfit.join(seen.unfit)
            if self.best is not None and seen.best is not None:
                self.best.join(seen.best, self.rows)
            self.counts[one] = seen.rows
            if seen.answers.exists():
                with pa.ipc.open_file(str(seen.answers)) as answers:
                    for at in range(answers.num_record_batches):
                        yield pa.Table.from_batches([answers.get_batch(at)])
                seen.answers.unlink()

    def _answered(self, one: Input, frame: Frame) -> Answered:
        contract, encoder = self.loaded.contract, self.loaded.encoder
        frame, by = self.past.filled(frame)
        check_names(frame, contract, required=encoder.inputs)
        ids = [name for name in contract.names("id") if name in frame.frame.columns]
        self._check_ids(ids, one.path)
        dated = self._dated(frame, one.path)
        read = dict.fromkeys([*ids, *by, *encoder.inputs, *dated])
        values, findings = validated(frame, contract, list(read), strict=False)
        refuse(findings, contract)
        columns = {name: _plain(values[name], contract.columns[name]) for name in encoder.inputs}
        self.unfit.add(columns, frame)
        looked_up = {name: _plain(values[name], contract.columns[name]) for name in by}
        whole = ~self.unfit.lacking({**looked_up, **columns}, frame)
        start = frame.start - 1
        predictions, answer = self._answers(columns, whole, frame)
        if self.best is not None:
            moments = values[dated[0]].to_numpy()[whole] if dated else None
            self.best.add(self.rows, np.flatnonzero(whole), predictions, moments)
        answer = self._numbered(one, start, len(whole)) | answer
        named = self._named(ids, answer)
        identified = {named[name]: _identifiers(values[name]) for name in ids}
        table = pa.table({**identified, **answer})
        return Answered(one, start, table, values, np.flatnonzero(whole), predictions)

    def _dated(self, frame: Frame, path: Path) -> list[str]:
        """Return the column by whose periods the best are taken, where it is there."""
        name = self.loaded.contract.time
        if self.best is None or self.best.per == TABLE or name is None:
            return []
        if name in frame.frame.columns:
            return [name]
        self._say(f"{path} has no {name}: its rows are taken for those of one {self.best.per}")
        return []

    def _check_ids(self, ids: list[str], path: Path) -> None:
        """Raise DataError for a file that names its rows by other columns than the first does."""
        if self.ids is None:
            self.ids = ids
        if ids != self.ids:
            differing = ", ".join(sorted(set(ids) ^ set(self.ids)))
            raise DataError(
                f"{path} and {self.inputs[0].path} are no parts of one table ({differing} is in "
                "one of them alone): give them the same id columns, or score each by itself"
            )

    def _numbered(self, one: Input, start: int, rows: int) -> dict[str, pa.Array]:
        """Return the columns by which the log knows each row, where they are asked for."""
        if not self._has_ids:
            return {}
        numbers = pa.array(np.arange(start, start + rows, dtype=np.int32))
        return {"request_id": pa.array([one.request_id] * rows), "row": numbers}

    def _answers(
        self, columns: Mapping[str, np.ndarray], whole: np.ndarray, frame: Frame
    ) -> tuple[np.ndarray, dict[str, pa.Array]]:
        """Return predictions, and output columns in which a row that is not whole has nothing."""
        contract = self.loaded.contract
        threshold = self.loaded.settings.evaluation.threshold
        rows = np.flatnonzero(whole)
        if len(rows) < len(whole):
            columns = {name: values[rows] for name, values in columns.items()}
        if self._before is not None and len(rows):
            _check(self._before, columns, frame, rows)
        shape = (0, len(contract.labels)) if contract.task == "multiclass" else 0
        predictions = self.loaded.answer(columns) if len(rows) else np.empty(shape)
        actions, acted = self.loaded.actions, None
        if actions:
            acted = pa.array(actions).take(pa.array(self.loaded.acted(predictions)))
        answer = _answer(predictions, contract, threshold, acted)
        answer |= self._around(columns, predictions)
        if len(rows) < len(whole):
            place = pa.array(np.cumsum(whole) - 1, mask=~whole)
            answer = {name: values.take(place) for name, values in answer.items()}
        return predictions, answer

    def _around(
        self, columns: Mapping[str, np.ndarray], predictions: np.ndarray
    ) -> dict[str, pa.Array]:
        """Return what the contract promises beside the predictions, if anything."""
        intervals, contract = self.loaded.intervals, self.loaded.contract
        if intervals is None:
            return {}
        codes = None if intervals.by is None else columns[intervals.by]
        if contract.task == "regression":
            ends = intervals.around(predictions, contract, codes)
            return {
                "prediction_low": pa.array(np.ascontiguousarray(ends[:, 0])),
                "prediction_high": pa.array(np.ascontiguousarray(ends[:, 1])),
            }
        threshold = self.loaded.settings.evaluation.threshold
        among = intervals.sets(predictions, contract, threshold, codes)
        return {
            f"in_set_{label}": pa.array(np.ascontiguousarray(among[:, code]))
            for code, label in enumerate(contract.labels)
        }

    def notes(self) -> tuple[str, ...]:
        """Return what a person should know."""
        best = () if self.best is None else self.best.notes()
        return (*self.said, *self.past.notes(), *self.unfit.notes(), *best)

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
        self.said[note] = None


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


def _identifiers(values: pd.Series) -> pa.Array:
    """Return ids as they came, of the same type where all are missing as where none is."""
    found = pa.array(values, from_pandas=True)
    return found.cast(pa.string()) if pa.types.is_null(found.type) else found


def _plain(values: pd.Series, column: Column) -> np.ndarray:
    """Return a parsed column as the array that features are computed from."""
    if column.type == "category":
        return prepared.codes(pa.array(values, pa.string(), from_pandas=True), column.categories)
    if column.type == "text":
        return values.astype(object).where(values.notna(), None).to_numpy()
    return values.to_numpy()


def _answer(
    predictions: np.ndarray,
    contract: Contract,
    threshold: float,
    acted: pa.Array | None,
) -> dict[str, pa.Array]:
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
    followed = {} if acted is None else {"action": acted}
    return {"prediction": pa.array(labels).take(pa.array(decided)), **followed, **probabilities}
