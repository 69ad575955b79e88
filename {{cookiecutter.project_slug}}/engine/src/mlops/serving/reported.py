"""Outcomes of a table in the log folder, with the checks of POST /feedback: each table once."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from ..contract import HIDDEN, Column, Contract, Source
from ..data.parsing import EXPECTED, parse, texts
from ..data.sniffing import sniff
from ..data.sources import HEAD, DataError, Frame, frames
from ..log_layout import FEEDBACK
from .endpoints.feedback import decode, outcomes
from .inputs import check_unchanged, digested
from .problem import Problem
from .recording.compaction import Parts, synced
from .recording.segment import Outcomes
from .recording.spool import NO_TIME, RecordingError
from .recording.tables import batches

ROWS = 20_000
KEY = ["request_id", "row"]
OUTCOME = "outcome"
SAYING = (OUTCOME, "value", "action")  # of which a row has at least one
TOLD = {  # what may stand beside an outcome
    "value": Column("number"),
    "currency": Column("text"),
    "action": Column("text"),
}
encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Reported:
    """How many outcomes were recorded, and what a person should know of them."""

    rows: int
    notes: tuple[str, ...]


def report(
    file: Path,
    log_folder: Path,
    contract: Contract,
    at: datetime | None,
    scored: Sequence[Path] = (),
) -> Reported:
    """Record the outcomes of a table: columns request_id, row, outcome[, value, currency, action].

    The outcome may be called like the target. With `scored`, answers that `mlops predict --ids`
    wrote, rows are known by the contract's id columns instead. A table that the log has is left as
    it is, of whatever day. Raises DataError, and records nothing, for a row without an id or with
    an outcome that the target cannot have.
    """
    if at is None:
        raise RecordingError(f"{NO_TIME}: give --at, or record outside of the pipeline")
    inputs = digested([file, *scored], [log_folder])
    if inputs[0].path != file:
        raise DataError(f"{file} is a folder: name one table of outcomes")
    digests = "".join(one.sha256 for one in inputs)
    name = f"part-table-{sha256(digests.encode()).hexdigest()[:32]}"
    if any((log_folder / FEEDBACK).glob(f"date=*/{name}*.parquet")):
        return Reported(0, (f"{file} is in {log_folder} already, from an earlier run",))
    known = _Known([one.path for one in inputs[1:]], contract) if scored else None
    done = silent = 0
    with ExitStack() as stack:
        parts = Parts(log_folder, name, stack)
        source = _source(file, contract, OUTCOME, contract.target)
        for frame in frames([file], source, ROWS):
            rows, numbers = _rows(frame, contract, source, known)
            silent += len(frame.frame) - len(rows)
            if rows:
                for part, batch in batches(_checked(rows, numbers, file, contract, at), {}):
                    parts.add(part, batch)
            done += len(rows)
        if not done:
            why = "" if known is None or not known.unknown else " of ids that were scored"
            raise DataError(f"{file} has no outcomes{why}: give at least one")
        parts.finish()
        check_unchanged(inputs)
    synced(parts)
    unknown = known.unknown if known else 0
    left = ((unknown, "whose ids were not scored"), (silent - unknown, "that say nothing yet"))
    return Reported(done, tuple(f"rows {what} were left out: {n:,}" for n, what in left if n))


class _Known:
    """By which request and row the log knows what a table calls by ids."""

    def __init__(self, scored: Sequence[Path], contract: Contract) -> None:
        self._contract = contract
        self.unknown = 0
        read = [one for path in scored for one in frames([path], _source(path, contract, *KEY))]
        columns = set.intersection(*(set(one.frame.columns) for one in read)) if read else set()
        self.ids = [name for name in contract.names("id") if name in columns]
        if not self.ids or not columns.issuperset(KEY):
            raise DataError(
                f"{scored[0]} does not say by which request and row the log knows an id: score "
                "with `mlops predict --ids`, a table that has the contract's id columns"
            )
        table = pd.concat([one.frame for one in read], ignore_index=True)
        self._places = table.set_index(self._index(table))[KEY]
        if not self._places.index.is_unique:
            twice = self._places.index[self._places.index.duplicated()][0]
            shown = HIDDEN if any(map(contract.is_private, self.ids)) else repr(twice)
            raise DataError(
                f"{' and '.join(self.ids)} {shown} was scored more than once: give the answers "
                "of one run, or tell the outcomes by request_id and row"
            )

    def places(self, frame: Frame) -> pd.DataFrame:
        """Return request and row of each row of a table; missing where its id was not scored."""
        if absent := [name for name in self.ids if name not in frame.frame.columns]:
            raise DataError(f"{frame.path} lacks {', '.join(absent)}: add the ids that were scored")
        return self._places.reindex(self._index(frame.frame)).reset_index(drop=True)

    def _index(self, table: pd.DataFrame) -> pd.Index:
        found = {name: texts(table[name]) for name in self.ids}
        return pd.Index(pd.MultiIndex.from_frame(pd.DataFrame(found)).to_flat_index())


def _source(file: Path, contract: Contract, *names: str) -> Source:
    """Return how a table that has one of these columns is written; missing is as in the contract.

    It is no table of the contract's, so that how those are written says nothing.
    """
    head = b""
    if file.is_file():
        with file.open("rb") as stream:
            head = stream.read(HEAD)
    there = next((name for name in names if name.encode() in head), names[0])
    return msgspec.structs.replace(sniff(file, there), missing=contract.source.missing)


def _rows(
    frame: Frame, contract: Contract, source: Source, known: _Known | None
) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the outcomes of a frame as a client sends them, and the number of each row.

    A row of an id that was not scored is counted and left out, and so is one that says nothing.
    """
    told = _told(frame, contract, source)
    says = np.logical_or.reduce([told[name].notna() for name in SAYING if name in told])
    kept = says & np.ones(len(frame.frame), dtype=bool)
    place = frame.frame
    if known is not None:
        place = known.places(frame)
        kept = says & place["request_id"].notna().to_numpy()
        known.unknown += int((says & ~kept).sum())
    elif absent := [name for name in KEY if name not in place.columns]:
        raise DataError(
            f"{frame.path} lacks {', '.join(absent)}: add what the answer has of them, or give "
            "the answers with --scored and their ids here"
        )
    for name, column in (("request_id", Column("text")), ("row", Column("integer"))):
        told[name] = _parsed(frame, name, column, source, place)
        if (missing := told[name].isna().to_numpy() & kept).any():
            row = frame.start + int(missing.argmax())
            raise DataError(f"{frame.path} row {row} has no {name}: add it, or leave the row out")
    plain = {name: _plain(values[kept]) for name, values in told.items()}
    if contract.columns[contract.target].type == "boolean" and OUTCOME in plain:
        plain[OUTCOME] = [None if one is None else bool(one) for one in plain[OUTCOME]]
    plain["row"] = [int(one) for one in plain["row"]]
    rows = [
        {name: value for name, value in zip(plain, row, strict=True) if value is not None}
        for row in zip(*plain.values(), strict=True)
    ]
    return rows, (frame.start + np.flatnonzero(kept)).tolist()


