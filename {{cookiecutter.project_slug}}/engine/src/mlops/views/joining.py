"""The views of an experiment as columns of its label rows, for `prepare`."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import pyarrow as pa
from msgspec.structs import replace

from ..config.settings import ConfigError, Settings
from ..config.views import View
from ..contract import Contract
from ..data.arrays import plain
from ..files import sha256, sha256_of
from .join import Joining
from .partitions import Partition, digest, needed, partitions
from .values import KNOWN_TIME

ROOM = Path(__file__).parent
# What values are computed by; the room of the data is in every key.
CODE = (
    *("views/entities.py", "views/expressions.py", "views/functions.py", "views/history.py"),
    *("views/join.py", "views/joining.py", "views/partitions.py", "views/scan.py"),
    *("views/tables.py", "views/values.py"),
    *("config/views.py", "features/aggregates.py"),
)
OWN = Path("src/project/features.py")
PROSE: dict[str, Any] = {"description": "", "owner": ""}


class Part(Protocol):
    """What is known of some label rows: the earliest and the latest of their moments."""

    @property
    def first(self) -> np.datetime64 | None: ...

    @property
    def last(self) -> np.datetime64 | None: ...


class ViewJoins(Joining):
    """Looks the views of a contract's features up for its rows, at the time of each row.

    Raises ConfigError where the contract has no time.
    """

    def __init__(self, contract: Contract, views: Mapping[str, View], root: Path = Path()) -> None:
        if contract.time is None:
            raise ConfigError(
                f"{contract.place} has no column of role time, and a feature view says what was "
                "known at one: give a datetime that role, or take `views` out of conf/features"
            )
        super().__init__(root)
        self._time, self._views = contract.time, views
        self._digests: dict[Path, str] = {}

    @property
    def reads(self) -> list[str]:
        """The columns of the contract that it looks at: entities and the time."""
        entities = [column for view in self._views.values() for column in view.entity.values()]
        return list(dict.fromkeys([*entities, self._time]))

    @property
    def files(self) -> list[dict[str, str]]:
        """The name in the project and the SHA-256 of every file of the views' tables."""
        every = {one.path for files in self._files.values() for one in files}
        return [
            {"name": path.relative_to(self._root).as_posix(), "sha256": self._digest(path)}
            for path in sorted(every)
        ]

    def key(self, part: Part) -> str:
        """Return a digest of all that a part's values hang on: views, code, and files of tables."""
        if part.first is None or part.last is None:
            return ""
        chosen = (
            digest(needed(self._files[name], view, part.first, part.last), self._digest)
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

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            self._digests[path] = sha256(path)
        return self._digests[path]

    @cached_property
    def _files(self) -> dict[str, list[Partition]]:
        return {name: partitions(view.table, self._root) for name, view in self._views.items()}

    @cached_property
    def _base(self) -> str:
        code = [sha256(ROOM.parent / name) for name in CODE]
        if any(f.function for view in self._views.values() for f in view.features.values()):
            code.append(sha256(self._root / OWN))
        what = {name: _meaning(view) for name, view in self._views.items()}
        parts = {"views": what, "code": code, "duckdb": version("duckdb")}
        return sha256_of(msgspec.json.encode(parts).decode())


def joined(settings: Settings, root: Path = Path()) -> AbstractContextManager[ViewJoins | None]:
    """Open the views of an experiment; None where it has none."""
    views = settings.features.views
    return ViewJoins(settings.data, views, root) if views else nullcontext()


def _meaning(view: View) -> View:
    """Return a view without what changes none of its values."""
    features = {name: replace(one, **PROSE) for name, one in view.features.items()}
    columns = {name: replace(one, **PROSE) for name, one in view.table.columns.items()}
    table = replace(view.table, columns=columns, **PROSE, licence="", retention="", purpose="")
    return replace(view, table=table, features=features, online=False, freshness=None, **PROSE)
