"""The named functions from which conf/features/*.yaml derives features.

Each takes arrays or pandas Series and returns float64, row by row independent. What cannot be
computed is NaN, the mark of a missing value: a missing input, a zero denominator, and every
result that a float32 matrix cannot hold. A project's own stand in src/project/features.py.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import owner

Kind = Literal["number", "datetime", "category", "text"]
Floats: TypeAlias = NDArray[np.float64]
Moments: TypeAlias = NDArray[np.datetime64]

UNDECLARED = ""  # for a label that the contract does not declare; None for a missing one

LARGEST = np.finfo(np.float32).max
HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR


class FeatureFunction(NamedTuple):
    """A function under the name that conf/features gives it, and the kind of each input."""

    name: str
    function: Callable[..., Floats]
    kinds: tuple[Kind, ...]
    description: str


_registry: dict[str, FeatureFunction] = {}
FUNCTIONS: Mapping[str, FeatureFunction] = MappingProxyType(_registry)


def functions() -> Mapping[str, FeatureFunction]:
    """Return every function by name, those of src/project/features.py among them."""
    owner.module("project.features")  # registers its own, also in place of one of these
    return FUNCTIONS


def feature(*kinds: Kind) -> Callable[[Callable[..., Any]], Callable[..., Floats]]:
    """Register the function below under its name, with one kind for each of its inputs.

    The function receives an array for each: float64 (number, integer, boolean), datetime64[us], or
    objects: the label of a category, UNDECLARED where it is none of the contract's, or a text;
    None where either is missing. What conf/features gives as `arguments` it receives by name.
    """

    def register(compute: Callable[..., Any]) -> Callable[..., Floats]:
        @wraps(compute)
        def function(*inputs: ArrayLike, **arguments: Any) -> Floats:
            arrays = [_array(values, kind) for values, kind in zip(inputs, kinds, strict=True)]
            with np.errstate(all="ignore"):
                result = np.asarray(compute(*arrays, **arguments), dtype=np.float64)
            return np.where(np.abs(result) <= LARGEST, result, np.nan)

        description = (compute.__doc__ or "").partition("\n")[0]
        _registry[compute.__name__] = FeatureFunction(
            compute.__name__, function, kinds, description
        )
        return function

    return register


def _array(values: Any, kind: Kind) -> NDArray[Any]:
    """Return a contiguous array: numpy may compute strided ones by other code, to other bits."""
    if kind in ("category", "text"):
        return np.asarray(values, dtype=object)
    if kind == "datetime":
        return np.ascontiguousarray(np.asarray(values, dtype="datetime64[us]"))
    if hasattr(values, "to_numpy"):
        values = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.ascontiguousarray(np.asarray(values, dtype=np.float64))


def _number(whole: NDArray[Any], moments: Moments) -> Floats:
    """Return whole numbers taken from moments as floats, NaN where there was no moment."""
    return np.where(np.isnat(moments), np.nan, whole.astype(np.float64))


@feature("number", "number")
def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; by zero it is missing."""
    return numerator / denominator


@feature("number", "number")
def difference(minuend: Floats, subtrahend: Floats) -> Floats:
    """Subtract the second from the first."""
    return minuend - subtrahend


@feature("number", "number")
def product(left: Floats, right: Floats) -> Floats:
    """Multiply."""
    return left * right


@feature("number")
def log1p(values: Floats) -> Floats:
    """Take the natural logarithm of one more; missing at -1 and below."""
    return np.log1p(values)


@feature("number")
def is_missing(values: Floats) -> NDArray[np.bool_]:
    """Return 1 where a number is missing, else 0."""
    return np.isnan(values)


@feature("datetime")
def is_missing_datetime(moments: Moments) -> NDArray[np.bool_]:
    """Return 1 where a datetime is missing, else 0."""
    return np.isnat(moments)


@feature("datetime")
def hour_of_day(moments: Moments) -> Floats:
    """Return the hour, 0 to 23."""
    return _number(moments.astype(np.int64) % DAY // HOUR, moments)


@feature("datetime")
def day_of_week(moments: Moments) -> Floats:
    """Return the day of the week, Monday 0 to Sunday 6."""
    days = moments.astype("datetime64[D]").astype(np.int64)
    return _number((days + 3) % 7, moments)  # day 0 is a Thursday


@feature("datetime")
def day_of_year(moments: Moments) -> Floats:
    """Return the day of the year, 1 to 366."""
    days = moments.astype("datetime64[D]") - moments.astype("datetime64[Y]")
    return _number(days.astype(np.int64) + 1, moments)


@feature("datetime")
def month_of_year(moments: Moments) -> Floats:
    """Return the month, 1 to 12."""
    return _number(moments.astype("datetime64[M]").astype(np.int64) % 12 + 1, moments)


@feature("datetime")
def days_since(moments: Moments, first: str = "1970-01-01") -> Floats:
    """Return the days since `first`, a date like 2026-01-31, with fractions."""
    return _elapsed(np.datetime64(first, "us"), moments) / DAY


@feature("datetime", "datetime")
def elapsed_hours(start: Moments, end: Moments) -> Floats:
    """Return the hours from start to end, with fractions; negative where end is first."""
    return _elapsed(start, end) / HOUR


@feature("datetime", "datetime")
def elapsed_days(start: Moments, end: Moments) -> Floats:
    """Return the days from start to end, with fractions; negative where end is first."""
    return _elapsed(start, end) / DAY


def _elapsed(start: Moments | np.datetime64, end: Moments) -> Floats:
    """Return the microseconds from start to end."""
    passed = end - start
    return np.where(np.isnat(passed), np.nan, passed.astype(np.int64).astype(np.float64))
