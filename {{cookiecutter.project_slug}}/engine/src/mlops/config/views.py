"""Tables of events, and the feature views that say what of them was known about an entity.

conf/tables/NAME.yaml declares a table, conf/feature_views/NAME.yaml a view of one. The choice of
conf/features names the views of an experiment; resolved.yaml holds each with its table, and the
contract their features as columns.
"""

import re
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..contract import Column, Declared, Source, Type
from ..origins import check_zone

DATA = Path("data/tables")
UNITS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}  # seconds
_SPAN = re.compile(r"([0-9]+) (minute|hour|day|week)s?")

# The types that a feature can have which is the latest value of a column of a type.
READABLE: dict[str, tuple[Type, ...]] = {
    "number": ("number", "integer"),
    "integer": ("integer", "number"),
    "boolean": ("boolean", "number", "integer"),
    "datetime": ("datetime",),
    "category": ("category", "text"),
    "text": ("text", "category"),
}

Stale = Literal["null", "refuse", "default"]


def seconds(span: str) -> int:
    """Return a span of time like `30 days` in seconds; raise ValueError for another text."""
    found = _SPAN.fullmatch(span)
    if found is None:
        raise ValueError(f"{span!r} is no span of time: write it like `30 days` or `12 hours`")
    return int(found[1]) * UNITS[found[2]]


