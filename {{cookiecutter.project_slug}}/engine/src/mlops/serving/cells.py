"""One JSON value as the type that the contract declares, and why it is not of it."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np

from ..amounts import number
from ..contract import Column, Source
from ..spelling import FALSE, TRUE, spellings

Unseen = Literal["encode", "refuse"]
LARGEST = 2**63 - 1
EPOCH = datetime(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)
MISSING = -(2**63)  # as numpy holds NaT
MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d(:?\d\d)?)?)?", re.ASCII | re.I
)
DEFAULT = Source()
WANTED = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "category": "a string",
    "text": "a string",
    "datetime": "an ISO 8601 date or date-time in a string",
}
LIKE = {"number": "58.78, with a decimal point", "integer": "58"}


class CellError(ValueError):
    """A value that its column cannot have; the message completes "the field …"."""


def read(value: Any, column: Column, unseen: Unseen = "encode", source: Source = DEFAULT) -> Any:
    """Return a value of parsed JSON as the column's type; raises CellError.

    A whole number may be written 3.0, a datetime as a date alone or as the table has it, an amount
    with its unit where the contract declares units, a boolean or a label as the table has it.
    """
    told = _told(value, column, source) if isinstance(value, str) else value
    if told is None:
        if not column.nullable:
            given = "null" if value is None else f"{_quoted(value)}, which means no value"
            raise CellError(f"must be {WANTED[column.type]}, not {given}")
        return None
    value = told
    match column.type:
        case "number":
            return _finite(_number(value, column))
        case "integer":
            return _whole(_number(value, column))
        case "boolean" if isinstance(value, bool):
            return value
        case "boolean" if (text := _written(value).lower()) in (*TRUE, *FALSE):
            return text in TRUE
        case "category" if isinstance(value, str | bool | int | float):
            return _label(value, column, unseen, source)
        case "text" if isinstance(value, str):
            return value
        case "datetime" if isinstance(value, str):
            return _moment(value, column)
    raise CellError(f"must be {WANTED[column.type]}, not {kind(value)}")


def _told(text: str, column: Column, source: Source) -> Any:
    """Return what a text says: nothing where it means that, and a number where it has a unit."""
    stripped = text.strip()
    labelled = column.type in ("category", "text")
    if stripped in column.missing or (labelled and stripped in source.missing):
        return None
    return _amount(text, column, source.decimal) if column.units else text


def _written(value: Any) -> str:
    """Return a scalar as `mlops predict` writes it as text; nothing for a list or object."""
    match value:
        case str():
            return value.strip()
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if value.is_integer() and abs(value) <= LARGEST:
            return str(int(value))
        case float():
            return f"{value:.15g}"
    return ""


def _quoted(text: str) -> str:
    return f"'{text if len(text) <= 20 else text[:19] + '…'}'"


def _label(value: Any, column: Column, unseen: Unseen, source: Source) -> str:
    """Return the label that a value writes; a number or boolean has to write a declared one."""
    label = spellings(tuple(column.categories), source.decimal).meant(_written(value))
    if label in column.categories:
        return label
    if not isinstance(value, str):
        raise CellError(f"must be {WANTED[column.type]}, not {kind(value)}")
    if unseen == "refuse":
        raise CellError(f"must be one of {_shown(column.categories)}")
    return value


def _moment(text: str, column: Column) -> datetime:
    """Return a datetime in ISO 8601, or as the table writes it."""
    if column.format is not None and MOMENT.fullmatch(text) is None:
        try:
            return naive(datetime.strptime(text.strip(), column.format))
        except ValueError:
            raise CellError(
                f"must be an ISO 8601 date or date-time, or one like {column.format}"
            ) from None
    return moment(text)


def moment(text: str) -> datetime:
    """Return an ISO 8601 date or date-time as a naive datetime in UTC; raises CellError."""
    if MOMENT.fullmatch(text) is None:
        raise CellError("must be an ISO 8601 date or date-time, like 2026-01-31T09:30:00Z")
    try:
        value = datetime.fromisoformat(text.upper())
    except ValueError:
        raise CellError("must be a date that exists, and a time below 24:00") from None
    return naive(value)


def naive(value: datetime) -> datetime:
    """Return a datetime in UTC without its offset; raises CellError outside of years 1 to 9999."""
    try:
        return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise CellError("must lie within the years 1 to 9999 in UTC") from None


def kind(value: Any) -> str:
    """Return what a value of parsed JSON is called."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
    return "an object"


