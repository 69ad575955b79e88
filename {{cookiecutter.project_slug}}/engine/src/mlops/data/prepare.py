"""The prepare stage: raw files -> validated, typed rows, split into training and holdout."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..config.settings import Split
from ..contract import Column, Contract
from ..files import atomic_directory, sha256
from ..progress import progress
from . import sources
from .errors import DataError
from .hashing import row_hash
from .parsing import parse, present
from .prepared import ROW_HASH, arrow
from .sources import Frame, raw_files
from .splitting import CALIBRATION, SplitError, describe, keys, roles, sides
from .validation import SHOWN, Finding, check_names, refuse, validated

RAW = Path("data/raw")
PREPARED = Path("data/prepared")
SUMMARY = "summary.json"


def prepare(contract: Contract, split: Split, raw: Path = RAW, out: Path = PREPARED) -> str:
    """Write out/ROLE.parquet for each role and out/summary.json; return a line about them.

    Roles are train and holdout, and calibration where the contract promises intervals. Raises
    DataError with every broken cell (the first are shown) and writes nothing then.
    """
    files = raw_files(raw)
    digests = {path: sha256(path) for path in files}
    _check_repeated(digests)
    deciding = keys(contract, split)
    rows: Counter[str] = Counter()
    read: Counter[Path] = Counter()
    findings: list[Finding] = []
    seen: dict[str, list[np.ndarray]] = {n: [] for n, c in contract.kept() if c.unique}
    # Rows without an id that is unique may stand twice, but not those of a whole file.
    whole: Counter[Path] | None = Counter() if len(files) > 1 and not seen else None
    unused = {n: contract.columns[n] for n in deciding if n not in dict(contract.kept())}
    with atomic_directory(out) as folder, _Writers(folder, contract, unused) as writers:
        for frame in progress(sources.table(raw, files, contract.source), "prepare", unit="frame"):
            check_names(frame, contract)
            values, broken = validated(frame, contract)
            for name, column in unused.items():
                values[name] = parse(frame.frame[name], column, contract.source).values
            if contract.source.unlabelled == "drop":
                values, broken = _labelled(frame, values, broken, contract)
                rows["unlabelled"] += len(frame.frame) - len(values)
            findings += broken
            if findings:
                continue
            table = typed(values, contract)
            for name, parts in seen.items():
                parts.append(row_hash(table, [name], name))
            if whole is not None:
                alike = row_hash(table, table.column_names, "file")
                whole[frame.path] += int(alike.sum(dtype=np.uint64))
            hashes = row_hash(table, deciding, split.salt)
            masks = sides(table, hashes, contract, split)
            table = table.append_column(ROW_HASH, pa.array(hashes))
            read[frame.path] += table.num_rows
            for role, mask in masks.items():
                rows[role] += int(mask.sum())
                writers.write(role, table.filter(pa.array(mask)))
        refuse(findings, contract)
        if whole is not None:
            _check_repeated({p: (read[p], total % 2**64) for p, total in whole.items() if read[p]})
        _check_unique(seen, contract)
        _check_sides(rows, contract, split)
        summary = {
            "rows": {role: rows[role] for role in roles(contract)},
            "unlabelled": rows["unlabelled"],
            "files": [
                {
                    "name": path.relative_to(raw).as_posix(),
                    "rows": read[path],
                    "sha256": digests[path],
                }
                for path in files
            ],
        }
        (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return describe(split, rows)


def typed(values: pd.DataFrame, contract: Contract) -> pa.Table:
    """Return parsed columns as an Arrow table with the types of prepared rows."""
    arrays = {}
    for name in values.columns:
        column = contract.columns[name]
        series = values[name]
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


class _Writers:
    """One open Parquet file for each role."""

    def __init__(self, folder: Path, contract: Contract, unused: Mapping[str, Column]) -> None:
        columns = [
            *contract.kept(),
            *unused.items(),
        ]  # what the split hangs on stays, to be checked
        fields = [pa.field(name, arrow(column)) for name, column in columns]
        schema = pa.schema([*fields, pa.field(ROW_HASH, pa.uint64())])
        self._open = {
            role: pq.ParquetWriter(folder / f"{role}.parquet", schema, compression="zstd")
            for role in roles(contract)
        }

    def write(self, role: str, table: pa.Table) -> None:
        self._open[role].write_table(table)

    def __enter__(self) -> "_Writers":
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._open.values():
            writer.close()


def _check_repeated(contents: Mapping[Path, object]) -> None:
    """Refuse a file whose rows another file has, in whatever order and form."""
    first: dict[object, Path] = {}
    for path, content in contents.items():
        if (other := first.setdefault(content, path)) != path:
            raise DataError(
                f"{path} holds the same rows as {other}, and each would count twice: delete one of "
                "them"
            )


def _check_unique(seen: dict[str, list[np.ndarray]], contract: Contract) -> None:
    """Refuse repeated values of unique columns, across frames and files (by 64-bit hash)."""
    for name, parts in seen.items():
        hashes = np.concatenate(parts) if parts else np.empty(0, np.uint64)
        values, first, counts = np.unique(hashes, return_index=True, return_counts=True)
        if len(values) < len(hashes):
            repeated = np.sort(first[counts > 1])[:SHOWN] + 1
            raise DataError(
                f"{name} must be unique and {int((counts > 1).sum())} of its values repeat (first "
                f"seen in rows {', '.join(map(str, repeated))}): correct the data, or drop "
                f"`unique` in conf/data/{contract.name}.yaml"
            )


def _check_sides(rows: Counter[str], contract: Contract, split: Split) -> None:
    for role in roles(contract):
        if not rows[role]:
            key = "cutoff" if split.method == "time" else "holdout or split.salt"
            raise SplitError(
                f"no row falls to {role}: give more data, or change split."
                + ("calibration" if role == CALIBRATION else key)
            )
