"""Cells as the values that the contract declares."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..amounts import number as amount
from ..contract import Column, Source

TRUE = ("true", "t", "yes", "y", "1", "1.0")
FALSE = ("false", "f", "no", "n", "0", "0.0")
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

    Values are float64 for number, integer and boolean (NaN missing), datetime64[us] in UTC,
    and str for category and text. Bad cells are missing in `values`.
    """

    values: pd.Series
    bad: pd.Series


def parse(series: pd.Series, column: Column, source: Source) -> Parsed:
    """Read one raw column as the type that the contract declares."""
    series = present(series, column, source)
    match column.type:
        case "number":
            values = _numbers(series, source, column.units)
        case "integer":
            values = _numbers(series, source, column.units)
            values = values.where(values == np.floor(values))
        case "boolean":
            values = _booleans(series)
        case "datetime":
            values = _datetimes(series, column.format)
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
    """Return each value as canonical text: 3 for 3 and 3.0, true for True, the text itself."""
    if pd.api.types.is_bool_dtype(series.dtype):
        return series.astype(object).map({True: "true", False: "false"}).astype("str")
    if pd.api.types.is_integer_dtype(series.dtype):
        return series.astype("Int64").astype("string").astype("str")
    if pd.api.types.is_numeric_dtype(series.dtype):
        numbers = series.astype("float64")
        whole = numbers == np.floor(numbers)
        if bool((whole | numbers.isna()).all()):
            return numbers.astype("Int64").astype("string").astype("str")
        return numbers.map(lambda value: f"{value:.15g}", na_action="ignore").astype("str")
    if series.dtype == object or not pd.api.types.is_string_dtype(series.dtype):
        return series.map(str, na_action="ignore").astype("str")
    return series.astype("str")


def _numbers(series: pd.Series, source: Source, units: Mapping[str, float]) -> pd.Series:
    if units and pd.api.types.is_string_dtype(series.dtype):
        meant = {text: amount(text, units, source.decimal) for text in series.dropna().unique()}
        return series.map(meant).astype("float64")
    if pd.api.types.is_string_dtype(series.dtype) and source.decimal == ",":
        series = series.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return pd.Series(np.nan, index=series.index)
    numbers = pd.to_numeric(series, errors="coerce").astype("float64")
    return numbers.where(np.isfinite(numbers))


def _booleans(series: pd.Series) -> pd.Series:
    words = dict.fromkeys(TRUE, 1.0) | dict.fromkeys(FALSE, 0.0)
    return texts(series).str.lower().map(words).astype("float64")


def _datetimes(series: pd.Series, form: str | None) -> pd.Series:
    if pd.api.types.is_numeric_dtype(series.dtype):
        return pd.Series(np.datetime64("NaT", "us"), index=series.index)
    moments = pd.to_datetime(series, format=form or "ISO8601", errors="coerce", utc=True)
    return moments.dt.tz_localize(None).astype("datetime64[us]")
