"""The contract's columns and derived features as one float32 matrix, without fitting."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np

from .. import owner
from ..config.settings import Cleaned, Derived, Features
from ..contract import DECLARED, Contract
from ..errors import ProjectError
from .cleaning import cleaned, cleanings
from .functions import FUNCTIONS, UNDECLARED, functions
from .texts import text_ngrams as text_ngrams  # registers itself

KINDS = {
    "number": "number",
    "integer": "number",
    "boolean": "number",
    "datetime": "datetime",
    "category": "category",
    "text": "text",
}
FEATURES, CLEANING = "project.features", "project.cleaning"
INDIRECT = ("datetime", "text")  # columns that only derived features read

UNUSABLE = {"target", "weight", "ignored"}  # roles of what no request can tell

Columns = Mapping[str, np.ndarray]


class FeatureError(ProjectError):
    """The features that conf/ asks for do not fit the contract, or cannot be computed."""


class Encoder(NamedTuple):
    """What turns columns into the matrix; the same object offline, in a batch and in a request.

    `inputs` are the contract columns it reads, `names` the matrix columns in their order, and
    `categorical` the positions of those that hold category codes. `labels` has the labels of the
    categories that functions see, `cleaned` what is done to a column first, and `cardinality` how
    many labels each category of the matrix declares. `places` are the positions of each derived
    feature: a slice where it has several columns.
    """

    inputs: tuple[str, ...]
    names: tuple[str, ...]
    categorical: tuple[int, ...]
    direct: tuple[str, ...]
    derived: Mapping[str, Derived]
    cleaned: Mapping[str, Cleaned] = {}
    labels: Mapping[str, tuple[str, ...]] = {}
    cardinality: Mapping[str, int] = {}
    places: tuple[int | slice, ...] = ()

    @classmethod
    def build(cls, contract: Contract, features: Features) -> Self:
        """Check conf/features against the contract and return the encoder.

        Raises FeatureError for an unknown column or function, a function given columns of
        another type or number or other arguments than it takes, or a derived name that is taken.
        """
        declared = contract.names("feature")
        if unknown := [name for name in features.exclude if name not in declared]:
            raise FeatureError(
                f"features.exclude names {', '.join(unknown)}, which is no feature of "
                f"conf/data/{contract.name}.yaml: choose from {', '.join(declared)}"
            )
        kept = [name for name in declared if name not in features.exclude]
        direct = tuple(n for n in kept if contract.columns[n].type not in INDIRECT)
        names, places = list(direct), []
        for name, derived in features.derived.items():
            columns = _check(name, derived, contract)
            if taken := [column for column in columns if column in names]:
                raise FeatureError(
                    f"features.derived.{name} has the name {taken[0]}, as a contract column or "
                    "another feature has: give it another"
                )
            wide = FUNCTIONS[derived.function].width is not None
            places.append(slice(len(names), len(names) + len(columns)) if wide else len(names))
            names += columns
        if not names:
            raise FeatureError(
                f"no feature is left for the model: conf/data/{contract.name}.yaml must declare "
                "one that is no datetime and no text, or conf/features derive one"
            )
        read = dict.fromkeys(direct)
        read |= dict.fromkeys(c for d in features.derived.values() for c in d.columns)
        for name, clean in features.cleaned.items():
            _check_cleaned(name, clean, contract, tuple(read))
        categorical = tuple(
            i for i, name in enumerate(direct) if contract.columns[name].type == "category"
        )
        seen = {c for d in features.derived.values() for c in d.columns} | set(features.cleaned)
        labels = {
            name: tuple(contract.columns[name].categories)
            for name in read
            if name in seen and contract.columns[name].type == "category"
        }
        asked = dict(features.derived), dict(features.cleaned)
        sizes = {names[i]: len(contract.columns[names[i]].categories) for i in categorical}
        return cls(
            tuple(read), tuple(names), categorical, direct, *asked, labels, sizes, tuple(places)
        )

    @property
    def features(self) -> dict[str, range]:
        """The positions in the matrix of each feature: several where one has several columns."""
        return grouped(self.names, self.derived)

    def private(self, contract: Contract) -> frozenset[str]:
        """Return the inputs, and the features of them, whose values may not leave."""
        hidden = {name for name in self.inputs if contract.is_private(name)}
        derived = {name for name, about in self.derived.items() if hidden & set(about.columns)}
        return frozenset(hidden | derived)

    def unshown(self, contract: Contract) -> frozenset[str]:
        """Return the private features of whose values none is declared by the contract itself."""
        columns = contract.columns
        return frozenset(
            name
            for name in self.private(contract)
            if name not in columns or columns[name].type not in DECLARED
        )

    def by_feature(self, matrix: np.ndarray) -> np.ndarray:
        """Return one column for each feature: the mean of its columns where it has several."""
        if not any(type(place) is slice for place in self.places):
            return matrix
        each = [matrix[:, places.start : places.stop] for places in self.features.values()]
        return np.column_stack([columns.mean(axis=1) for columns in each])

    def matrix(self, columns: Columns) -> np.ndarray:
        """Return the float32 matrix (rows, len(names)); missing is NaN, out of range too.

        Raises FeatureError where a function fails.
        """
        rows = len(columns[self.inputs[0]])
        if self.cleaned:
            columns = {**columns, **self._cleaned(columns)}
        encoded = np.empty((rows, len(self.names)), dtype=np.float32)
        with np.errstate(over="ignore"):
            for position, name in enumerate(self.direct):
                encoded[:, position] = columns[name]
        if self.labels:
            labelled = {name: self._labelled(name, columns[name]) for name in self.labels}
            columns = {**columns, **labelled}
        one: tuple[int, ...] = (rows,)
        for (name, derived), place in zip(self.derived.items(), self.places, strict=True):
            function = FUNCTIONS[derived.function].function
            values = [columns[column] for column in derived.columns]
            try:
                found = function(*values, **derived.arguments)
            except Exception as error:
                _failed(f"features.derived.{name}", derived.function, FEATURES, error)
            shape = (rows, place.stop - place.start) if isinstance(place, slice) else one
            if found.shape != shape:
                _misshapen(f"features.derived.{name}", derived.function, found, shape)
            encoded[:, place] = found
        encoded[np.isinf(encoded)] = np.nan
        return encoded

    def _labelled(self, name: str, codes: np.ndarray) -> np.ndarray:
        """Return the labels of codes: UNDECLARED for one past the last, None for a missing one."""
        labels = np.array([*self.labels[name], UNDECLARED, None], dtype=object)
        known = np.where(np.isnan(codes), len(labels) - 1, codes).astype(np.intp)
        return np.asarray(labels[known], dtype=object)

    def _cleaned(self, columns: Columns) -> dict[str, np.ndarray]:
        found = {}
        for name, clean in self.cleaned.items():
            function = cleanings()[clean.function]
            values = columns[name]
            places: dict[str, int] = {}
            if name in self.labels:
                values = self._labelled(name, values)
                places = {label: code for code, label in enumerate(self.labels[name])}
            try:
                found[name] = cleaned(function, values, clean.arguments, places)
            except Exception as error:
                _failed(f"features.cleaned.{name}", clean.function, CLEANING, error)
            if found[name].shape != values.shape:
                _misshapen(f"features.cleaned.{name}", clean.function, found[name], values.shape)
        return found


def grouped(names: Sequence[str], derived: Collection[str]) -> dict[str, range]:
    """Return the positions of each feature by the names of the columns: x_0 and x_1 are x's.

    `derived` are the features that may have several.
    """
    found: dict[str, range] = {}
    firsts = {f"{name}_0": name for name in derived if name not in names}
    wide, start = "", 0
    for at, column in enumerate(names):
        if column in firsts:
            wide, start = firsts[column], at
        elif column in derived or column != f"{wide}_{at - start}":
            wide, start = "", at
        found[wide or column] = range(start, at + 1)
    return found


def _check(name: str, derived: Derived, contract: Contract) -> list[str]:
    """Return the columns of one derived feature, or raise FeatureError where it has none."""
    where = f"features.derived.{name}"
    known = functions()
    if derived.function not in known:
        raise FeatureError(
            f"{where}: there is no feature function {derived.function!r}: choose from "
            f"{', '.join(known)}, or add it to src/project/features.py"
        )
    wanted = known[derived.function].kinds
    if len(derived.columns) != len(wanted):
        raise FeatureError(
            f"{where}: {derived.function} takes {len(wanted)} columns, not {len(derived.columns)}"
        )
    for column, kind in zip(derived.columns, wanted, strict=True):
        declared = contract.columns.get(column)
        if declared is not None and "ignored" in declared.roles:
            raise FeatureError(
                f"{where} reads {column}, which conf/data/{contract.name}.yaml sets to ignored: "
                "take out the feature, or that role"
            )
        if declared is None or UNUSABLE & set(declared.roles):
            usable = (n for n, c in contract.columns.items() if not UNUSABLE & set(c.roles))
            raise FeatureError(
                f"{where}: {column!r} is no usable column of conf/data/{contract.name}.yaml: "
                f"choose from {', '.join(usable)}"
            )
        if KINDS[declared.type] != kind:
            raise FeatureError(
                f"{where}: {derived.function} needs a {kind} and {column} is a {declared.type}"
            )
    _check_arguments(where, known[derived.function].function, derived.columns, derived.arguments)
    try:
        width = known[derived.function].columns(derived.arguments)
    except (TypeError, ValueError) as error:
        raise FeatureError(
            f"{where}: {derived.function} does not take this ({error}): correct `arguments`"
        ) from error
    return [name] if width is None else [f"{name}_{at}" for at in range(width)]


def _check_cleaned(name: str, clean: Cleaned, contract: Contract, read: tuple[str, ...]) -> None:
    """Raise FeatureError where one column cannot be cleaned as conf/features asks."""
    where = f"features.cleaned.{name}"
    if name not in read:
        raise FeatureError(
            f"{where} is no column that the features read: choose from {', '.join(read)}"
        )
    known = cleanings()
    if clean.function not in known:
        offered = f"choose from {', '.join(known)}, or " if known else ""
        raise FeatureError(
            f"{where}: there is no cleaning {clean.function!r}: {offered}add it to "
            "src/project/cleaning.py"
        )
    kind, wanted = KINDS[contract.columns[name].type], known[clean.function].kind
    if wanted != kind:
        raise FeatureError(f"{where}: {clean.function} cleans a {wanted} and {name} is a {kind}")
    _check_arguments(where, known[clean.function].function, [name], clean.arguments)


def _check_arguments(
    where: str, function: Callable[..., Any], columns: list[str], arguments: Mapping[str, Any]
) -> None:
    try:
        inspect.signature(function).bind(*columns, **arguments)
    except TypeError as error:
        raise FeatureError(
            f"{where}: {function.__name__} does not take this ({error}): correct `arguments`"
        ) from error


def _failed(where: str, function: str, module: str, error: Exception) -> NoReturn:
    """Say where a function failed without the error's message, which may quote a row."""
    raise FeatureError(
        f"{where}: {function} raised {type(error).__name__} at {owner.place(error, module)}: "
        "mend it there"
    ) from error


def _misshapen(where: str, function: str, found: np.ndarray, shape: tuple[int, ...]) -> NoReturn:
    wanted = f"{shape[1]} values" if len(shape) > 1 else "one value"
    raise FeatureError(
        f"{where}: {function} returned the shape {found.shape} for {shape[0]} rows: return "
        f"{wanted} for each"
    )
