"""CSV files as text: header, encoding and width of each file, and what shifts its cells refused."""

import csv
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pandas as pd

from ..contract import Source
from . import header, quoting
from .errors import DataError
from .scanning import scan

HIGH = range(0x80, 0x100)  # bytes that mean another character in every encoding
SEPARATOR_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # what Excel writes above a header
SHOWN = 5  # columns


@dataclass(frozen=True)
class Layout:
    """How one file is written, which may be another way than its contract's source says.

    `names` are those of its columns, and `lines` how many lines stand above its first row.
    """

    path: Path
    encoding: str
    separator: str
    names: tuple[str, ...]
    lines: int

    def opened(self) -> TextIO:
        """Open the file at its first row."""
        stream = self.path.open(encoding=self.encoding, newline="")
        for _ in range(self.lines):
            stream.readline()
        return stream

    def widths(self, stream: TextIO) -> Iterator[int]:
        """Yield the number of cells of each row."""
        for record in _records(stream, self.separator):
            yield len(record)


def frames(
    path: Path, source: Source, rows: int, absent: str | None = None
) -> Iterator[pd.DataFrame]:
    """Yield a CSV in frames of text; `absent` is a column that a file without a header may lack.

    Raises DataError, with the row, where one has not as many cells as there are columns, repeats
    the header, or does not close a quote.
    """
    layout = found(path, source, absent)
    quoting.check(path, layout.separator, layout.encoding)
    start, checked = 1, False
    with layout.opened() as stream:
        try:
            for frame in _read(stream, layout, rows):
                if not checked and _may_be_short(frame):
                    check(layout)
                    checked = True
                header.check_rows(path, frame, start)
                yield frame
                start += len(frame)
        except (pd.errors.ParserError, pd.errors.ParserWarning):
            check(layout)
            raise


def found(path: Path, source: Source, absent: str | None = None) -> Layout:
    """Return how a file is written; raises DataError where its first line cannot be one."""
    encoding = _encoding(path, source.encoding)
    separator, above = source.separator, 0
    with path.open(encoding=encoding, newline="") as stream:
        if line := SEPARATOR_LINE.fullmatch(stream.readline()):
            separator, above = line[1], 1
        else:
            stream.seek(0)
        lines = _Lines(stream)
        first = next(_records(lines, separator), None)
    if first is None:
        raise DataError(f"{path} is empty: it needs {'' if source.header else 'a header and '}rows")
    cells = [cell.strip() for cell in first]
    if not source.header or _is_header(cells, source.header):
        names = [cell or f"Unnamed: {place}" for place, cell in enumerate(cells)]
        above += lines.count
    else:
        names = _declared(path, cells, source.header, absent)
    header.check_names(path, names)
    return Layout(path, encoding, separator, tuple(names), above)


def check(layout: Layout) -> None:
    """Raise DataError for the first row that has more or fewer cells than there are columns."""
    wanted = len(layout.names)
    with layout.opened() as stream:
        for row, width in enumerate(layout.widths(stream), start=1):
            if width != wanted:
                raise DataError(
                    f"{layout.path} row {row} has {_cells(width)} and there are {wanted} columns "
                    f"({', '.join(layout.names[:SHOWN])}{', …' * (wanted > SHOWN)}): correct that "
                    "row, or quote what holds a separator"
                )


class _Lines:
    """The lines of a stream, counted."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.count += 1
        return next(self._stream)


def _records(lines: Iterator[str] | TextIO, separator: str) -> Iterator[list[str]]:
    """Yield the rows of a CSV as pandas cuts them; a blank line is none."""
    csv.field_size_limit(quoting.LONGEST_FIELD)
    if separator == quoting.BLANK:
        lines = (" ".join(line.split()) for line in lines)
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    return (record for record in reader if record and (len(record) > 1 or record[0].strip(" \t")))


def _read(stream: TextIO, layout: Layout, rows: int) -> Iterator[pd.DataFrame]:
    with warnings.catch_warnings():
        # A row with more cells than names would lose them; pandas only warns.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            reader = pd.read_csv(
                stream,
                sep=r"\s+" if layout.separator == quoting.BLANK else layout.separator,
                header=None,
                names=list(layout.names),
                dtype=str,
                na_filter=False,
                skipinitialspace=True,
                index_col=False,
                chunksize=rows,
            )
        except pd.errors.EmptyDataError:
            yield pd.DataFrame({name: pd.Series(dtype="str") for name in layout.names})
            return
        with reader:
            yield from reader


def _encoding(path: Path, declared: str) -> str:
    """Return UTF-8 for a file that is it where a contract declares one byte for each character.

    Any bytes are text in most of those encodings, and hardly any text in them is UTF-8. Raises
    DataError where some would be control characters.
    """
    try:
        single = len(bytes(HIGH).decode(declared, "replace")) == len(HIGH)
    except LookupError as error:
        raise DataError(
            f"the contract's `source` has the encoding {declared}, which Python does not know: "
            "name one like utf-8 or cp1252"
        ) from error
    if not single:
        return declared
    scanned = scan(path)
    high = [byte for byte in sorted(scanned.used) if byte in HIGH]
    if scanned.is_utf8:
        return "utf-8-sig" if high else declared
    odd = [byte for byte in high if _is_control(byte, declared)]
    if odd:
        raise DataError(
            f"{path} is not {declared} text (byte 0x{odd[0]:02x} would be a control character): "
            f"save it again in {declared}, or give its encoding in the contract's `source`"
        )
    return declared


def _is_control(byte: int, encoding: str) -> bool:
    return unicodedata.category(bytes([byte]).decode(encoding, "replace")) == "Cc"


def _is_header(cells: Sequence[str], declared: Sequence[str]) -> bool:
    """Say whether most cells are names of columns, which no row of data holds."""
    return 2 * len(set(cells) & set(declared)) > len(cells)


def _declared(
    path: Path, cells: Sequence[str], declared: Sequence[str], absent: str | None
) -> list[str]:
    """Return the names of the columns of a file without a header."""
    if len(cells) == len(declared):
        return list(declared)
    if absent in declared and len(cells) == len(declared) - 1:
        return [name for name in declared if name != absent]
    without = f", or {len(declared) - 1} without {absent}" if absent in declared else ""
    raise DataError(
        f"{path} has no header and {_cells(len(cells))} in its first row, where the contract's "
        f"`source` names {len(declared)} columns{without}: give the file these columns, or a header"
    )


def _may_be_short(frame: pd.DataFrame) -> bool:
    """Say whether a row may lack cells, which pandas fills with empty ones."""
    return frame.shape[1] > 1 and bool((frame.iloc[:, -1] == "").any())


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