class Table(Declared, msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One table of events below data/tables/NAME: whose they are, when they were, when known.

    `keys` are the columns that name the entity; a row happened at `event_time` and was known at
    `known_time`, or `lag` after the event. Of rows with the same event time, the one that is last
    by `tie_break` is the newest. Datetimes without an offset are in `time_zone`. Partitions by day
    may hold rows that were known up to `lateness` before that day.
    """

    name: str
    keys: list[str]
    event_time: str
    columns: dict[str, Column]
    known_time: str | None = None
    lag: str | None = None
    tie_break: list[str] = []
    time_zone: str = "UTC"
    lateness: str = "0 days"
    source: Source = Source()
    description: str = ""
    owner: str = ""
    licence: str = ""
    retention: str = ""
    purpose: str = ""
    restricted: bool = False

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("`keys` names at least one column")
        if (self.known_time is None) == (self.lag is None):
            raise ValueError(
                "give `known_time`, the column that says when a row was known, or `lag`, how long "
                "after the event that is (`0 days` for at once)"
            )
        named = [*self.keys, *self.times, *self.tie_break]
        if unknown := [name for name in named if name not in dict(self.kept())]:
            raise ValueError(f"{unknown[0]!r} is no column: declare it in `columns`")
        if odd := [name for name in self.times if self.columns[name].type != "datetime"]:
            raise ValueError(f"{odd[0]!r} says when: declare it as a datetime")
        for span in (self.lag, self.lateness):
            seconds(span or "0 days")
        never = [*self.keys, *self.times]
        if loose := [name for name in never if self.columns[name].nullable]:
            raise ValueError(f"{loose[0]!r} is never missing: take `nullable` away")
        if len({name.lower() for name in self.columns}) < len(self.columns):
            raise ValueError("two of `columns` differ in nothing but case: rename one of them")
        check_zone(self.time_zone)

    @property
    def times(self) -> list[str]:
        """The columns that say when: the event, and where there is one, when that was known."""
        return [self.event_time, *filter(None, [self.known_time])]

    @property
    def folder(self) -> Path:
        """Where the table's files are."""
        return DATA / self.name

    @property
    def place(self) -> str:
        """The file that declares it."""
        return f"conf/tables/{self.name}.yaml"

    @property
    def zone(self) -> str:
        """The time zone of datetimes without an offset."""
        return self.time_zone


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One feature of a view, and the column of the contract that it becomes.

    It is `latest`, the value of a column in the newest row; `sql`, an aggregate of the rows, like
    `sum(amount)` or `count(*) filter (where channel = 'app')`; or `function`, an aggregate of
    src/project/features.py over `columns`. Each is over the rows of the last `window`, by default
    of the view's ttl. `default` is the value where there is no row; without it that is missing.
    """

    type: Type
    latest: str | None = None
    sql: str | None = None
    function: str | None = None
    columns: list[str] = []
    arguments: dict[str, Any] = {}
    window: str | None = None
    default: float | bool | str | None = None
    min: float | None = None
    max: float | None = None
    categories: list[str] = []
    description: str = ""
    owner: str = ""

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.latest, self.sql, self.function)) != 1:
            raise ValueError("give one of `latest`, `sql` and `function`")
        if bool(self.columns) != (self.function is not None):
            raise ValueError("`columns` are what `function` reads: give both or neither")
        if self.window is not None:
            seconds(self.window)
        if self.default is not None and not self._suits(self.default):
            raise ValueError(f"`default` is {self.default!r}, which is no {self.type}")

    def _suits(self, value: float | bool | str) -> bool:
        """Say whether a value is of the feature's type."""
        match self.type:
            case "number" | "integer":
                if isinstance(value, bool | str):
                    return False
                return self.type == "number" or float(value).is_integer()
            case "boolean":
                return isinstance(value, bool)
            case "category":
                return value in self.categories
            case _:
                return isinstance(value, str) and self.type == "text"


class View(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What of a table was known about an entity at a moment: one value a feature.

    `entity` maps each key of the table to the contract's column that names the entity in a row.
    Rows older than `ttl` count for nothing. With `online`, `mlops materialise` keeps the newest
    values for the server; those computed longer ago than `freshness` are `stale`: null, refuse, or
    default.
    """

    name: str
    table: Table
    entity: dict[str, str]
    ttl: str
    features: dict[str, Feature]
    online: bool = False
    freshness: str | None = None
    stale: Stale = "null"
    description: str = ""
    owner: str = ""

    def __post_init__(self) -> None:
        seconds(self.ttl)
        if self.freshness is not None:
            seconds(self.freshness)
        if set(self.entity) != set(self.table.keys):
            keys = ", ".join(self.table.keys)
            raise ValueError(f"`entity` maps each key of {self.table.name} ({keys}) to a column")
        if not self.features:
            raise ValueError("`features` names at least one")
        for name, feature in self.features.items():
            read = [*feature.columns, *filter(None, [feature.latest])]
            known = dict(self.table.kept())
            if unknown := [column for column in read if column not in known]:
                raise ValueError(f"{name} reads {unknown[0]!r}, no column of {self.table.name}")
            kind = feature.latest and self.table.columns[feature.latest].type
            if kind is not None and feature.type not in READABLE[kind]:
                raise ValueError(f"{name} is a {feature.type}, and {feature.latest} a {kind}")
            if feature.window is not None and seconds(feature.window) > seconds(self.ttl):
                raise ValueError(f"{name} looks back {feature.window}, beyond `ttl`, {self.ttl}")

    def is_private(self, name: str) -> bool:
        """Say whether a feature is made of values that may not leave.

        An expression counts as reading each column whose name stands in it.
        """
        feature, table = self.features[name], self.table
        text = feature.sql or ""
        read = {*feature.columns, *filter(None, [feature.latest])}
        read |= {one for one in table.columns if re.search(rf"\b{re.escape(one)}\b", text, re.I)}
        return table.restricted or any(table.columns[one].pii for one in read)

    def column(self, name: str) -> dict[str, Any]:
        """Return the contract's column for a feature, as conf/data would declare it."""
        feature = self.features[name]
        said = {
            "type": feature.type,
            "nullable": True,
            "min": feature.min,
            "max": feature.max,
            "categories": feature.categories,
            "description": feature.description,
            "owner": feature.owner or self.owner,
            "view": self.name,
        }
        if self.is_private(name):
            said |= {"pii": True, "reason": feature.description or self.description}
        return {key: value for key, value in said.items() if value not in (None, [], "")}
