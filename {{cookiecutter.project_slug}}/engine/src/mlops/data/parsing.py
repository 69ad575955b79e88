"""Cells as the values that the contract declares."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..amounts import number as amount
from ..contract import Column, Source
from ..spelling import FALSE, TRUE, spellings
from .zones import to_utc

NUMBERS = {  # as texts write them, by the decimal mark
    ".": r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?",
    ",": r"[+-]?(?:[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?|\d+(?:,\d*)?|,\d+)(?:[eE][+-]?\d+)?",
}
WHOLE = r"[+-]?(?:0|[1-9]\d*)(?:\.0*)?"
LARGEST = 2**63
OFFSET = r".*\d[T ]\d.*(?:[Zz]|[+-]\d\d(?::?\d\d)?)"
EXPECTED = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "datetime": "a date or time",
    "category": "a category",
    "text": "a text",
}


@dataclass(frozen=True)
class Parsed:
    """A typed column and the mask of the cells that cannot be read as its type.

    Values are float64 for number, integer and boolean (NaN missing), but Int64 for an integer that
    identifies; datetime64[us] in UTC; and str for category and text. Bad cells are missing in
    `values`.
    """

    values: pd.Series
    bad: pd.Series


def parse(series: pd.Series, column: Column, source: Source, zone: str = "UTC") -> Parsed:
    """Read one raw column as the type that the contract declares.

    `zone` is that of datetimes without an offset.
    """
    series = present(series, column, source)
    match column.type:
        case "number":
            values = _numbers(series, source, column.units)
        case "integer" if column.identifies:
            values = _identifiers(series, source)
        case "integer":
            values = _numbers(series, source, column.units)
            values = values.where(values == np.floor(values))
        case "boolean":
            values = _booleans(series)
        case "datetime":
            values = _datetimes(series, column.format, zone)
        case "category":
            values = _labels(series, column, source)
        case _:
            values = texts(series)
    return Parsed(values, values.isna() & series.notna())


def present(series: pd.Series, column: Column, source: Source) -> pd.Series:
    """Return a raw column without what means "no value" in it alone."""
    if not column.missing:
        return series
    series = series.mask(texts(series).isin(column.missing))
    if column.type not in ("number", "integer"):
        return series
    absent = _numbers(pd.Series(column.missing, dtype="str"), source, column.units).dropna()
    return series.mask(_numbers(series, source, column.units).isin(absent))


def texts(series: pd.Series) -> pd.Series:
    """Return each value as canonical text: 3 for 3 and 3.0, true for True, the text itself.

    It depends on the value alone, and not on what else is in the frame.
    """
    if pd.api.types.is_bool_dtype(series.dtype):
        return series.astype(object).map({True: "true", False: "false"}).astype("str")
    if pd.api.types.is_integer_dtype(series.dtype):
        return series.astype("string").astype("str")
    if pd.api.types.is_numeric_dtype(series.dtype):
        numbers = _floats(series)
        whole = (numbers == np.floor(numbers)) & (numbers.abs() < LARGEST)
        written = numbers.where(whole).astype("Int64").astype("string")
        if not bool((whole | numbers.isna()).all()):
            rest = numbers[~whole].map(lambda value: f"{value:.15g}", na_action="ignore")
            written = written.where(whole, rest.astype("string"))
        return written.astype("str")
    if series.dtype == object or not pd.api.types.is_string_dtype(series.dtype):
        return series.map(str, na_action="ignore").astype("str")
    return series.astype("str")


def _labels(series: pd.Series, column: Column, source: Source) -> pd.Series:
    """Return texts as the labels that they write; what writes none stays as it is."""
    written = texts(series)
    odd = written[~written.isin(column.categories)].dropna().unique()
    known = spellings(tuple(column.categories), source.decimal)
    meant = {text: label for text in odd if (label := known.meant(text)) != text}
    return written.replace(meant) if meant else written


def is_text(series: pd.Series) -> bool:
    """Say whether a column holds texts alone."""
    return bool(pd.api.types.is_string_dtype(series.dtype)) and series.dtype != object


def _floats(series: pd.Series) -> pd.Series:
    return pd.Series(series.to_numpy(np.float64, na_value=np.nan), index=series.index)


def _plain(series: pd.Series, source: Source) -> pd.Series:
    """Return texts that are numbers by the source's decimal mark as Python writes them."""
    if source.decimal == ".":
        return series
    numbers = series.where(_matches(series, NUMBERS[","]))
    return numbers.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)


def _matches(series: pd.Series, pattern: str) -> pd.Series:
    """Say of each text whether it is of a pattern; a missing one is not."""
    return series.str.fullmatch(pattern).astype("boolean").fillna(False).astype(bool)


def _identifiers(series: pd.Series, source: Source) -> pd.Series:
    """Return whole numbers that 64 bits hold, exactly; one with a leading zero is none."""
    dtype = series.dtype
    if not (pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_datetime64_any_dtype(dtype)):
        series = _plain(texts(series), source)
        whole = series[_matches(series, WHOLE)]
        exact = [int(text.partition(".")[0]) for text in whole]
        numbers = pd.Series(exact, index=whole.index, dtype=object)
    elif pd.api.types.is_integer_dtype(dtype):
        numbers = series.dropna()
    elif pd.api.types.is_datetime64_any_dtype(dtype):
        numbers = pd.Series(dtype=object)
    else:
        numbers = _floats(series)
        numbers = numbers[(numbers == np.floor(numbers)) & (numbers.abs() < LARGEST)]
    held = numbers[(numbers >= -LARGEST) & (numbers < LARGEST)]
    return held.astype("int64").astype("Int64").reindex(series.index)


def _numbers(series: pd.Series, source: Source, units: Mapping[str, float]) -> pd.Series:
    if units and is_text(series):
        meant = {text: amount(text, units, source.decimal) for text in series.dropna().unique()}
        return series.map(meant).astype("float64")
    if is_text(series):
        series = _plain(series, source)
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return pd.Series(np.nan, index=series.index)
    numbers = _floats(pd.to_numeric(series, errors="coerce"))
    return numbers.where(np.isfinite(numbers))


def _booleans(series: pd.Series) -> pd.Series:
    words = dict.fromkeys(TRUE, 1.0) | dict.fromkeys(FALSE, 0.0)
    return texts(series).str.lower().map(words).astype("float64")


def _datetimes(series: pd.Series, form: str | None, zone: str) -> pd.Series:
    if pd.api.types.is_numeric_dtype(series.dtype):
        return pd.Series(np.datetime64("NaT", "us"), index=series.index)
    if is_text(series):
        series = series.where(_matches(series, r"(?s:.*\d.*)"))  # `now` is read as one, too
    moments = pd.to_datetime(series, format=form or "ISO8601", errors="coerce", utc=True)
    moments = moments.dt.tz_localize(None).astype("datetime64[us]")
    if zone == "UTC":
        return moments
    return moments.mask(~_has_offset(series, form), to_utc(moments.to_numpy(), zone))


def _has_offset(series: pd.Series, form: str | None) -> pd.Series:
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        return pd.Series(True, index=series.index)
    if form is not None or not is_text(series):
        return pd.Series(form is not None and "%z" in form, index=series.index)
    return _matches(series, OFFSET)
