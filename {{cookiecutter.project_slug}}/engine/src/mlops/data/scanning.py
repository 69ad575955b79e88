"""A file read through: which bytes it has, and whether they are UTF-8."""

import codecs
from pathlib import Path
from typing import NamedTuple

BLOCK = 1 << 20  # bytes


class Scanned(NamedTuple):
    """The bytes that a file has, and whether they are UTF-8.

    `is_cut` where they would be, with more than ASCII in them, but for a character at the end.
    """

    used: frozenset[int]
    is_utf8: bool
    is_cut: bool


def scan(path: Path) -> Scanned:
    """Read a file through, without decoding what is ASCII."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, is_wide, used = True, False, b""
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            used += bytes(set(block.translate(None, used)))
            if not is_utf8 or (block.isascii() and not decoder.getstate()[0]):
                continue
            try:
                is_wide |= not decoder.decode(block).isascii()
            except UnicodeDecodeError:
                is_utf8 = False
    is_whole = not decoder.getstate()[0]
    return Scanned(frozenset(used), is_utf8 and is_whole, is_utf8 and is_wide and not is_whole)
