"""Texts as numbers: their words and parts of words, hashed into a few columns.

Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009: the sign is
hashed too, so that what meets in a column rather cancels than adds up. Nothing is fitted, so that a
row alone, a table and tomorrow's words are encoded alike; numbers of 32 bits that wrap around make
it the same on every machine.
"""

from collections.abc import Iterator, Sequence
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from .functions import feature

Words = NDArray[np.uint32]

READ = 10_000  # characters of a text; the rest is not looked at
PIECE = 250  # characters normalised at a time: in thousands of accents they are sorted slowly
LONGEST = 8  # characters of a part of a word
BLOCK = 1 << 17  # characters at a time, so that memory stays flat
CELLS = 1 << 20  # of the columns at a time
BASE = 0x01000193
SPACE = 32
LAST = 0xFFFF
# Where a word ends, beside what ASCII has: marks of Latin-1, Arabic, Devanagari, and of general and
# CJK punctuation, and what chooses the look of an emoji. All else, an emoji too, is in a word.
BETWEEN = (
    *((0x80, 0xBF), (0xD7, 0xD7), (0xF7, 0xF7)),
    *((0x60C, 0x60C), (0x61B, 0x61F), (0x964, 0x965)),
    *((0x2000, 0x206F), (0x3000, 0x303F), (0xFE00, 0xFE0F), (0xFFF9, 0xFFFF)),
)


def _inside() -> NDArray[np.bool_]:
    """Return of each code point whether it belongs into a word; LAST stands for those above."""
    table = np.ones(LAST + 1, dtype=bool)
    table[:0x80] = [chr(point).isalnum() for point in range(0x80)]
    for first, last in BETWEEN:
        table[first : last + 1] = False
    table[LAST] = True
    return table


INSIDE = _inside()
POWERS = np.multiply.accumulate(np.full(READ + 2, BASE, dtype=np.uint32), dtype=np.uint32)


def _width(width: int = 128, words: bool = True, characters: Sequence[int] = (3, 4)) -> int:
    """Return the number of columns; raises ValueError for arguments that make no sense."""
    _lengths(characters)
    if not words and not characters:
        raise ValueError("nothing is left to count without `words` and `characters`")
    return width


def _lengths(characters: Sequence[int]) -> range:
    """Return the lengths of the parts of words, from the shortest and the longest."""
    if not characters:
        return range(0)
    ends = list(characters)
    if len(ends) != 2 or not all(type(end) is int for end in ends):
        raise ValueError("`characters` are a shortest and a longest length, like [3, 4], or []")
    if not 1 <= ends[0] <= ends[1] <= LONGEST:
        raise ValueError(f"`characters` are from 1 to {LONGEST}, the shortest first")
    return range(ends[0], ends[1] + 1)


@feature("text", width=_width)
def text_ngrams(
    texts: NDArray[np.object_],
    width: int = 128,
    words: bool = True,
    characters: Sequence[int] = (3, 4),
) -> NDArray[np.float32]:
    """Count words and parts of words of a text, hashed into `width` columns.

    Texts are normalised (NFKC) and in lower case, and the first 10,000 characters are read. Parts
    are of the lengths `characters`, within a word and the spaces around it. Counts are on a
    logarithmic scale; all columns of a missing text are missing, of one without words 0.
    """
    counted = np.full((len(texts), width), np.nan, dtype=np.float32)
    lengths = _lengths(characters)
    for rows, block in _blocks(texts, width):
        counts = _counts(block, width, words, lengths)
        counted[rows] = np.copysign(np.log1p(np.abs(counts)), counts)
    return counted


def _blocks(texts: NDArray[np.object_], width: int) -> Iterator[tuple[list[int], list[str]]]:
    """Yield some texts at a time as they are counted, with their rows; none that is missing."""
    rows: list[int] = []
    block: list[str] = []
    characters = 0
    for row, text in enumerate(texts):
        if text is None:
            continue
        read = _normalized(text[:READ])
        rows.append(row)
        block.append(read)
        characters += len(read) + 1
        if characters > BLOCK or len(rows) * width > CELLS:
            yield rows, block
            rows, block, characters = [], [], 0
    if rows:
        yield rows, block


def _normalized(text: str) -> str:
    if not text.isascii():
        pieces = (text[first : first + PIECE] for first in range(0, len(text), PIECE))
        text = "".join(normalize("NFKC", piece) for piece in pieces)
    return text.lower()[:READ]


def _counts(texts: Sequence[str], width: int, words: bool, lengths: range) -> NDArray[np.float64]:
    """Return the signed counts (texts, width)."""
    # One text after the other, each word between two single spaces.
    written = f" {' '.join(texts)} ".encode("utf-32-le", "surrogatepass")
    points = np.frombuffer(written, dtype="<u4").astype(np.uint32, copy=False)
    inside = INSIDE[np.minimum(points, LAST)]
    kept = inside.copy()
    kept[1:] |= inside[:-1]
    kept[0] = True
    places = np.flatnonzero(kept)
    points = points[places]
    spaces = np.flatnonzero(~inside[places])
    points[spaces] = SPACE
    spans = np.diff(spaces)  # of each word with the space before it
    behind = np.cumsum(np.fromiter(map(len, texts), np.intp, len(texts)) + 1)
    of_word = np.searchsorted(behind, places[spaces[:-1] + 1], side="right")
    # From each character, how far it is to the space behind its word.
    reach = np.repeat(spaces[1:], spans) - np.arange(len(points) - 1)
    of_point = np.repeat(of_word, spans)
    hashes, rows = [], []
    if words and len(spans):
        parts = points[:-1] * POWERS[reach]
        parts[spaces[:-1]] = 0
        hashes.append(np.add.reduceat(parts, spaces[:-1], dtype=np.uint32))
        rows.append(of_word)
    rolling = points
    for length in range(1, lengths.stop):
        if length > 1:
            rolling = rolling[:-1] * np.uint32(BASE) + points[length - 1 :]
        if length not in lengths:
            continue
        held = reach[: len(rolling)] >= length - 1
        if length == 1:
            held = points[:-1] != SPACE
        starts = np.flatnonzero(held)
        hashes.append(rolling[starts] + np.uint32(length))
        rows.append(of_point[starts])
    mixed = _mixed(np.concatenate(hashes)) if hashes else np.empty(0, dtype=np.uint32)
    cells = np.concatenate(rows) if rows else np.empty(0, dtype=np.intp)
    cells = cells * width + (mixed >> np.uint32(1)) % np.uint32(width)
    signs = 1.0 - 2.0 * (mixed & np.uint32(1))
    counts = np.bincount(cells.astype(np.intp), weights=signs, minlength=len(texts) * width)
    return counts.reshape(len(texts), width).astype(np.float64, copy=False)


def _mixed(hashes: Words) -> Words:
    """Return hashes of which every bit depends on every bit (the end of MurmurHash3)."""
    hashes ^= hashes >> np.uint32(16)
    hashes *= np.uint32(0x85EBCA6B)
    hashes ^= hashes >> np.uint32(13)
    hashes *= np.uint32(0xC2B2AE35)
    hashes ^= hashes >> np.uint32(16)
    return hashes
