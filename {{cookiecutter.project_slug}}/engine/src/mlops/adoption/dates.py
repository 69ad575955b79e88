"""Datetimes in text: the format that reads every value of a column."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from ..contract import Column, Source
from ..data.parsing import parse

DATES = (
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y.%m.%d",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d.%m.%y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b-%Y",
    "%b %Y",
    "%B-%Y",
    "%B %Y",
    "%b-%y",
    "%Y-%b",
    "%m/%Y",
    "%Y/%m",
)
TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", "T%H:%M:%S")
COMPACT = "%Y%m%d"
LIKELY = r".*\d.*[-/. ].*\d.*|\d{8}T\d{4,}.*|[A-Za-z]{3,9}[-/ .]\d{2,4}|\d{4}[-/ .][A-Za-z]{3,9}"
# ISO 8601 allows 2019 and 201903 as well, which are numbers to everybody; pandas reads / as -.
ISO = r"\d{4}-\d{2}(-\d{2}.*)?|\d{8}T\d{4,}.*"
SAMPLE = 200


@dataclass(frozen=True)
class Format:
    """A strptime format (None: ISO 8601), what is doubtful about it, and whether it has times."""

    text: str | None
    doubt: str = ""


def datetime_format(values: pd.Series) -> Format | None:
    """Return the first format that reads every one of these different texts, ISO 8601 first."""
    if not len(values) or not values.str.fullmatch(LIKELY).all():
        return None
    sample = values.iloc[:: max(1, len(values) // SAMPLE)]
    fitting = [
        form for form in _formats(sample.iloc[0]) if reads(sample, form) and reads(values, form)
    ]
    if not fitting:
        return None
    chosen = fitting[0]
    swapped = [f for f in fitting[1:] if f and chosen and sorted(f) == sorted(chosen)]
    if chosen is None or not swapped:
        return Format(chosen)
    return Format(chosen, f"day and month are ambiguous: read as {chosen}, could be {swapped[0]}")


def fewest_bad(values: pd.Series) -> list[str] | None:
    """Return the texts that are no dates in the format that reads the most, None without one."""
    likely = values.str.fullmatch(LIKELY).astype(bool)
    if not len(values) or likely.mean() < 0.5:
        return None
    sample = values[likely].iloc[[0, int(likely.sum()) // 2, -1]]
    forms = dict.fromkeys(form for text in sample for form in _formats(text))
    bad = [values[~_readable(values, form)].tolist() for form in forms]
    return min(bad, key=len, default=None)


def compact_dates(values: pd.Series) -> bool:
    """Say whether these different texts are all dates like 20260131."""
    return bool(values.str.fullmatch(r"(19|20)\d{6}").all()) and reads(values, COMPACT)


def reads(values: pd.Series, form: str | None) -> bool:
    """Say whether a format reads all of these texts."""
    if form is None and not values.str.fullmatch(ISO).all():
        return False
    return bool(_readable(values, form).all())


def _readable(values: pd.Series, form: str | None) -> pd.Series:
    """Return the mask of the texts that a format reads."""
    found = ~parse(values, Column(type="datetime", format=form), Source()).bad
    return found if form is not None else found & values.str.fullmatch(ISO).astype(bool)


def only_dates(moments: pd.Series) -> bool:
    """Say whether every moment is a midnight."""
    present = moments.dropna()
    return bool((present == present.dt.normalize()).all())


def _formats(text: str) -> Iterator[str | None]:
    """Yield the formats worth trying on all values: those that read this one."""
    one = pd.Series([text], dtype="str")
    yield from (
        form
        for form in (None, *(date + time for date in DATES for time in TIMES))
        if reads(one, form)
    )
