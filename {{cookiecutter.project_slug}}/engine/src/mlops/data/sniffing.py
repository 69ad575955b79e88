"""How an unknown table is written: Parquet or CSV, encoding, separator, decimal mark, header."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

from ..contract import MISSING, Source
from . import encodings, foreign, header, quoting
from .errors import DataError
from .parsing import NUMBERS

SEPARATORS = (",", "|", "\t", ";")  # of equals the last: a comma may be a decimal mark
STEADY = 0.99  # share of the records that blanks must cut alike
SAMPLE = 1 << 20  # bytes
RECORDS = 500
MOST = 0.9  # share of the lines that have as many cells as the header
NUMBER = {mark: re.compile(pattern, re.ASCII) for mark, pattern in NUMBERS.items()}
FRACTION = re.compile(r"[+-]?(\d*|\d{1,3}(\.\d{3})+),\d+")

Records = list[list[str]]


def sniff(
    path: Path, target: str, columns: Sequence[str] | None = None, encoding: str | None = None
) -> Source:
    """Return how `path` is to be read.

    `columns` names the columns of a file without a header; a first row that holds `target` is
    taken for one. Without an `encoding` that is found out too. Raises DataError for what is no
    table, and for a header that is missing, superfluous or ambiguous.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder: name one CSV or Parquet file")
    if not path.is_file():
        raise DataError(f"{path} does not exist: check the name")
    with path.open("rb") as stream:
        head = stream.read(SAMPLE)
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise DataError(f"{path} is empty: it needs a header and rows")
    if head.startswith(b"PAR1"):
        return _parquet(path, columns)
    foreign.check(path, head)
    encoding = encodings.given(path, encoding) if encoding else encodings.found(path, head)
    text = codecs.getincrementaldecoder(encoding)().decode(head)
    whole = len(head) < SAMPLE
    _check_preamble(path, text)
    separator, records = _split(path, text, whole, len(columns) if columns else None)
    rows = [[cell.strip() for cell in record] for record in records]
    if columns is None:
        _check_header(path, rows, target)
    else:
        _check_columns(path, rows, columns)
    names = list(columns or rows[0])
    _check_names(path, [name.strip() for name in names])
    body = rows if columns else rows[1:]
    if not body:
        raise DataError(f"{path} has a header and no rows: give it some")
    quoting.check(path, separator, encoding)
    return Source(
        format="csv",
        separator=separator,
        encoding=encoding,
        decimal=_decimal(body, len(names)),
        header=[name.strip() for name in columns or ()],
    )


def _parquet(path: Path, columns: Sequence[str] | None) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if columns:
        raise DataError(f"{path} is Parquet and names its columns itself: drop --columns")
    try:
        metadata = pq.read_metadata(path)
        names = metadata.schema.to_arrow_schema().names
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged Parquet: write it again") from error
    if not metadata.num_rows:
        raise DataError(f"{path} has columns and no rows: give it some")
    _check_names(path, [name.strip() for name in names])
    return Source(format="parquet")


def _check_preamble(path: Path, text: str) -> None:
    """Raise DataError where lines that are no rows stand above the header.

    They have fewer cells than most lines, whatever separates these.
    """
    lines = text.splitlines()[:RECORDS]
    if not lines or len(lines) < 3:
        return
    usual: list[tuple[int, list[int]]] = []
    for separator in SEPARATORS:
        widths = [line.count(separator) for line in lines]
        ((width, _),) = Counter(widths).most_common(1)
        below = widths[widths.index(width) :]
        if re.match(r"sep=.\s*$", lines[0]):
            widths[0] = 0
        if width and widths[0] == width:
            return
        if width and below.count(width) >= MOST * len(below):
            usual.append((width, widths))
    for width, widths in usual:
        count = widths.index(width)
        if (
            count
            and any(line.strip() for line in lines[:count])
            and 2 * max(widths[:count]) < width
        ):
            raise DataError(
                f"{path} begins with {'a line' if count == 1 else f'{count} lines'} above its "
                f"header (like {lines[0][:40]!r}): take that away with "
                f"`tail -n +{count + 1} {path} > NEW.csv`"
            )


