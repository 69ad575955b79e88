"""The contract: every column of a row, declared once in conf/data/*.yaml."""

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from .errors import ProjectError
from .origins import Origin, Partition

Task = Literal["binary", "multiclass", "regression"]
Role = Literal["feature", "target", "id", "time", "group", "sensitive", "weight", "ignored"]
Type = Literal["number", "integer", "boolean", "category", "datetime", "text"]

MISSING = ("", "?", "-", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "#N/A")

RESERVED = "row_hash"
HIDDEN = "(not shown)"  # in place of a value that may not leave
DECLARED = ("boolean", "category")  # types whose values the contract itself has
UNNAMEABLE = re.compile(r'["\\\x00-\x1f]')  # what a name in JSON would have to escape


class ContractError(ProjectError):
    """The contract contradicts itself or what is asked of it."""


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One declared column.

    `role` is one role or a list of them: a sensitive column may also be a feature.
    `min` and `max` are inclusive bounds of a number or integer. `categories` are the allowed
    labels, as text, in the order that gives their codes. `format` is the strptime format of a
    datetime column read from text (ISO 8601 without it). A datetime or text that is a feature
    enters no matrix by itself: derived features read it.

    `missing` are texts and numbers that mean "no value" in this column, beside the source's.
    `units` lets a number be written with a unit, each with its factor, and with grouped digits:
    `{"%": 1}`, `{months: 1, years: 12}`, `{"": 1}` for grouped digits alone. `view` is the feature
    view whose values a column holds: no file of data/raw has it.
    """

    type: Type
    role: Role | list[Role] = "feature"
    nullable: bool = False
    unique: bool = False
    min: float | None = None
    max: float | None = None
    categories: list[str] = []
    format: str | None = None
    missing: list[str] = []
    units: dict[str, float] = {}
    description: str = ""
    owner: str = ""
    pii: bool = False
    reason: str = ""
    view: str = ""

    def __post_init__(self) -> None:
        if (self.type == "category") != bool(self.categories):
            raise ValueError("`categories` belongs to type category, which must list at least one")
        if len(set(self.categories)) != len(self.categories):
            raise ValueError("`categories` names a category twice")
        if self.type not in ("number", "integer") and (self.min, self.max) != (None, None):
            raise ValueError("`min` and `max` belong to the types number and integer")
        if self.type not in ("number", "integer") and self.units:
            raise ValueError("`units` belongs to the types number and integer")
        if not all(0 < factor < float("inf") for factor in self.units.values()):
            raise ValueError("`units` gives each unit a factor above 0")
        if self.missing and not self.nullable and "target" not in self.roles:
            raise ValueError("`missing` names what means no value: set `nullable: true` with it")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("`min` is above `max`")

    @property
    def roles(self) -> tuple[Role, ...]:
        """Every role of the column."""
        return tuple(self.role) if isinstance(self.role, list) else (self.role,)

    @property
    def identifies(self) -> bool:
        """Whether values are names and no quantities: an id or group, and nothing else."""
        return bool({"id", "group"} & set(self.roles)) and "feature" not in self.roles


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the files in data/raw are read.

    `header` names the columns of a file that has none. `missing` lists the texts that mean
    "no value"; `decimal` is the decimal mark of numbers in text. Rows without a target are
    refused, or with `unlabelled` `drop` set aside and counted. `reader` names a function of
    src/project/sources.py that reads data/raw instead. `mlops ingest` fills it from an `origin`, or
    with what the function `ingest` fetches: in one file, or by day where there is a `partition`.
    """

    format: Literal["parquet", "csv"] = "parquet"
    separator: str = ","
    encoding: str = "utf-8-sig"
    decimal: Literal[".", ","] = "."
    header: list[str] = []
    unlabelled: Literal["refuse", "drop"] = "refuse"
    reader: str | None = None
    ingest: str | None = None
    origin: Origin | None = None
    partition: Partition | None = None
    missing: list[str] = msgspec.field(default_factory=lambda: list(MISSING))

    def __post_init__(self) -> None:
        if self.ingest is not None and self.origin is not None:
            raise ValueError("`ingest` and `origin` both say where rows come from: give one")
        if self.partition is not None and self.ingest is None and self.origin is None:
            raise ValueError("`partition` is about fetched rows: give an `origin`, or `ingest`")

    @property
    def is_fetched(self) -> bool:
        """Whether `mlops ingest` brings the rows."""
        return self.ingest is not None or self.origin is not None


