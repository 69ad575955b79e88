"""Parquet that stands in a place as it does in a log: brought once, checked, and as it is."""

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import NamedTuple

from ...files import atomic_file
from ...log_layout import FEEDBACK, PREDICTIONS, counted, counts_path
from .store import ShippingError, Store

_DAY, _LEAF = r"date=([0-9]{4}-[0-9]{2}-[0-9]{2})", r"part-[A-Za-z0-9_-]{1,200}\.parquet"
NAMES = {
    PREDICTIONS: re.compile(rf"{PREDICTIONS}/{_DAY}/model=([0-9a-f]{{12}})/{_LEAF}"),
    FEEDBACK: re.compile(rf"{FEEDBACK}/{_DAY}/({_LEAF})"),
}
COLUMNS = {
    PREDICTIONS: {"request_id", "row", "time", "role", "prediction"},
    FEEDBACK: {"request_id", "row", "time"},
}


class Table(NamedTuple):
    """A file of a log, by its name below the folder."""

    name: str
    size: int
    kind: str
    day: str
    model: str

    @classmethod
    def read(cls, name: str, size: int) -> "Table | None":
        """Return what a name says; None for one that no log has."""
        kind = name.partition("/")[0]
        found = NAMES[kind].fullmatch(name) if kind in NAMES else None
        if found is None:
            return None
        with suppress(ValueError):
            date.fromisoformat(found[1])
            return cls(name, size, kind, found[1], found[2] if kind == PREDICTIONS else "")
        return None

    @property
    def leaf(self) -> str:
        """Return the name in its folder."""
        return self.name.rpartition("/")[2]


def standing(place: Store) -> tuple[list[Table], list[str]]:
    """Return the files of a log that a place has, and the names of others that stand among them."""
    tables, others = [], []
    for kind in NAMES:
        for name, size in place.tables(kind).items():
            found = Table.read(name, size)
            if found is not None:
                tables.append(found)
            elif not any(part.startswith((".", "_")) for part in name.split("/")):
                others.append(name)
    return tables, others


def wanted(tables: Sequence[Table], log_folder: Path, settled: str | None) -> list[Table]:
    """Return the files that a log does not have as they are.

    A day that was counted for good is not brought again when its rows were deleted: every file of
    it, and its outcomes, by the settings `settled` if they are named. Nor are reports from before
    the first day that there is, or will be.
    """
    days: dict[tuple[str, str], list[Table]] = {}
    for one in tables:
        if one.kind == PREDICTIONS:
            days.setdefault((one.day, one.model), []).append(one)
    kept = [
        one
        for (day, model), of_day in days.items()
        if not _is_settled(of_day, counts_path(log_folder, day, model), settled)
        for one in of_day
    ]
    here = (log_folder / PREDICTIONS).glob("date=*/model=*/part-*.parquet")
    first = min([one.day for one in kept] + [_day(path) for path in here], default="9999-12-31")
    is_shorter = len(kept) < sum(map(len, days.values()))
    reports = [
        one for one in tables if one.kind == FEEDBACK and not (is_shorter and one.day < first)
    ]
    return [one for one in (*kept, *reports) if _size(log_folder / one.name) != one.size]


def bring(place: Store, table: Table, log_folder: Path) -> bool:
    """Bring a file, which appears whole; leave it, and return False, where it is none of a log."""
    path = log_folder / table.name
    try:
        with suppress(_DamagedError), atomic_file(path) as staging:
            with staging.open("wb") as file:
                for block in place.blocks(table.name):
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            if staging.stat().st_size != table.size or not _is_of_log(staging, table.kind):
                raise _DamagedError
            return True
    except OSError as error:
        raise ShippingError(
            f"{path} cannot be written ({error.strerror}): give it its rights and room, and run "
            "again"
        ) from error
    return False


class _DamagedError(Exception):
    """A file is not what its name says."""


def _is_settled(tables: Iterable[Table], counts: Path, settled: str | None) -> bool:
    try:
        known = counted(counts.read_bytes())
    except FileNotFoundError:
        return False
    by, files = known.get("settled", ""), known.get("files", {})
    if not by or settled not in (None, by):
        return False
    return all(files.get(one.leaf) == one.size for one in tables)


def _is_of_log(path: Path, kind: str) -> bool:
    """Say whether the footer can be read, and names what every file of the kind has."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return set(pq.read_schema(path).names) >= COLUMNS[kind]
    except (pa.ArrowException, OSError, ValueError):
        return False


def _day(path: Path) -> str:
    return path.parents[1].name.removeprefix("date=")


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
