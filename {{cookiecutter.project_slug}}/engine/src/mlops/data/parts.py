"""One part of the prepared rows: a raw file validated, typed and split, as one file a role."""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace

from ..contract import Column, Contract
from ..files import sha256
from .errors import DataError
from .hashing import row_hash
from .index import UNIQUE, Entry, Recipe, place
from .joins import Joins
from .parsing import parse, present
from .prepared import ROW_HASH, arrow
from .sources import Frame, clean, pandas
from .splitting import keys, roles, sides
from .validation import Finding, check_names, validated


@dataclass
class _Seen:
    """What is known of a part so far."""

    rows: Counter[str] = field(default_factory=Counter)
    content: int = 0
    span: tuple[np.datetime64, np.datetime64] | None = None
    unique: list[np.ndarray] = field(default_factory=list)

    def at(self, moments: np.ndarray) -> None:
        if len(moments := moments[~np.isnat(moments)]):
            ends = (moments.min(), moments.max())
            known = self.span or ends
            self.span = (min(known[0], ends[0]), max(known[1], ends[1]))


class Computed(NamedTuple):
    """A part that was written, or the broken cells for which it was not."""

    entry: Entry | None
    findings: list[Finding]


def compute(
    recipe: Recipe, folder: Path, raw: str, part: str, source: str, frames: Iterable[Frame]
) -> Computed:
    """Write the part of a raw file, whose digest is `source`, below a folder."""
    made = _Making(recipe, folder)
    return Computed(made.entry(raw, part, source, frames), made.findings)


def unique(contract: Contract) -> list[str]:
    """Return the columns whose values may not repeat."""
    return [name for name, column in contract.kept() if column.unique]


class _Making:
    """A part on its way into a folder, and its broken cells."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        contract = recipe.contract
        self._recipe, self._contract, self._folder = recipe, contract, folder
        self._deciding = keys(contract, recipe.split)
        self._unique = unique(contract)
        kept = dict(contract.kept())
        # What the split hangs on stays, to be checked.
        self._unused = {n: contract.columns[n] for n in self._deciding if n not in kept}
        fields = [pa.field(n, arrow(column)) for n, column in {**kept, **self._unused}.items()]
        self._schema = pa.schema([*fields, pa.field(ROW_HASH, pa.uint64())])
        self.findings: list[Finding] = []

    def entry(self, raw: str, part: str, source: str, frames: Iterable[Frame]) -> Entry | None:
        """Write the part; None once cells are broken."""
        seen = _Seen()
        paths = {role: place(self._folder, role, part) for role in roles(self._contract)}
        with ExitStack() as opened:
            writers = {role: opened.enter_context(self._open(p)) for role, p in paths.items()}
            for frame in frames:
                if (table := self._table(frame, seen)) is not None:
                    self._write(table, writers, seen)
        if self.findings:
            return None
        if self._unique:
            paths[UNIQUE] = place(self._folder, UNIQUE, part)
            paths[UNIQUE].parent.mkdir(parents=True, exist_ok=True)
            none = np.empty((len(self._unique), 0), np.uint64)
            np.save(paths[UNIQUE], np.concatenate([none, *seen.unique], axis=1))
        made = Entry(
            key="",
            source=source,
            rows={role: seen.rows[role] for role in writers},
            unlabelled=seen.rows["unlabelled"],
            content=None if self._unique else f"{seen.content:016x}",
            span=None if seen.span is None else (str(seen.span[0]), str(seen.span[1])),
            files={room: sha256(path) for room, path in paths.items()},
        )
        return replace(made, key=self._recipe.key(made.part(raw)))

    def _open(self, path: Path) -> pq.ParquetWriter:
        path.parent.mkdir(parents=True, exist_ok=True)
        return pq.ParquetWriter(path, self._schema, compression="zstd")

    def _table(self, frame: Frame, seen: _Seen) -> pa.Table | None:
        """Return the typed rows of a frame; None once cells are broken."""
        contract = self._contract
        if self._recipe.joins is not None:
            frame = joined(frame, contract, self._recipe.joins)
        check_names(frame, contract)
        values, broken = validated(frame, contract)
        for name, column in self._unused.items():
            values[name] = parse(frame.frame[name], column, contract.source).values
        if contract.source.unlabelled == "drop":
            values, broken = _labelled(frame, values, broken, contract)
            seen.rows["unlabelled"] += len(frame.frame) - len(values)
        self.findings += broken
        return None if self.findings else typed(values, contract.columns)

    def _write(self, table: pa.Table, writers: Mapping[str, pq.ParquetWriter], seen: _Seen) -> None:
        contract, split = self._contract, self._recipe.split
        if self._unique:
            seen.unique.append(np.stack([row_hash(table, [n], n) for n in self._unique]))
        else:
            alike = row_hash(table, table.column_names, "file")
            seen.content = (seen.content + int(alike.sum(dtype=np.uint64))) % 2**64
        if contract.time in table.column_names:
            seen.at(table.column(contract.time).to_numpy())
        hashes = row_hash(table, self._deciding, split.salt)
        masks = sides(table, hashes, contract, split)
        table = table.append_column(ROW_HASH, pa.array(hashes))
        for role, mask in masks.items():
            seen.rows[role] += int(mask.sum())
            writers[role].write_table(table.filter(pa.array(mask)))


def joined(frame: Frame, contract: Contract, joins: Joins) -> Frame:
    """Return a frame with the columns that a join gives."""
    check_names(frame, contract, joins.reads)
    chosen = {name: contract.columns[name] for name in joins.reads}
    parsed = {n: parse(frame.frame[n], c, contract.source).values for n, c in chosen.items()}
    given = pa.table(dict(joins.columns(typed(pd.DataFrame(parsed), chosen))))
    if twice := [name for name in given.column_names if name in frame.frame]:
        raise DataError(
            f"{frame.path} has the column {', '.join(twice)}, which a feature view gives: take it "
            "out of the file, or rename the feature"
        )
    more = clean(pandas(given), contract.source.missing)
    return Frame(frame.path, frame.start, pd.concat([frame.frame, more], axis=1))


def typed(values: pd.DataFrame, columns: Mapping[str, Column]) -> pa.Table:
    """Return parsed columns as an Arrow table with the types of prepared rows."""
    arrays = {}
    for name in values.columns:
        column, series = columns[name], values[name]
        if column.type == "category":
            index = pd.Index(column.categories).get_indexer(series)
            arrays[name] = pa.DictionaryArray.from_arrays(
                pa.array(index, pa.int32(), mask=index < 0), pa.array(column.categories)
            )
        elif column.type == "boolean":
            arrays[name] = pa.array(series == 1.0, pa.bool_(), mask=series.isna().to_numpy())
        else:
            arrays[name] = pa.array(series, arrow(column), from_pandas=True)
    return pa.table(arrays)


def _labelled(
    frame: Frame, values: pd.DataFrame, findings: list[Finding], contract: Contract
) -> tuple[pd.DataFrame, list[Finding]]:
    """Return what concerns the rows that have a target."""
    target = frame.frame[contract.target]
    kept = present(target, contract.columns[contract.target], contract.source).notna().to_numpy()
    return values[kept], [found for found in findings if kept[found.row - frame.start]]
