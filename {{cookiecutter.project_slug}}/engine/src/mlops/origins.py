"""Where rows come from and how they are kept by day: `source.origin` and `source.partition`.

Declarations alone, so that a server can read a contract: what reads from an origin is in
`ingestion`. No value of a credential stands here, only the name of the variable that has it.
"""

import re
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec

DAY = "{day}"  # in a glob: a day like 2026-01-31, which the window chooses by
SINCE, UNTIL = "{since}", "{until}"  # in an address: the first day asked for, the first one not
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PARAMETER = re.compile(r"(?<![:\w]):(since|until)\b")  # in a query; `::date` is a cast


class _Origin(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
):
    @property
    def is_bounded(self) -> bool:
        """Whether the origin can be asked for some days alone."""
        return True


class _Globbed(_Origin, frozen=True):
    glob: str

    @property
    def is_bounded(self) -> bool:
        """Whether the glob says where a day stands."""
        return DAY in self.glob


class Files(_Globbed, frozen=True, tag="files"):
    """Files of this machine by a glob, like /mnt/drop/*.csv; `{day}` in it stands for a day."""


class Bucket(_Globbed, frozen=True, tag="bucket"):
    """Objects by a glob that fsspec understands, like s3://shop/orders/day={day}/*.parquet.

    `options_env` names the variable with fsspec's options as JSON, where the usual ones of the
    store (AWS_ACCESS_KEY_ID …) are not enough.
    """

    options_env: str | None = None

    def __post_init__(self) -> None:
        if "://" not in self.glob:
            raise ValueError("`glob` of a bucket begins like s3://: use kind files for a folder")
        _check_address("glob", self.glob, "options_env")
        _check_variable("options_env", self.options_env)


class Sql(_Origin, frozen=True, tag="sql"):
    """A query, by SQLAlchemy: `:since` and `:until` in it are the window's days, as parameters.

    `url_env` names the variable with the database's URL; `url` itself is for one without password.
    """

    query: str
    url: str | None = None
    url_env: str | None = None

    def __post_init__(self) -> None:
        _check_place(self.url, self.url_env)

    @property
    def is_bounded(self) -> bool:
        """Whether the origin can be asked for some days alone."""
        return PARAMETER.search(self.query) is not None


class Pages(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How an API goes on: at the address at the path `next`, or by counting up a `parameter`.

    A counted page without a record is the last; `next` ends where it is missing.
    """

    next: str | None = None
    parameter: str | None = None
    start: int = 1

    def __post_init__(self) -> None:
        if (self.next is None) == (self.parameter is None):
            raise ValueError("give `next`, where an answer names the next page, or `parameter`")


class Http(_Origin, frozen=True, tag="http"):
    """An API: `{since}` and `{until}` in `url` or `parameters` are the window's days.

    An answer is `json`, whose list of records is at the path `records` (like data.items, by
    default the whole), `jsonl` or `csv`. `headers_env` maps a header to the variable with its
    value.
    """

    url: str | None = None
    url_env: str | None = None
    format: Literal["json", "jsonl", "csv"] = "json"
    records: str = ""
    pages: Pages | None = None
    parameters: dict[str, str] = {}
    headers: dict[str, str] = {}
    headers_env: dict[str, str] = {}
    timeout: float = 60.0  # seconds, of each request

    def __post_init__(self) -> None:
        _check_place(self.url, self.url_env)
        for name in self.headers_env.values():
            _check_variable("headers_env", name)
        secret = {"authorization", "proxy-authorization", "cookie", "x-api-key"}
        if odd := [name for name in self.headers if name.lower() in secret]:
            raise ValueError(f"`headers` holds {odd[0]}: name a variable in `headers_env` instead")
        if self.format != "json" and (self.records or (self.pages and self.pages.next)):
            raise ValueError("`records` and `pages.next` are paths in json")

    @property
    def is_bounded(self) -> bool:
        """Whether the origin can be asked for some days alone."""
        asked = (self.url or "", *self.parameters.values())
        return any(SINCE in text or UNTIL in text for text in asked)


class Delta(_Origin, frozen=True, tag="delta"):
    """A Delta table at a path or URL, at its newest `version` or a pinned one."""

    url: str
    version: int | None = None
    options_env: str | None = None

    def __post_init__(self) -> None:
        _check_address("url", self.url, "options_env")
        _check_variable("options_env", self.options_env)


class Iceberg(_Origin, frozen=True, tag="iceberg"):
    """An Iceberg table of a catalogue, at its newest `snapshot` or a pinned one.

    `properties_env` names the variable with the catalogue's properties as JSON; without it,
    .pyiceberg.yaml has them under the name `catalog`.
    """

    table: str
    catalog: str = "default"
    snapshot: int | None = None
    properties_env: str | None = None

    def __post_init__(self) -> None:
        _check_variable("properties_env", self.properties_env)


Origin = Files | Bucket | Sql | Http | Delta | Iceberg


class Partition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How fetched rows are kept: a folder for each day of the datetime `by`.

    Rows that come again are known by `key`; of those, the highest `version` stands. A row in which
    the column `deleted` is true deletes. `complete` says that a day without rows has none. Days
    are those of `time_zone`, by default the table's, or UTC. A run that is not told since when
    asks from `lookback_days` before the newest day on.
    """

    by: str
    key: list[str] = []
    version: str | None = None
    deleted: str | None = None
    complete: bool = False
    time_zone: str = ""
    lookback_days: int = 0

    def __post_init__(self) -> None:
        if not self.key and (self.version or self.deleted):
            raise ValueError("`version` and `deleted` are about rows that come again: name `key`")
        if self.lookback_days < 0:
            raise ValueError("`lookback_days` is 0 or more")
        if self.time_zone:
            check_zone(self.time_zone)


def check_zone(name: str) -> None:
    """Raise ValueError for what is no time zone, where there is a database of them.

    An image may have none: whoever reads the rows has some.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        if available_timezones():
            raise ValueError(f"{name!r} is no time zone: name one like Europe/Berlin") from error


def _check_place(url: str | None, variable: str | None) -> None:
    if (url is None) == (variable is None):
        raise ValueError("give `url`, or `url_env`, the variable that has it")
    _check_variable("url_env", variable)
    if url is not None:
        _check_address("url", url, "url_env")


def _check_address(key: str, address: str, variable: str) -> None:
    """Raise ValueError for an address with a password: conf/ is for everybody to read."""
    try:
        password = urlsplit(address).password
    except ValueError:  # a host in brackets that is none
        password = None
    if password is not None:
        raise ValueError(f"`{key}` holds a password: put it where `{variable}` names a variable")


def _check_variable(key: str, name: str | None) -> None:
    if name is not None and not VARIABLE.fullmatch(name):
        raise ValueError(f"`{key}` is the name of a variable like ORDERS_URL, not {name!r}")
