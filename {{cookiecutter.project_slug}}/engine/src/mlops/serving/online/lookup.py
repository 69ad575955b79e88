"""From rows as a request has them, with keys of entities, to rows as the model needs them."""

from collections.abc import Callable, Mapping, Sequence
from operator import add, itemgetter
from time import time
from typing import Any, NamedTuple, Self

import msgspec

from ...config.views import View, seconds
from ...contract import Column, Contract
from ...views.online import (
    EPOCH,
    MICROSECOND,
    OnlineError,
    Values,
    key,
    key_columns,
    kinds_of,
    names_persons,
    table_name,
)
from ..problem import Problem
from .online import Found, Keys, Online

RETRY = {"retry-after": "1"}
astuple = msgspec.structs.astuple
encode = msgspec.json.encode


class Looked(NamedTuple):
    """What was looked up for rows, each a tuple with one item a view.

    `as_of` is the time that the values are known for (microseconds since 1970), `stale` whether
    that is too long ago; where none is used of the store, `used` has none. `keys` name the
    entities. `at` is when it was asked, in seconds since 1970.
    """

    at: float
    keys: Sequence[tuple[bytes, ...]]
    as_of: Sequence[tuple[int | None, ...]]
    stale: Sequence[tuple[bool, ...]]

    @property
    def used(self) -> list[tuple[int | None, ...]]:
        """The times of the values that stand in the rows; none where a view's rule put others."""
        return [
            tuple(None if stale else as_of for as_of, stale in zip(times, marks, strict=True))
            if True in marks
            else times
            for times, marks in zip(self.as_of, self.stale, strict=True)
        ]

    def part(self, start: int, end: int) -> "Looked":
        """Return what was looked up for some of the rows."""
        rows = slice(start, end)
        return Looked(self.at, self.keys[rows], self.as_of[rows], self.stale[rows])


class _View(NamedTuple):
    """One view that is looked up."""

    name: str
    table: str
    view: View
    values: Values
    take: Any  # of a row's request, the parts of the key
    single: bool
    fresh: int | None  # microseconds
    instead: tuple[Any, ...]  # of stale values