def _told(frame: Frame, contract: Contract, source: Source) -> dict[str, pd.Series]:
    """Return what a frame says of its rows, by the names that a client has for it."""
    names = frame.frame.columns
    called = next((name for name in (OUTCOME, contract.target) if name in names), None)
    told = {name: column for name, column in TOLD.items() if name in names}
    columns = {name: _parsed(frame, name, column, source) for name, column in told.items()}
    if called is not None:
        columns[OUTCOME] = _parsed(frame, called, contract.columns[contract.target], source)
    if not any(name in columns for name in SAYING):
        raise DataError(f"{frame.path} lacks {OUTCOME}: name so the column of what turned out")
    return columns


def _parsed(
    frame: Frame, name: str, column: Column, source: Source, table: pd.DataFrame | None = None
) -> pd.Series:
    """Return a column as its type; raises DataError for a cell that cannot be read."""
    parsed = parse((frame.frame if table is None else table)[name], column, source)
    if parsed.bad.any():
        row = frame.start + int(parsed.bad.to_numpy().argmax())
        raise DataError(
            f"{frame.path} row {row}: {name} is not {EXPECTED[column.type]}: correct it"
        )
    return parsed.values


def _plain(values: pd.Series) -> list[Any]:
    return list(values.astype(object).where(values.notna(), None))


def _checked(
    rows: list[dict[str, Any]], numbers: list[int], path: Path, contract: Contract, at: datetime
) -> Outcomes:
    """Return what is recorded of rows, checked as POST /feedback checks them."""
    try:
        return outcomes(decode(encode(rows)), contract, at.timestamp())
    except Problem as problem:
        place = "" if problem.row is None else f" row {numbers[problem.row]:,}"
        raise DataError(
            f"{path}{place}: {problem.field or 'a row'} is refused "
            f"({problem.detail or problem.title}): correct it, or leave the row out"
        ) from problem
