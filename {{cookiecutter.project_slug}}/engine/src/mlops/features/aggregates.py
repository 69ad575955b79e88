"""The owner's aggregates of rows of the past: src/project/features.py, named by a feature view.

A function gets the rows that were known about many entities, one group of rows behind the other,
and returns one number a group:

    from mlops.features.aggregates import Groups, aggregate

    @aggregate("number")
    def recent(groups: Groups, amounts, half_life=7.0):
        return groups.sum(amounts * 0.5 ** (groups.ages / (86_400 * half_life)))

and in conf/feature_views: `{type: number, function: recent, columns: [amount]}`. Rows of a group
are in the order of their event time, then of the table's `tie_break`. What is computed of a group
must not depend on the others: they are those of a batch, and of one request when it is served.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import owner
from .functions import Floats, Kind


class Groups:
    """Rows in groups: group g is the rows from `offsets[g]` to before `offsets[g + 1]`.

    `ages` are the seconds from each row's event to the moment that its group is computed for. No
    group is empty: where there are no rows, the feature has its default.
    """

    def __init__(self, offsets: NDArray[np.int64], ages: Floats) -> None:
        self.offsets, self.ages = offsets, ages

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many rows each group has."""
        return np.diff(self.offsets)

    def sum(self, values: Floats) -> Floats:
        """Return the sum of each group's values; a missing one makes it missing."""
        return np.add.reduceat(values, self.offsets[:-1])

    def first(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the value of each group's oldest row."""
        return values[self.offsets[:-1]]

    def last(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the value of each group's newest row."""
        return values[self.offsets[1:] - 1]


class Aggregate(NamedTuple):
    """An aggregate under the name that conf/feature_views gives it, and the kinds it reads."""

    name: str
    function: Callable[..., Floats]
    kinds: tuple[Kind, ...]
    description: str


_registry: dict[str, Aggregate] = {}
AGGREGATES: Mapping[str, Aggregate] = MappingProxyType(_registry)


def aggregates() -> Mapping[str, Aggregate]:
    """Return every aggregate of src/project/features.py by name."""
    owner.module("project.features")  # registers them
    return AGGREGATES


def aggregate(*kinds: Kind) -> Callable[[Callable[..., Any]], Callable[..., Floats]]:
    """Register the function below under its name, with one kind for each column that it reads.

    It receives the groups, then an array for each column: float64 (number, integer, boolean),
    datetime64[us] in UTC, or objects (category, text); NaN, NaT and None where one is missing.
    What is not finite in its result is missing.
    """

    def register(compute: Callable[..., Any]) -> Callable[..., Floats]:
        @wraps(compute)
        def function(groups: Groups, *columns: NDArray[Any], **arguments: Any) -> Floats:
            with np.errstate(all="ignore"):
                result = np.asarray(compute(groups, *columns, **arguments), dtype=np.float64)
            if result.shape != (len(groups),):
                raise ValueError(f"it returned {result.shape}, and there are {len(groups)} groups")
            return np.where(np.isfinite(result), result, np.nan)

        description = (compute.__doc__ or "").partition("\n")[0]
        _registry[compute.__name__] = Aggregate(compute.__name__, function, kinds, description)
        return function

    return register
