"""A person's right to be forgotten: the rows of a key are taken out of data/raw and data/tables."""

import codecs
import csv
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..contract import Contract
from ..data import delimited, quoting, sources
from ..data.errors import DataError
from ..data.parsing import parse, texts
from ..files import exchange, scratch, sha256
from ..progress import progress

ROOMS = (Path("data/raw"), Path("data/tables"))
SUFFIXES = (".parquet", ".csv")  # of a table: pointers and lineage stand beside
BATCH = 200_000


class Held(NamedTuple):
    """A file that holds rows of a key: which they are, counted from 0, and its digest."""

    path: Path
    rows: np.ndarray
    sha256: str


class Found(NamedTuple):
    """What a search of some files came to: files with rows, those without the column, the keys."""

    held: list[Held]
    unsearched: list[Path]
    keys: set[str]


class Wanted:
    """Tells the rows of some keys by one column, whose cells are read as the contract says.

    `keys` has each key that was asked for, by the text that its value is written as.
    """

    def __init__(self, contract: Contract, keys: Sequence[str], column: str | None = None) -> None:
        self._source = contract.source
        self.name = _column(contract, column)
        self._declared = contract.columns.get(self.name)
        asked = {key: self._written(pd.Series([key.strip()], dtype="str")).iat[0] for key in keys}
        self.keys = {text: key for key, text in asked.items() if isinstance(text, str)}

    def _written(self, cells: pd.Series) -> pd.Series:
        """Return the one text of each value; a cell that cannot be read is its own."""
        written = texts(cells)
        if self._declared is not None:
            parsed = parse(cells, self._declared, self._source)
            written = texts(parsed.values).where(parsed.values.notna(), written)
        return written

    def search(self, paths: Sequence[Path], shown: str = "search", strict: bool = True) -> Found:
        """Return which files hold rows of the keys.

        Raises DataError for one that is no table, which without `strict` only is not searched.
        """
        found = Found([], [], set())
        for path in progress(paths, shown, unit="file"):
            try:
                rows = self._rows(path, found.keys)
            except DataError:
                if strict:
                    raise
                rows = None
            if rows is None:
                found.unsearched.append(path)
            elif len(rows):
                found.held.append(Held(path, rows, sha256(path)))
        return found

    def _rows(self, path: Path, known: set[str]) -> np.ndarray | None:
        """Return which rows are of keys, and add these to `known`; None without the column."""
        rows, start = [np.empty(0, np.int64)], 0
        for cells in self._cells(path):
            if cells is None:
                return None
            written = self._written(cells)
            mask = written.isin([*self.keys])
            known.update(self.keys[text] for text in written[mask])
            rows.append(start + mask.to_numpy().nonzero()[0])
            start += len(cells)
        return np.concatenate(rows)

    def _cells(self, path: Path) -> Iterator[pd.Series | None]:
        """Yield the cells of the column in their order; None for a file that lacks it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not _is_parquet(path):
            for frame in sources.frames([path], self._source):
                yield frame.frame.get(self.name)
            return
        try:
            with pq.ParquetFile(path) as file:
                names = [name for name in file.schema_arrow.names if name.strip() == self.name]
                if not names:
                    yield None
                    return
                for batch in file.iter_batches(batch_size=BATCH, columns=names[:1]):
                    frame = sources.pandas(pa.Table.from_batches([batch]))
                    yield sources.clean(frame, self._source.missing)[self.name]
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{path} cannot be read ({reason}): mend or delete it") from error

    def without(self, held: Held, out: Path) -> None:
        """Write a file without the rows: every other row of a CSV keeps its bytes."""
        if _is_parquet(held.path):
            parquet_without(held, out)
        else:
            layout = delimited.found(held.path, self._source)
            _csv_without(held, layout, out)


def _column(contract: Contract, column: str | None) -> str:
    """Return the column that keys are of: the given one, or that of role id."""
    if column is not None:
        return column
    ids = contract.names("id")
    if len(ids) == 1:
        return str(ids[0])
    said = f"columns of role id: {', '.join(ids)}" if ids else "no column of role id"
    raise DataError(
        f"conf/data/{contract.name}.yaml has {said}: say by `--column` which one holds the keys"
    )


def files(root: Path) -> list[Path]:
    """Return the files with rows of data/raw and data/tables."""
    raw, tables = (sources.visible(root / room) for room in ROOMS)
    return [*raw, *(path for path in tables if path.suffix in SUFFIXES)]


def forget(root: Path, wanted: Wanted, held: Sequence[Held]) -> None:
    """Take the rows out of these files: of all of them, or of none.

    Each room is built anew beside the old one, with the other files as they are, and exchanged.
    """
    rooms = [r for r in ROOMS if any(one.path.is_relative_to(root / r) for one in held)]
    with ExitStack() as opened:
        staged = {root / room: opened.enter_context(scratch(root / room)) for room in rooms}
        for room, folder in staged.items():
            mine = {one.path: one for one in held if one.path.is_relative_to(room)}
            for path in (path for path in room.rglob("*") if not path.is_dir()):
                new = folder / path.relative_to(room)
                new.parent.mkdir(parents=True, exist_ok=True)
                if path in mine:
                    wanted.without(mine[path], new)
                else:
                    _link(path, new)
        _exchange(staged)


def _exchange(staged: dict[Path, Path]) -> None:
    done: list[Path] = []
    try:
        for room, folder in staged.items():
            exchange(folder, room)
            done.append(room)
    except BaseException:
        for room in done:
            exchange(staged[room], room)
        raise


def _link(old: Path, new: Path) -> None:
    """Give a file a second name, and a link its target."""
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:
        shutil.copy2(old, new, follow_symlinks=False)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(sources.PARQUET)) == sources.PARQUET


def parquet_without(held: Held, out: Path) -> None:
    """Copy a Parquet file row group by row group, with its schema and compression."""
    import pyarrow.parquet as pq

    start = 0
    with pq.ParquetFile(held.path) as file:
        about = file.metadata
        codec = about.row_group(0).column(0).compression if about.num_row_groups else "SNAPPY"
        codec = "NONE" if codec == "UNCOMPRESSED" else codec
        with pq.ParquetWriter(out, file.schema_arrow, compression=codec) as writer:
            for number in range(about.num_row_groups):
                table = file.read_row_group(number)
                kept = np.ones(table.num_rows, dtype=bool)
                inside = held.rows[(held.rows >= start) & (held.rows < start + len(kept))]
                kept[inside - start] = False
                start += len(kept)
                writer.write_table(table.filter(kept))


def _csv_without(held: Held, layout: delimited.Layout, out: Path) -> None:
    """Copy a CSV line by line.

    Raises DataError where other rows would not keep their bytes in the file's encoding.
    """
    with held.path.open("rb") as raw:
        marked = raw.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
    encoding = layout.encoding
    if codecs.lookup(encoding).name == "utf-8-sig" and not marked:
        encoding = "utf-8"
    whole, encoder = hashlib.sha256(), codecs.getincrementalencoder(encoding)()
    gone = set(held.rows.tolist())
    with (
        held.path.open(encoding=encoding, newline="") as stream,
        out.open("w", encoding=encoding, newline="") as kept,
    ):
        for row, text in _rows(stream, layout):
            whole.update(encoder.encode(text))
            if row not in gone:
                kept.write(text)
    if whole.hexdigest() != held.sha256:
        raise DataError(
            f"{held.path} is not written as {encoding} writes it, so its other rows would change: "
            "save it again in UTF-8, then forget again"
        )


def _rows(stream: Iterator[str], layout: delimited.Layout) -> Iterator[tuple[int, str]]:
    """Yield each row's number and text; what is no row, above or between them, has number -1."""
    for _ in range(layout.lines):
        yield -1, next(stream)
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in stream:
            taken.append(line)
            yield " ".join(line.split()) if layout.separator == quoting.BLANK else line

    csv.field_size_limit(quoting.LONGEST_FIELD)
    row = 0
    for record in csv.reader(lines(), delimiter=layout.separator, skipinitialspace=True):
        text = "".join(taken)
        taken.clear()
        if record and (len(record) > 1 or record[0].strip(" \t")):
            yield row, text
            row += 1
        else:
            yield -1, text
    if taken:
        yield -1, "".join(taken)