def _amount(text: str, column: Column, decimal: str) -> float:
    if (found := number(text, column.units, decimal)) is not None:
        return found
    raise CellError(f"must be a number, alone or with the unit {_shown(list(column.units))}")


def _number(value: Any, column: Column) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        like = ""
        if isinstance(value, str):  # which is not repeated, since what is wrong is logged
            like = f": JSON numbers have no quotes, like {LIKE[column.type]}"
        raise CellError(f"must be {WANTED[column.type]}, not {kind(value)}{like}")
    return value


def _finite(value: int | float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise CellError("must be a finite number that a 64-bit float can hold")
    return number


def _whole(value: int | float) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise CellError("must be a whole number" + " that is finite" * math.isinf(value))
    if not -LARGEST - 1 <= value <= LARGEST:
        raise CellError("must be a whole number that 64 bits can hold")
    return int(value)


def _shown(categories: Sequence[str]) -> str:
    return ", ".join(categories[:8]) + (", …" if len(categories) > 8 else "")


class Codes(dict[str | None, float]):
    """The code of each category: its index, NaN for a missing one, one past the last if unseen.

    A text that is no category is looked at as `mlops predict` does: stripped, missing where the
    contract says that it means that, and as another spelling of a label. CellError where it is
    missing and may not be.
    """

    def __init__(self, column: Column, source: Source) -> None:
        codes = map(float, range(len(column.categories)))
        super().__init__(zip(column.categories, codes, strict=True))
        self.unseen = float(len(column.categories))
        self.missing = frozenset([*source.missing, *column.missing])
        self.spellings = spellings(tuple(column.categories), source.decimal)
        self.nullable = column.nullable
        self[None] = math.nan

    def __missing__(self, text: str | None) -> float:
        stripped = (text or "").strip()
        if stripped in self.missing:
            if not self.nullable:
                raise CellError("means no value")
            return math.nan
        return self.get(self.spellings.meant(stripped), self.unseen)


def codec(column: Column, source: Source) -> Callable[[Sequence[Any]], np.ndarray]:
    """Return what makes an array of a column's values, as features are computed from it."""
    if column.type == "category":
        code = Codes(column, source).__getitem__
        return lambda values: np.fromiter(map(code, values), np.float64, len(values))
    if column.type == "datetime":
        return _moments
    if column.type == "text":
        return _texts([*source.missing, *column.missing], column.nullable)
    if column.missing:
        return _numbers(column, source.decimal)
    return lambda values: np.array(values, dtype=np.float64)


def _numbers(column: Column, decimal: str) -> Callable[[Sequence[Any]], np.ndarray]:
    """Return what makes an array of numbers in which those that mean "no value" are NaN."""
    found = (number(text, column.units, decimal) for text in column.missing)
    absent = [value for value in found if value is not None]

    def numbers(values: Sequence[Any]) -> np.ndarray:
        array = np.array(values, dtype=np.float64)
        return np.where(np.isin(array, absent), np.nan, array)

    return numbers


def _moments(values: Sequence[datetime | None]) -> np.ndarray:
    """Return datetime64[us]; numpy converts datetimes itself, but takes six times as long."""
    ticks = [MISSING if v is None else (v - EPOCH) // MICROSECOND for v in values]
    return np.array(ticks, dtype=np.int64).view("datetime64[us]")


def _texts(missing: Sequence[str], nullable: bool) -> Callable[[Sequence[Any]], np.ndarray]:
    """Return what makes an array of texts as `mlops predict` reads them: stripped, or None."""
    absent = frozenset(missing)

    def texts(values: Sequence[str | None]) -> np.ndarray:
        stripped = (None if value is None else value.strip() for value in values)
        found = [None if text in absent else text for text in stripped]
        if not nullable and None in found:
            raise CellError("means no value")
        return np.array(found, dtype=object)

    return texts
