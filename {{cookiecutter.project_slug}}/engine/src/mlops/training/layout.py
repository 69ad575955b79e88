"""The columns that reach an estimator, where some categories are replaced by target encodings."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from ..config.settings import Model
from ..errors import ProjectError


class Columns(Protocol):
    """The columns of a matrix: their names, the positions of those that hold codes, and features.

    A feature may have several columns.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The names in their order."""

    @property
    def categorical(self) -> tuple[int, ...]:
        """The positions of category codes."""

    @property
    def features(self) -> Mapping[str, Sequence[int]]:
        """The positions of each feature."""

    @property
    def cardinality(self) -> Mapping[str, int]:
        """How many labels each category declares."""


class LayoutError(ProjectError):
    """What is to be encoded cannot be."""


class Layout(NamedTuple):
    """What an estimator gets of a matrix: `names` by position, which hold codes, and features.

    `encoded` are the columns that have a target encoding in their place. Of more than two classes
    each has one: the others stand behind the columns of the matrix, under the same name.
    """

    names: tuple[str, ...]
    categorical: tuple[int, ...]
    features: Mapping[str, Sequence[int]]
    encoded: tuple[int, ...] = ()
    cardinality: Mapping[str, int] = {}


def layout(model: Model, columns: Columns, classes: int) -> Layout:
    """Return what the estimator gets where model.target_encoded has its way.

    Raises LayoutError for a name that is no category.
    """
    encoded = tuple(
        at for at in columns.categorical if columns.names[at] in _chosen(model, columns)
    )
    left = tuple(at for at in columns.categorical if at not in encoded)
    more = classes - 1 if classes > 2 else 0
    names = list(columns.names)
    features = {name: list(places) for name, places in columns.features.items()}
    for at in encoded:
        for _ in range(more):
            features[columns.names[at]].append(len(names))
            names.append(columns.names[at])
    return Layout(tuple(names), left, features, encoded)


def _chosen(model: Model, columns: Columns) -> list[str]:
    asked, categories = model.target_encoded, [columns.names[at] for at in columns.categorical]
    if asked == "none":
        return []
    if asked == "auto":
        least = model.high_cardinality
        return [name for name in categories if columns.cardinality.get(name, 0) >= least]
    if unknown := [name for name in asked if name not in categories]:
        offered = f"choose from {', '.join(categories)}" if categories else "there is none"
        raise LayoutError(
            f"model.target_encoded names {', '.join(unknown)}, which is no category among the "
            f"features: {offered}"
        )
    return list(asked)
