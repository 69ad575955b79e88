"""What the cells of one raw column say, before anything is declared about it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from ..contract import Column, Source, Type
from ..data.parsing import NUMBERS, parse
from .dates import COMPACT, Format, compact_dates, datetime_format

EXACT = 2**53  # whole numbers from here on are not exact in float64
LEADING_ZERO = r"[+-]?0\d+"
BOOLEANS = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"})
KEYS = {"id", "uuid", "guid", "key", "identifier"}
DAYS = {"date", "day", "dt", "datum", "timestamp"}


@dataclass(frozen=True)
class Statistics:
    """One raw column; every question is answered from its different values where that is enough."""

    name: str
    raw: pd.Series
    source: Source

    @cached_property
    def counts(self) -> pd.Series:
        """Rows of each canonical text, the most frequent first."""
        return self.values("text").value_counts()

    @cached_property
    def texts(self) -> pd.Series:
        """The different canonical texts."""
        return pd.Series(self.counts.index, dtype="str")

    @property
    def distinct(self) -> int:
        """The number of different values."""
        return len(self.counts)

    @cached_property
    def present(self) -> int:
        """The number of rows with a value."""
        return int(self.raw.notna().sum())

    @property
    def blank(self) -> bool:
        """Whether a value is missing."""
        return self.present < len(self.raw)

    @property
    def unique(self) -> bool:
        """Whether every row has a value of its own."""
        return self.distinct == len(self.raw)

    @cached_property
    def written(self) -> bool:
        """Whether the cells are text, which may still mean numbers or dates."""
        return bool(self.raw.dtype != object and pd.api.types.is_string_dtype(self.raw.dtype))

    @cached_property
    def unreadable(self) -> bool:
        """Whether the cells are lists, mappings, bytes or durations."""
        kinds = (list, dict, tuple, set, bytes, np.ndarray)
        return pd.api.types.is_timedelta64_dtype(self.raw.dtype) or self._holds(kinds)

    @cached_property
    def boolean(self) -> bool:
        """Whether every value is a boolean, or one of a pair of words for them."""
        if pd.api.types.is_bool_dtype(self.raw.dtype) or self._holds((bool,)):
            return True
        words = set(self.texts.head(5).str.lower())
        return self.written and any(words <= pair for pair in BOOLEANS)

    @cached_property
    def numeric(self) -> bool:
        """Whether every value is a number that float64 holds, and none has a leading zero."""
        if self.written:
            texts = self.texts
            if texts.str.fullmatch(LEADING_ZERO).any():
                return False
            if not texts.str.fullmatch(NUMBERS[self.source.decimal]).all():
                return False
        elif self.boolean or self._holds((date,)):
            return False
        if not self.present or parse(self.raw, Column(type="number"), self.source).bad.any():
            return False
        return not (self.whole and np.abs(self.numbers).max() >= EXACT)

    @cached_property
    def numbers(self) -> np.ndarray:
        """The values of a numeric column, without the missing ones."""
        return np.asarray(self.values("number").dropna(), dtype=np.float64)

    @cached_property
    def whole(self) -> bool:
        """Whether all numbers of a numeric column are whole."""
        return bool((self.numbers == np.floor(self.numbers)).all())

    @property
    def integral(self) -> bool:
        """Whether whole numbers are meant: blanks make 3.0 of a 3, but nothing else should."""
        if not self.whole or self.blank:
            return self.whole
        if self.written:
            return not self.texts.str.contains(r"[.,eE]").any()
        return not pd.api.types.is_float_dtype(self.raw.dtype)

    @cached_property
    def moment(self) -> Format | None:
        """The format of a column of dates or times, None for another column."""
        if pd.api.types.is_datetime64_any_dtype(self.raw.dtype) or self._holds((date,)):
            return Format(None)
        if not self.written:
            return None
        if self.words & DAYS and compact_dates(self.texts):
            return Format(COMPACT)
        return None if self.numeric else datetime_format(self.texts)

    @property
    def odd(self) -> list[str]:
        """The texts that are no numbers, where most are."""
        numeric = self.texts.str.fullmatch(NUMBERS[self.source.decimal]).astype(bool)
        odd = self.texts[~numeric]
        return [str(text) for text in odd] if 0 < len(odd) < numeric.sum() else []

    @property
    def words(self) -> set[str]:
        """The words of the name."""
        return words(self.name)

    @property
    def labels(self) -> list[str]:
        """The different texts in order, numbers by their size."""
        texts: Iterable[str] = map(str, self.texts)
        by_size = self.numeric and self.source.decimal == "."
        return sorted(texts, key=lambda text: (float(text) if by_size else 0, text))

    def values(self, kind: Type) -> pd.Series:
        """Return the column parsed as a type."""
        return parse(self.raw, Column(kind, role="ignored"), self.source).values

    def _holds(self, kinds: tuple[type, ...]) -> bool:
        """Say whether the first value of an object column is of one of these kinds."""
        return self.raw.dtype == object and any(
            isinstance(cell, kinds) for cell in self.raw.dropna().head(1)
        )


def statistics(frame: pd.DataFrame, source: Source) -> dict[str, Statistics]:
    """Return the statistics of each column of a table."""
    return {str(name): Statistics(str(name), frame[name], source) for name in frame.columns}


def words(name: str) -> set[str]:
    """Return the words of a name: those of customerId and customer_id are customer and id."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return {word.lower() for word in re.split(r"[\W\d_]+", spaced) if word}


def shortened(text: str, length: int = 30) -> str:
    """Return a text quoted, and cut where it is long."""
    return repr(text if len(text) <= length else text[: length - 1] + "…")