class Intervals(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What answers promise beside a prediction: an interval, or for classes a set of labels.

    They hold the truth in the share `coverage` of all rows; with `by`, the name of a category or
    boolean that a request tells, in that share of the rows with each of its labels.
    """

    coverage: float
    by: str | None = None

    def __post_init__(self) -> None:
        if not 0.5 <= self.coverage < 1:
            raise ValueError("`coverage` is a share from 0.5 to below 1")


class Declared:
    """Columns that one file declares: those of a contract, or of a table of events."""

    __slots__ = ()
    columns: dict[str, Column]
    source: Source
    restricted: bool

    @property
    def place(self) -> str:
        """The file that declares it."""
        raise NotImplementedError

    @property
    def zone(self) -> str:
        """The time zone of datetimes without an offset."""
        return "UTC"

    def kept(self) -> Iterator[tuple[str, Column]]:
        """Yield every column that is used for anything."""
        return ((n, c) for n, c in self.columns.items() if "ignored" not in c.roles)

    def is_private(self, name: str) -> bool:
        """Say whether no value of a column may leave: personal data, and all that is restricted.

        Labels and bounds that the file itself declares are no values of anybody.
        """
        return self.restricted or self.columns[name].pii

    def shown(self, name: str, value: object) -> str:
        """Return a value as messages and reports have it, which leave the machine."""
        return HIDDEN if self.is_private(name) else repr(str(value))


class Contract(
    Declared, msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The declared columns of one table, the task that its target sets, and what answers promise.

    A binary target is a boolean, or a category whose last label is the positive class. `licence`,
    `retention` and `purpose` say under what terms the table may be used; `restricted` that no value
    of it may leave: none is shown in a report, profile or log.
    """

    name: str
    task: Task
    columns: dict[str, Column]
    source: Source = Source()
    description: str = ""
    owner: str = ""
    licence: str = ""
    retention: str = ""
    purpose: str = ""
    restricted: bool = False
    intervals: Intervals | None = None

    def __post_init__(self) -> None:
        targets = self.names("target")
        if len(targets) != 1:
            raise ValueError(f"exactly one column needs the role target, not {len(targets)}")
        target = self.columns[targets[0]]
        if "feature" in target.roles:
            raise ValueError(f"the target {targets[0]!r} cannot also be a feature")
        if target.nullable:
            raise ValueError(f"the target {targets[0]!r} cannot be nullable")
        if self.task == "regression" and target.type not in ("number", "integer"):
            raise ValueError(f"task regression needs a number as target, not {target.type}")
        if self.task == "multiclass" and len(target.categories) < 3:
            raise ValueError("task multiclass needs a target with three or more categories")
        if self.task == "binary" and target.type != "boolean" and len(target.categories) != 2:
            raise ValueError("task binary needs a boolean target or one with two categories")
        if not self.names("feature"):
            raise ValueError("no column has the role feature")
        if odd := [n for n in self.names("feature") if UNNAMEABLE.search(n)]:
            raise ValueError(
                f"no request can have a field {odd[0]!r}: rename that column in the table, without "
                "quotes, backslashes and control characters"
            )
        if RESERVED in dict(self.kept()):
            raise ValueError(
                f"{RESERVED!r} is what the prepared rows call a column of their own: rename that "
                "column in the table, or give it the role ignored"
            )
        for role in ("time", "weight"):
            if len(self.names(role)) > 1:
                raise ValueError(f"only one column can have the role {role}")
        if weight := self.weight:
            _check_weight(weight, self.columns[weight])
        if self.intervals is not None and self.intervals.by is not None:
            _check_by(self.intervals.by, self.columns.get(self.intervals.by))

    def names(self, role: Role) -> tuple[str, ...]:
        """Return the columns with this role, in declared order."""
        return tuple(name for name, column in self.columns.items() if role in column.roles)

    @property
    def place(self) -> str:
        """The file that declares it."""
        return f"conf/data/{self.name}.yaml"

    @property
    def target(self) -> str:
        """The name of the target column."""
        return self.names("target")[0]

    @property
    def time(self) -> str | None:
        """The name of the time column, where there is one."""
        return next(iter(self.names("time")), None)

    @property
    def weight(self) -> str | None:
        """The name of the column that weighs the training rows, where there is one."""
        return next(iter(self.names("weight")), None)

    @property
    def labels(self) -> tuple[str, ...]:
        """The class labels in the order of their codes; empty for regression."""
        if self.task == "regression":
            return ()
        return self.labels_of(self.target)

    def labels_of(self, name: str) -> tuple[str, ...]:
        """The labels of a category or boolean column in the order of their codes."""
        return tuple(self.columns[name].categories) or ("false", "true")


def _check_weight(name: str, column: Column) -> None:
    """Raise ValueError for a weight that may be missing, negative or seen by the model."""
    known = column.type in ("number", "integer") and not column.nullable
    if not known or column.min is None or column.min < 0:
        raise ValueError(
            f"the weight {name!r} must be a number that is never missing, with `min: 0` or more"
        )
    if "feature" in column.roles:
        raise ValueError(f"the weight {name!r} cannot also be a feature")


def _check_by(name: str, column: Column | None) -> None:
    """Raise ValueError for a column by which intervals cannot differ."""
    kinds = ("category", "boolean")
    if column is None or "feature" not in column.roles or column.type not in kinds:
        raise ValueError(
            f"`intervals.by` names {name!r}: name a feature of type category or boolean"
        )
