"""In which encoding a text file is."""

import codecs
from pathlib import Path

from .errors import DataError
from .scanning import BLOCK, scan

GUESSED = ("latin-1", "cp1252")  # any bytes can be read so
# Bytes that Windows-1252 leaves undefined, and control characters that no text holds.
UNDEFINED = frozenset(b"\x81\x8d\x8f\x90\x9d")
CONTROL = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1a\x1b")


def found(path: Path, head: bytes) -> str:
    """Return the encoding in which the whole file decodes, UTF-8 wherever that is possible."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    used, is_utf8, is_cut = scan(path)
    if used & CONTROL:
        raise DataError(f"{path} is a binary file: save the table as CSV or Parquet")
    if is_cut:
        raise DataError(
            f"{path} is UTF-8 text that ends within a character: fetch or write the whole file"
        )
    if is_utf8:
        return "utf-8-sig"
    if used & UNDEFINED:
        raise DataError(
            f"{path} is neither UTF-8 nor Windows-1252 text: name its --encoding, like gb18030 or "
            "shift_jis, or save it again in UTF-8"
        )
    return "cp1252" if any(0x80 <= byte < 0xA0 for byte in used) else "latin-1"


def given(path: Path, encoding: str) -> str:
    """Return the encoding that the user named, in which the whole file decodes."""
    try:
        codec = codecs.lookup(encoding)
        codec.decode(b"")[0].encode()
    except (LookupError, AttributeError) as error:
        raise DataError(
            f"--encoding {encoding} is none that Python knows: name one like cp1250 or gb18030"
        ) from error
    try:
        with path.open(encoding=codec.name) as stream:
            while stream.read(BLOCK):
                pass
    except UnicodeError as error:
        raise DataError(f"{path} is no {codec.name} text ({error}): name its --encoding") from error
    return codec.name