class Lookup:
    """What a bundle needs of a store; it never changes.

    `asked` are the columns that a request has: all that the model reads but those that are looked
    up, and those that name the entities. `tables` are those of the store that are read; `private`
    says of each view whether these are personal data.
    """

    def __init__(
        self, online: Online, contract: Contract, inputs: Sequence[str], views: Mapping[str, View]
    ) -> None:
        self.online = online
        read = set(inputs)
        chosen = {n: v for n, v in views.items() if v.online and read & set(v.features)}
        stored = {feature: v for v in chosen.values() for feature in v.features}
        own = [name for name in inputs if name not in stored]
        keys = [column for v in chosen.values() for column in key_columns(v).values()]
        self.stored = tuple(stored)
        self.asked = tuple(dict.fromkeys([*own, *keys]))
        self.names = tuple(chosen)
        self.private = tuple(names_persons(view, contract) for view in chosen.values())
        self.keys = tuple(dict.fromkeys(keys))
        self._views = [self._of(name, view, contract) for name, view in chosen.items()]
        self.tables = tuple(one.table for one in self._views)
        online.check(chosen.values())
        places = [*self.asked, *stored]
        self._arranged = _arranged([places.index(name) for name in inputs])
        self._moment: tuple[int | None, bytes] = (None, b"null")
        self._said: tuple[Any, bytes] = (None, b"")

    @classmethod
    def find(
        cls,
        online: Online | None,
        contract: Contract,
        inputs: Sequence[str],
        views: Mapping[str, View],
    ) -> Self | None:
        """Return the look-up of a bundle; None where it needs none, or the server has no store."""
        if online is None:
            return None
        found = cls(online, contract, inputs, views)
        return found if found.names else None

    def requested(self, rows: Sequence[Any]) -> Keys:
        """Return the keys of rows as a request has them, for each view."""
        values = [*map(astuple, rows)]
        return [
            (
                one.table,
                [key((one.take(row),)) for row in values]
                if one.single
                else [key(one.take(row)) for row in values],
            )
            for one in self._views
        ]

    def filled(
        self, rows: Sequence[Any], keys: Keys, found: Found
    ) -> tuple[list[tuple[Any, ...]], Looked]:
        """Return the values of each row in the order of the model's inputs, and what is known.

        Raises Problem 503 where the values of a view are stale that refuses such.
        """
        now = time()
        moment = int(now * 1e6)
        width = len(self.asked)
        values = [astuple(row)[:width] for row in rows]
        as_of, stale = [], []
        for one, snapshot in zip(self._views, found, strict=True):
            of_view, times, marks = self._values(one, snapshot, len(rows), moment)
            values = [*map(add, values, of_view)]
            as_of.append(times)
            stale.append(marks)
        names = [of_table for _, of_table in keys]
        by_row = (zip(*columns, strict=True) for columns in (names, as_of, stale))
        return [*map(self._arranged, values)], Looked(now, *map(list, by_row))

    def said(self, looked: Looked) -> list[bytes]:
        """Return what an answer says of each row's features, as JSON."""
        items = []
        for both in zip(looked.as_of, looked.stale, strict=True):
            # What was looked up together was so at one time, and most of it is as old.
            known, item = self._said
            if known != (looked.at, both):
                item = self._of_row(int(looked.at * 1e6), *both)
                self._said = (looked.at, both), item
            items.append(item)
        return items

    def _of_row(self, now: int, times: Sequence[int | None], marks: Sequence[bool]) -> bytes:
        parts = []
        for name, as_of, stale in zip(self.names, times, marks, strict=True):
            age = b"null" if as_of is None else b"%.3f" % (max(0, now - as_of) / 1e6)
            mark = b"true" if stale else b"false"
            parts.append(
                b'%b:{"as_of":%b,"age_seconds":%b,"stale":%b}'
                % (encode(name), self._iso(as_of), age, mark)
            )
        return b'"features":{%b}' % b",".join(parts)

    def _iso(self, as_of: int | None) -> bytes:
        """Return a time in ISO 8601; most rows of a view have the same."""
        known, said = self._moment
        if known != as_of:
            if as_of is None:
                return b"null"
            said = encode((EPOCH + as_of * MICROSECOND).isoformat() + "Z")
            self._moment = as_of, said
        return said

    def _values(
        self, one: _View, snapshot: Any, rows: int, now: int
    ) -> tuple[list[tuple[Any, ...]], list[int | None], list[bool]]:
        """Return for each row the values of one view, their time, and whether they are stale."""
        if snapshot is None or snapshot.as_of is None:
            if one.view.stale == "refuse":
                raise _refused(one.name, "the online store does not answer", 0)
            return [one.instead] * rows, [None] * rows, [True] * rows
        whole: int = snapshot.as_of
        if one.fresh is None or now - whole <= one.fresh:  # so is every row, which is no older
            decode, defaults = one.values.decode, one.values.defaults
            return (
                [defaults if row is None else decode(row[1]) for row in snapshot.rows],
                [whole if row is None or row[0] <= whole else row[0] for row in snapshot.rows],
                [False] * rows,
            )
        values: list[tuple[Any, ...]] = []
        times: list[int | None] = []
        marks: list[bool] = []
        for at, row in enumerate(snapshot.rows):
            if row is None:  # nothing was ever known of this entity: that is no staleness
                as_of, found = whole, one.values.defaults
            else:
                as_of, found = max(whole, row[0]), one.values.decode(row[1])
            stale = now - as_of > one.fresh
            if stale:
                if one.view.stale == "refuse":
                    detail = f"they are older than {one.view.freshness}"
                    raise _refused(one.name, detail, at)
                found = one.instead
            values.append(found)
            times.append(as_of)
            marks.append(stale)
        return values, times, marks

    def _of(self, name: str, view: View, contract: Contract) -> _View:
        columns = key_columns(view)
        for of_table, of_row in columns.items():
            _check_key(name, view.table.columns[of_table], of_row, contract.columns[of_row])
        values = Values(view)
        places = [self.asked.index(column) for column in columns.values()]
        blank = (None,) * len(view.features)
        return _View(
            name,
            table_name(view),
            view,
            values,
            itemgetter(*places),
            len(places) == 1,
            None if view.freshness is None else seconds(view.freshness) * 1_000_000,
            values.defaults if view.stale == "default" else blank,
        )


def _arranged(order: Sequence[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Return what puts values into another order."""
    if len(order) > 1:
        return itemgetter(*order)
    return lambda values: (values[order[0]],)


def _check_key(view: str, of_table: Column, name: str, of_row: Column) -> None:
    """Raise OnlineError where a request would name an entity as no table does."""
    if kinds_of(of_table) != kinds_of(of_row):
        raise OnlineError(
            f"{name} is of type {of_row.type} in the contract, and {of_table.type} in the table of "
            f"{view}: declare both alike, or no entity is found"
        )


def _refused(view: str, why: str, row: int) -> Problem:
    title = "Features are too old"
    return Problem(503, "stale-features", title, f"{view}: {why}", row, headers=RETRY)
