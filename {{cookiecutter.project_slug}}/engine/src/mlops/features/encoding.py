"""The contract's columns and derived features as one float32 matrix, without fitting."""

from collections.abc import Mapping
from typing import NamedTuple, Self

import numpy as np

from ..config.settings import Derived, Features
from ..contract import Contract
from ..errors import ProjectError
from .functions import FUNCTIONS

KINDS = {"number": "number", "integer": "number", "boolean": "number", "datetime": "datetime"}


class FeatureError(ProjectError):
    """The features that conf/ asks for do not fit the contract."""


class Encoder(NamedTuple):
    """What turns columns into the matrix; the same object offline, in a batch and in a request.

    `inputs` are the contract columns it reads, `names` the matrix columns in their order, and
    `categorical` the positions of those that hold category codes.
    """

    inputs: tuple[str, ...]
    names: tuple[str, ...]
    categorical: tuple[int, ...]
    direct: tuple[str, ...]
    derived: Mapping[str, Derived]

    @classmethod
    def build(cls, contract: Contract, features: Features) -> Self:
        """Check conf/features against the contract and return the encoder.

        Raises FeatureError for an unknown column or function, a function given columns of
        another type or number, or a derived name that is taken.
        """
        declared = contract.names("feature")
        if unknown := [name for name in features.exclude if name not in declared]:
            raise FeatureError(
                f"features.exclude names {', '.join(unknown)}, which is no feature of "
                f"conf/data/{contract.name}.yaml: choose from {', '.join(declared)}"
            )
        kept = [name for name in declared if name not in features.exclude]
        direct = tuple(n for n in kept if contract.columns[n].type != "datetime")
        for name, derived in features.derived.items():
            _check(name, derived, contract, direct)
        names = direct + tuple(features.derived)
        if not names:
            raise FeatureError(
                f"no feature is left for the model: conf/data/{contract.name}.yaml must declare "
                "one that is no datetime, or conf/features derive one"
            )
        read = dict.fromkeys(direct)
        read |= dict.fromkeys(c for d in features.derived.values() for c in d.columns)
        categorical = tuple(
            i for i, name in enumerate(direct) if contract.columns[name].type == "category"
        )
        return cls(tuple(read), names, categorical, direct, dict(features.derived))

    def matrix(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the float32 matrix (rows, len(names)); missing is NaN, out of range too."""
        rows = len(columns[self.inputs[0]])
        encoded = np.empty((rows, len(self.names)), dtype=np.float32)
        with np.errstate(over="ignore"):
            for position, name in enumerate(self.direct):
                encoded[:, position] = columns[name]
        for position, derived in enumerate(self.derived.values(), start=len(self.direct)):
            function = FUNCTIONS[derived.function].function
            encoded[:, position] = function(*(columns[name] for name in derived.columns))
        encoded[np.isinf(encoded)] = np.nan
        return encoded


def _check(name: str, derived: Derived, contract: Contract, direct: tuple[str, ...]) -> None:
    """Raise FeatureError where one derived feature cannot be computed."""
    where = f"features.derived.{name}"
    if name in direct:
        raise FeatureError(f"{where} has the name of a contract column: give it another")
    if derived.function not in FUNCTIONS:
        raise FeatureError(
            f"{where}: there is no feature function {derived.function!r}: choose from "
            f"{', '.join(FUNCTIONS)}, or add it to src/mlops/features/functions.py"
        )
    wanted = FUNCTIONS[derived.function].kinds
    if len(derived.columns) != len(wanted):
        raise FeatureError(
            f"{where}: {derived.function} takes {len(wanted)} columns, not {len(derived.columns)}"
        )
    for column, kind in zip(derived.columns, wanted, strict=True):
        declared = contract.columns.get(column)
        if declared is None or "target" in declared.roles or "ignored" in declared.roles:
            raise FeatureError(
                f"{where}: {column!r} is no usable column of conf/data/{contract.name}.yaml: "
                f"choose from {', '.join(n for n, c in contract.kept() if 'target' not in c.roles)}"
            )
        if KINDS.get(declared.type) != kind:
            raise FeatureError(
                f"{where}: {derived.function} needs a {kind} and {column} is a {declared.type}"
            )
