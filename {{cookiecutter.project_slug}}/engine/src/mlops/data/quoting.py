"""Quotes of a CSV: what pandas would read across rows without a word is refused."""

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from .errors import DataError

LONGEST_FIELD = 1 << 24
BLANK = " "  # one or more, where no other mark separates; quotes mean nothing there
BLOCK = 1 << 20
SHOWN = 60


def check(path: Path, separator: str, encoding: str) -> None:
    """Raise DataError, with the line, where a quote does not close at the end of its cell."""
    if separator == BLANK or not _has_quotes(path, encoding):
        return
    csv.field_size_limit(LONGEST_FIELD)
    with path.open(encoding=encoding, newline="") as stream:
        if not _wrong(stream, separator):
            return
    with path.open(encoding=encoding, newline="") as stream:
        if line := _wrong(_closed(stream, separator), separator):
            raise DataError(_said(path, encoding, line))


def _wrong(lines: Iterable[str], separator: str) -> int:
    """Return the line at which the first row with a wrong quote begins; 0 without one."""
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    before = 0
    try:
        for _ in reader:
            before = reader.line_num
    except csv.Error:
        return before + 1
    return 0


def _has_quotes(path: Path, encoding: str) -> bool:
    with path.open(encoding=encoding, newline="") as stream:
        return any('"' in block for block in iter(lambda: stream.read(BLOCK), ""))


def _closed(stream: TextIO, separator: str) -> Iterator[str]:
    """Yield the lines without blanks after a closing quote, which are harmless."""
    blank = re.compile(rf'"[ \t]+(?={re.escape(separator)}|\r?\n|$)')
    for line in stream:
        yield blank.sub('"', line) if '" ' in line or '"\t' in line else line


def _said(path: Path, encoding: str, line: int) -> str:
    with path.open(encoding=encoding) as stream:
        text = next((text for at, text in enumerate(stream, 1) if at == line), "").rstrip("\n")
    shown = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    return (
        f"{path} has a quote that does not close in the row that begins at line {line} ({shown}): "
        'close it, or write a quote inside of a cell twice ("")'
    )
