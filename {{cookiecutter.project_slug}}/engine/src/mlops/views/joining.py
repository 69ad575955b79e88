"""The views of an experiment as columns of its label rows, for `prepare`."""

from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec
import numpy as np
import pyarrow as pa
from msgspec.structs import replace

from ..config.settings import ConfigError
from ..config.views import View
from ..contract import Contract
from ..data.arrays import plain
from ..files import sha256, sha256_of, tree_sha256
from .join import KNOWN_TIME, Join
from .partitions import Partition, digest, needed, partitions

ROOM = Path(__file__).parent
CODE = ("features/aggregates.py",)  # beside this room and that of the data
OWN = Path("src/project/features.py")
PROSE: dict[str, Any] = {"description": "", "owner": ""}


class Part(Protocol):
    """What is known of some label rows: the earliest and the latest of their moments."""

    @property
    def first(self) -> np.datetime64 | None: ...

    @property
    def last(self) -> np.datetime64 | None: ...


class ViewJoins:
    """Looks the views of a contract's features up for its rows, at the time of each row.

    Raises ConfigError where the contract has no time.
    """

    def __init__(self, contract: Contract, views: Mapping[str, View], root: Path = Path()) -> None:
        if contract.time is None:
            raise ConfigError(
                f"{contract.place} has no column of role time, and a feature view says what was "
                "known at one: give a datetime that role, or take `views` out of conf/features"
            )
        self._time, self._views, self._root = contract.time, views, root
        self._join = Join(root)
        self._digests: dict[Path, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._join.__exit__(kind, error, trace)

    @property
    def reads(self) -> list[str]:
        """The columns of the contract that it looks at: entities and the time."""
        entities = [column for view in self._views.values() for column in view.entity.values()]
        return list(dict.fromkeys([*entities, self._time]))

    def key(self, part: Part) -> str:
        """Return a digest of all that a part's values hang on: views, code, and files of tables."""
        if part.first is None or part.last is None:
            return ""
        chosen = (
            digest(needed(self._files[name], view, part.first, part.last), self._digests)
            for name, view in self._views.items()
        )
        return sha256_of("\0".join([self._base, *chosen]))

    def columns(self, rows: pa.Table) -> dict[str, pa.Array]:
        """Return the features of every view for some label rows, in their order."""
        times = rows.column(self._time)
        at = plain(times.cast(pa.timestamp("us")), np.dtype("datetime64[us]"), "NaT")
        found: dict[str, pa.Array] = {}
        for view in self._views.values():
            entities = pa.table({key: rows.column(name) for key, name in view.entity.items()})
            values = self._join.values_at(view, entities, at).drop_columns([KNOWN_TIME])
            found |= {name: values.column(name).combine_chunks() for name in values.column_names}
        return found

    @cached_property
    def _files(self) -> dict[str, list[Partition]]:
        return {name: partitions(view.table, self._root) for name, view in self._views.items()}

    @cached_property
    def _base(self) -> str:
        code = [tree_sha256(ROOM), *(sha256(ROOM.parent / name) for name in CODE)]
        if any(f.function for view in self._views.values() for f in view.features.values()):
            code.append(sha256(self._root / OWN))
        what = {name: _meaning(view) for name, view in self._views.items()}
        parts = {"views": what, "code": code, "duckdb": version("duckdb")}
        return sha256_of(msgspec.json.encode(parts).decode())


def lineage(views: Mapping[str, View], root: Path = Path()) -> list[dict[str, str]]:
    """Return the name and digest of every file that the tables of views are, for a bundle."""
    tables = {view.table.name: view.table for view in views.values()}
    return [
        {"name": one.path.relative_to(root).as_posix(), "sha256": sha256(one.path)}
        for name in sorted(tables)
        for one in partitions(tables[name], root)
    ]


def _meaning(view: View) -> View:
    """Return a view without what changes none of its values."""
    features = {name: replace(one, **PROSE) for name, one in view.features.items()}
    columns = {name: replace(one, **PROSE) for name, one in view.table.columns.items()}
    table = replace(view.table, columns=columns, **PROSE, licence="", retention="", purpose="")
    return replace(view, table=table, features=features, online=False, freshness=None, **PROSE)
