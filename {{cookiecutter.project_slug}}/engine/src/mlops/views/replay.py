"""Logged requests computed again: whether a server used what the views said at that time."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..config.views import View
from ..contract import Contract
from ..data.arrays import plain, same
from ..errors import ProjectError
from ..log_layout import FEATURES, stored
from ..progress import progress
from .entities import KEYS
from .join import Join
from .online import hidden_text, key, names_persons

AS_OF, OF = FEATURES
WHERE = ("request_id", "row")
MOMENT = np.dtype("datetime64[us]")

Hashed = Callable[[bytes], str]


class ReplayError(ProjectError):
    """The log cannot be computed again."""


@dataclass
class Compared:
    """One feature: how many values were compared, how many differ, and an example of those."""

    rows: int = 0
    differing: int = 0
    example: str = ""


@dataclass
class Replayed:
    """What a replay found of each feature; `unread` rows name an entity by another secret's hash.

    `unrecorded` are the features whose values the log does not hold, as they are personal data.
    """

    features: dict[str, Compared] = field(default_factory=dict)
    unread: int = 0
    unrecorded: list[str] = field(default_factory=list)

    @property
    def differing(self) -> list[str]:
        """The features of which a value differs."""
        return [name for name, one in self.features.items() if one.differing]


def replay(
    files: Iterable[Path],
    contract: Contract,
    views: Mapping[str, View],
    hashed: Hashed | None = None,
    root: Path = Path(),
) -> Replayed:
    """Compute what the views said of each logged row's entity when its values were known.

    `files` are the log's predictions of one bundle, `views` and `contract` that bundle's. Values
    are compared to the last bit. `hashed` is how the log names entities that are personal data.
    Rows whose values were not taken from the store are left out. Raises ReplayError where no file
    has looked anything up.
    """
    found = Replayed()
    found.unrecorded = [
        name for view in views.values() for name in view.features if contract.is_private(name)
    ]
    features = [stored(name) for view in views.values() for name in view.features]
    seen = False
    with Join(root) as join:
        people = _Entities(join, hashed)
        for path in progress([*files], "replay", unit="file"):
            with pq.ParquetFile(path) as file:
                there = file.schema_arrow.names
                if AS_OF not in there:
                    continue
                table = file.read([n for n in (*WHERE, *FEATURES, *features) if n in there])
            for name in (field.name for field in table.schema.field(AS_OF).type):
                if name in views:
                    seen = True
                    _compare(table, views[name], contract, people, join, found)
    if not seen:
        raise ReplayError(
            "no logged request looked a feature up: name the log of a server that was given an "
            "online store, and the bundle that it served with --bundle"
        )
    return found


class _Entities:
    """The entities of views by the hash that the log has of them."""

    def __init__(self, join: Join, hashed: Hashed | None) -> None:
        self.hashed, self._join = hashed, join
        self._known: dict[str, tuple[np.datetime64, dict[str, tuple[Any, ...]]]] = {}

    def named(self, view: View, names: list[str], until: np.datetime64) -> list[tuple[Any, ...]]:
        """Return the keys of entities; of whom nothing was known until then has none."""
        assert self.hashed is not None
        if view.name not in self._known or self._known[view.name][0] < until:
            rows = self._join.entities(view, until)
            columns = [rows.column(name).to_pylist() for name in view.table.keys]
            every = zip(*columns, strict=True)
            hashes = {hidden_text(key(one), self.hashed): one for one in every}
            self._known[view.name] = until, hashes
        known, nobody = self._known[view.name][1], (None,) * len(view.table.keys)
        return [known.get(name, nobody) for name in names]


def _compare(
    table: pa.Table,
    view: View,
    contract: Contract,
    people: _Entities,
    join: Join,
    found: Replayed,
) -> None:
    """Compare the rows of one file whose values of a view came from the store."""
    at, of = (pc.struct_field(table.column(name), view.name) for name in (AS_OF, OF))
    used = pc.and_(at.is_valid(), of.is_valid())
    if not pc.any(used).as_py():
        return
    names = of.filter(used).to_pylist()
    moments = plain(at.filter(used), MOMENT, "NaT")
    if names_persons(view, contract):
        if people.hashed is None:
            found.unread += len(names)
            return
        entities = people.named(view, names, moments.max())
    else:
        entities = [tuple(msgspec.json.decode(name)) for name in names]
    keys = pa.table(
        {
            name: pa.array(values, KEYS[view.table.columns[name].type])
            for name, values in zip(view.table.keys, zip(*entities, strict=True), strict=True)
        }
    )
    computed = join.values_at(view, keys, moments)
    where = table.select(WHERE).filter(used)
    for name in view.features:
        if stored(name) not in table.column_names or contract.is_private(name):
            continue
        logged, own = table.column(stored(name)).filter(used), computed.column(name)
        differs = ~same(logged, own)
        one = found.features.setdefault(name, Compared())
        one.rows += len(differs)
        one.differing += int(differs.sum())
        if not one.example and differs.any():
            place = int(differs.argmax())
            request, row = (where.column(part)[place].as_py() for part in WHERE)
            was, now = (repr(side[place].as_py()) for side in (logged, own))
            one.example = f"request {request} row {row}: {was} was used, {now} is computed"
