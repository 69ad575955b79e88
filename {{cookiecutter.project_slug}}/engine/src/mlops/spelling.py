"""Labels and booleans as different programs write them: 1001.0 for 1001, Yes for true."""

import difflib
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

NUMERAL = re.compile(r"([+-]?\d+)[.,](\d*)", re.ASCII)
BOOLEANS = ("true", "false")
TRUE = ("true", "t", "yes", "y", "1", "1.0")
FALSE = ("false", "f", "no", "n", "0", "0.0")


class Spellings:
    """The labels of a column by every way in which they are written.

    A number may have another number of zeros at the end of its fraction, since a program that
    holds codes as floats writes 1001 as 1001.0. Zeros at its beginning make another label of it.
    """

    def __init__(self, labels: Sequence[str], decimal: str = ".") -> None:
        self._labels = frozenset(labels)
        self._decimal = decimal
        known: dict[str, str | None] = {}
        for label in labels:
            plain = self._plain(label)
            known[plain] = None if plain in known else label  # two labels are never mixed up
        self._known = known

    def meant(self, text: str) -> str:
        """Return the label that a text writes, or the text where it writes none."""
        return text if text in self._labels else self._known.get(self._plain(text)) or text

    def _plain(self, text: str) -> str:
        found = NUMERAL.fullmatch(text)
        if found is None:
            return text.lower() if text.lower() in BOOLEANS else text
        if self._decimal not in text:
            return text
        whole, fraction = found[1], found[2].rstrip("0")
        return f"{whole}.{fraction}" if fraction else whole


@lru_cache(maxsize=256)
def spellings(labels: tuple[str, ...], decimal: str) -> Spellings:
    """Return the spellings of labels; they are found out once."""
    return Spellings(labels, decimal)


def nearest(name: str, known: Iterable[str], alike: float = 0.6) -> str | None:
    """Return the known name that a misspelt one may mean, whatever its case; None for none."""
    names = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower(), names, 1, alike)
    return names[found[0]] if found else None
