"""One JSON value as the type that the contract declares, and why it is not of it."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np

from ..amounts import number
from ..contract import Column

Unseen = Literal["encode", "refuse"]
LARGEST = 2**63 - 1
EPOCH = datetime(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)
MISSING = -(2**63)  # as numpy holds NaT
MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d(:?\d\d)?)?)?", re.ASCII | re.I
)
WANTED = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "category": "a string",
    "text": "a string",
    "datetime": "an ISO 8601 date or date-time in a string",
}


class CellError(ValueError):
    """A value that its column cannot have; the message completes "the field …"."""


def read(value: Any, column: Column, unseen: Unseen = "encode", decimal: str = ".") -> Any:
    """Return a value of parsed JSON as the column's type; raises CellError.

    A whole number may be written 3.0, a datetime as a date alone, and an amount with its unit where
    the contract declares units.
    """
    if column.missing and isinstance(value, str) and value.strip() in column.missing:
        return None
    if column.units and isinstance(value, str):
        value = _amount(value, column, decimal)
    if value is None:
        if not column.nullable:
            raise CellError(f"must be {WANTED[column.type]}, not null")
        return None
    match column.type:
        case "number":
            return _finite(_number(value, column))
        case "integer":
            return _whole(_number(value, column))
        case "boolean" if isinstance(value, bool):
            return value
        case "category" if isinstance(value, str):
            if unseen == "refuse" and value not in column.categories:
                raise CellError(f"must be one of {_shown(column.categories)}")
            return value
        case "text" if isinstance(value, str):
            return value
        case "datetime" if isinstance(value, str):
            return moment(value)
    raise CellError(f"must be {WANTED[column.type]}, not {kind(value)}")


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
        raise CellError(f"must be {WANTED[column.type]}, not {kind(value)}")
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

    A text that is no category is looked at as `mlops predict` does: stripped, and missing where
    the contract's source says that it means that.
    """

    def __init__(self, categories: Sequence[str], missing: Sequence[str]) -> None:
        super().__init__(zip(categories, map(float, range(len(categories))), strict=True))
        self.unseen = float(len(categories))
        self.missing = frozenset(missing)
        self[None] = math.nan

    def __missing__(self, text: str | None) -> float:
        stripped = (text or "").strip()
        return math.nan if stripped in self.missing else self.get(stripped, self.unseen)


def codec(
    column: Column, missing: Sequence[str], decimal: str = "."
) -> Callable[[Sequence[Any]], np.ndarray]:
    """Return what makes an array of a column's values, as features are computed from it."""
    if column.type == "category":
        code = Codes(column.categories, [*missing, *column.missing]).__getitem__
        return lambda values: np.fromiter(map(code, values), np.float64, len(values))
    if column.type == "datetime":
        return _moments
    if column.type == "text":
        return _texts([*missing, *column.missing])
    if column.missing:
        return _numbers(column, decimal)
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


def _texts(missing: Sequence[str]) -> Callable[[Sequence[Any]], np.ndarray]:
    """Return what makes an array of texts as `mlops predict` reads them: stripped, or None."""
    absent = frozenset(missing)

    def texts(values: Sequence[str | None]) -> np.ndarray:
        stripped = (None if value is None else value.strip() for value in values)
        return np.array([None if text in absent else text for text in stripped], dtype=object)

    return texts