def _split(path: Path, text: str, whole: bool, count: int | None) -> tuple[str, Records]:
    """Return the separator that cuts most records into as many cells as the first, and them."""
    best: tuple[float, int, str, Records] | None = None
    for separator in SEPARATORS:
        records = _records(path, text, separator, whole)
        width = count or len(records[0])
        share = sum(len(record) == width for record in records) / len(records)
        if width > 1 and share > 0 and (best is None or (share, width) >= best[:2]):
            best = (share, width, separator, records)
    if best is None and (blank := _blank_separated(text, whole, count)):
        return quoting.BLANK, blank
    if best is None and count:
        found = max(len(_records(path, text, s, whole)[0]) for s in SEPARATORS)
        raise DataError(
            f"{path} has {found} columns and --columns names {count}: name each of them once"
        )
    if best is None:
        raise DataError(
            f"{path} has only one column: a table needs a target and at least one feature, "
            "separated by a comma, semicolon, tab, | or blanks"
        )
    return best[2], best[3]


def _blank_separated(text: str, whole: bool, count: int | None) -> Records | None:
    """Return the records that blanks separate, where they cut all of them alike."""
    lines = [line for line in text.splitlines() if line.strip()][: RECORDS + 1]
    if not whole and len(lines) > 1:
        lines = lines[:-1]
    try:
        records = list(csv.reader((" ".join(x.split()) for x in lines), delimiter=quoting.BLANK))
    except csv.Error:
        return None
    width = count or len(records[0])
    steady = sum(len(record) == width for record in records) >= STEADY * len(records)
    return records if width > 1 and len(records) > 1 and steady else None


def _records(path: Path, text: str, separator: str, whole: bool) -> Records:
    csv.field_size_limit(quoting.LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        records = list(islice((record for record in reader if record), RECORDS + 1))
    except csv.Error as error:
        raise DataError(f"{path} is no CSV ({error}): check its quotes") from error
    # The last one may have been cut off by the end of the sample.
    return records if whole or len(records) < 2 else records[:-1]


def _check_names(path: Path, names: Sequence[str]) -> None:
    header.check_names(path, [name for name in names if name])
    if len(names) < 2:
        raise DataError(
            f"{path} has only one column: a table needs a target and at least one feature"
        )


def _check_columns(path: Path, rows: Records, columns: Sequence[str]) -> None:
    if len(rows[0]) != len(columns):
        raise DataError(
            f"{path} has {len(rows[0])} columns and --columns names {len(columns)}: "
            "name each of them once"
        )
    if sorted(rows[0]) == sorted(name.strip() for name in columns) or _votes(rows)[0]:
        raise DataError(
            f"{path} starts with a header ({', '.join(rows[0][:4])}, …): drop --columns, or "
            "delete that row"
        )


def _check_header(path: Path, rows: Records, target: str) -> None:
    """Raise DataError where the first row looks like data."""
    first = rows[0]
    if target in first and not any(target in row for row in rows[1:]):
        return
    for_header, for_data = _votes(rows)
    numbered = sorted(first) in ([str(n + start) for n in range(len(first))] for start in (0, 1))
    if for_data and not for_header and not numbered:
        shown = ", ".join(first[:4]) + (", …" if len(first) > 4 else "")
        raise DataError(
            f"{path} has no header (its first row is {shown}): name its {len(first)} columns "
            "with --columns A,B,…"
        )


def _votes(rows: Records) -> tuple[int, int]:
    """Count the columns that speak for a header in the first row, and those that speak for data.

    A word above numbers speaks for a header; a number above numbers, or a word that comes again
    among few different ones, for data.
    """
    for_header = for_data = 0
    for position, name in enumerate(rows[0]):
        cells = [row[position] for row in rows[1:] if position < len(row)]
        cells = [cell for cell in cells if cell not in MISSING]
        numeric = sum(_is_number(cell) for cell in cells) > 0.9 * len(cells)
        if numeric and cells:
            for_header += not _is_number(name) and name not in MISSING
            for_data += _is_number(name)
        elif cells:
            for_data += name in cells
    return for_header, for_data


def _is_number(text: str) -> bool:
    return any(pattern.fullmatch(text) for pattern in NUMBER.values())


def _decimal(rows: Records, width: int) -> Literal[".", ","]:
    """Return the decimal mark: a comma where a column has fractions with it, and none a point."""
    comma = False
    for position in range(width):
        cells = [row[position] for row in rows if position < len(row)]
        cells = [cell for cell in cells if cell not in MISSING]
        if not cells or not all(_is_number(cell) for cell in cells):
            continue
        if any("." in cell and not NUMBER[","].fullmatch(cell) for cell in cells):
            return "."
        fractions = [cell for cell in cells if FRACTION.fullmatch(cell)]
        # 1,234 and 12,345 alone are thousands, which nobody declared.
        comma |= any(not re.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+", cell) for cell in fractions)
    return "," if comma else "."
