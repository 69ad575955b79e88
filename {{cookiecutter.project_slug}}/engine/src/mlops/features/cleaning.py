"""Cleaning: a column's values made better before anything is computed from them.

The functions stand in src/project/cleaning.py, and conf/features names them under `cleaned`. They
run inside the encoder, so that training, gate, batch and server clean alike.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import owner
from .functions import Kind

Values = NDArray[Any]


class CleaningFunction(NamedTuple):
    """A function under the name that conf/features gives it, and the kind of its column."""

    name: str
    function: Callable[..., Values]
    kind: Kind


_registry: dict[str, CleaningFunction] = {}


def cleanings() -> Mapping[str, CleaningFunction]:
    """Return every function of src/project/cleaning.py by name."""
    owner.module("project.cleaning")
    return MappingProxyType(_registry)


def cleaning(kind: Kind) -> Callable[[Callable[..., Any]], Callable[..., Values]]:
    """Register the function below under its name, for columns of this kind.

    It receives the values as a feature does (features/functions.py) and returns as many of the same
    kind; a label that is none of the contract's counts as unseen. `arguments` come by name.
    """

    def register(compute: Callable[..., Any]) -> Callable[..., Values]:
        _registry[compute.__name__] = CleaningFunction(compute.__name__, compute, kind)
        return compute

    return register


def cleaned(
    function: CleaningFunction,
    values: Values,
    arguments: Mapping[str, Any],
    labels: Mapping[str, int],
) -> Values:
    """Return a column after its cleaning, as the encoder takes it: categories as codes.

    `labels` has the code of each label of a category. Raises ValueError for other than one value
    a row.
    """
    found = np.asarray(function.function(values, **arguments))
    if found.shape != values.shape:
        raise ValueError(
            f"cleaning {function.name} returned {found.shape} for {values.shape} values: return "
            "one for each row"
        )
    if function.kind == "category":
        unseen = float(len(labels))
        codes = [np.nan if label is None else labels.get(label, unseen) for label in found.tolist()]
        return np.array(codes, dtype=np.float64)
    if function.kind == "datetime":
        return found.astype("datetime64[us]")
    return found if function.kind == "text" else found.astype(np.float64)
