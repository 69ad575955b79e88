"""The named functions from which conf/features/*.yaml derives features.

Each takes arrays or pandas Series and returns float64, row by row independent, or float32 (rows,
columns) where the feature has several. What cannot be computed is NaN, the mark of a missing value:
a missing input, a zero denominator, and every result that a float32 matrix cannot hold. A project's
own stand in src/project/features.py.
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
Width: TypeAlias = int | Callable[..., int]

UNDECLARED = ""  # for a label that the contract does not declare; None for a missing one

LARGEST = np.finfo(np.float32).max
WIDEST = 4096  # columns of one feature
HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR
# A moment at which each begins (1970-01-05 was a Monday), and its length, in microseconds.
CYCLES = {"day": (0, DAY), "week": (4 * DAY, 7 * DAY), "year": (0, 365_2425 * DAY // 10_000)}


class FeatureFunction(NamedTuple):
    """A function under the name that conf/features gives it, and the kind of each input.

    `width` is how many columns it returns, or what says so by the arguments; one without it.
    """

    name: str
    function: Callable[..., NDArray[Any]]
    kinds: tuple[Kind, ...]
    description: str
    width: Width | None = None

    def columns(self, arguments: Mapping[str, Any]) -> int | None:
        """Return how many columns there are with these arguments, None for one without a number.

        Raises ValueError for arguments that make no sense.
        """
        if self.width is None:
            return None
        wide = self.width(**arguments) if callable(self.width) else self.width
        if type(wide) is not int or not 1 <= wide <= WIDEST:
            raise ValueError(f"a feature has from 1 to {WIDEST} columns, not {wide}")
        return wide


_registry: dict[str, FeatureFunction] = {}
FUNCTIONS: Mapping[str, FeatureFunction] = MappingProxyType(_registry)


def functions() -> Mapping[str, FeatureFunction]:
    """Return every function by name, those of src/project/features.py among them."""
    owner.module("project.features")  # registers its own, also in place of one of these
    return FUNCTIONS


def feature(
    *kinds: Kind, width: Width | None = None
) -> Callable[[Callable[..., Any]], Callable[..., NDArray[Any]]]:
    """Register the function below under its name, with one kind for each of its inputs.

    The function receives an array for each: float64 (number, integer, boolean), datetime64[us], or
    objects: the label of a category, UNDECLARED where it is none of the contract's, or a text;
    None where either is missing. What conf/features gives as `arguments` it receives by name.

    With `width` it returns that many columns, (rows, width), also of one column; a function in its
    place says how many by the same arguments, and raises ValueError where they make no sense.
    """
    dtype = np.float64 if width is None else np.float32

    def register(compute: Callable[..., Any]) -> Callable[..., NDArray[Any]]:
        @wraps(compute)
        def function(*inputs: ArrayLike, **arguments: Any) -> NDArray[Any]:
            arrays = [_array(values, kind) for values, kind in zip(inputs, kinds, strict=True)]
            with np.errstate(all="ignore"):
                result = np.asarray(compute(*arrays, **arguments), dtype=dtype)
            if width is not None and not np.isinf(result).any():
                return result  # a copy of many columns is large
            return np.where(np.abs(result) <= LARGEST, result, np.nan)

        description = (compute.__doc__ or "").partition("\n")[0]
        _registry[compute.__name__] = FeatureFunction(
            compute.__name__, function, kinds, description, width
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


@feature("number")
def above(values: Floats, least: float) -> Floats:
    """Subtract a number, so that large ones that lie close together stay apart in float32."""
    return values - least


@feature("number")
def rounded_off(values: Floats, times: int = 1) -> Floats:
    """Return what float32 rounds off a number, and with `times` 2 off that again.

    Beside the number it keeps apart what float32 takes for one: in their order, and exactly up to
    2**49 for whole numbers.
    """
    for _ in range(times):
        values = values - values.astype(np.float32)
    return values


@feature("text")
def is_missing_text(texts: NDArray[np.object_]) -> list[bool]:
    """Return 1 where a text is missing, else 0."""
    return [text is None for text in texts]


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
def day_of_month(moments: Moments) -> Floats:
    """Return the day of the month, 1 to 31."""
    days = moments.astype("datetime64[D]") - moments.astype("datetime64[M]").astype("datetime64[D]")
    return _number(days.astype(np.int64) + 1, moments)


@feature("datetime")
def year(moments: Moments) -> Floats:
    """Return the year."""
    return _number(moments.astype("datetime64[Y]").astype(np.int64) + 1970, moments)


def _cycle(of: str) -> tuple[int, int]:
    """Return a moment at which a cycle begins, and how long it is, in microseconds."""
    if of not in CYCLES:
        raise ValueError(f"`of` is {', '.join(CYCLES)}, not {of!r}")
    return CYCLES[of]


@feature("datetime", width=lambda of: 2 * bool(_cycle(of)))
def cycle(moments: Moments, of: str) -> Floats:
    """Return sine and cosine of where a moment is in its `of`: a day, week or year.

    The last hour and the first are neighbours so, also for a linear model.
    """
    start, length = _cycle(of)
    passed = (moments.astype(np.int64) - start) % length / length
    turned = 2 * np.pi * np.where(np.isnat(moments), np.nan, passed)
    return np.column_stack([np.sin(turned), np.cos(turned)])


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
