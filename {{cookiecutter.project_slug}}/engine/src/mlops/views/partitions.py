"""The files of a table, and which of them label rows can depend on."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config.views import Table, View, seconds
from ..data.errors import DataError
from ..data.zones import to_utc
from ..files import sha256_of

DATE = "date="
SECOND, DAY = np.timedelta64(1, "s"), timedelta(days=1)


class Partition(NamedTuple):
    """One file of a table, and the day of the folder `date=YYYY-MM-DD` that it is in.

    Its rows happened before the day's end, and were known at the earliest the table's lateness
    before its beginning: `ends` and `begins`, in UTC. Without a day both are None.
    """

    path: Path
    day: date | None
    begins: np.datetime64 | None
    ends: np.datetime64 | None


def partitions(table: Table, root: Path = Path()) -> list[Partition]:
    """Return every file of a table, in the order of their names.

    Raises DataError where there is none, and for a folder whose date is no day.
    """
    folder = root / table.folder
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix != ".dvc"
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not files:
        filled = f"fill it with `mlops ingest --table {table.name}`"
        try:
            from ..git import absence
        except ModuleNotFoundError:  # in an image, which has no git
            raise DataError(f"{table.folder} holds no file: {filled}") from None
        raise DataError(absence.told(Path(table.folder), filled, root))
    return [_partition(table, path, path.relative_to(folder)) for path in files]


def _partition(table: Table, path: Path, name: Path) -> Partition:
    written = next((part for part in name.parts[:-1] if part.startswith(DATE)), None)
    if written is None:
        return Partition(path, None, None, None)
    try:
        day = date.fromisoformat(written.removeprefix(DATE))
    except ValueError as error:
        raise DataError(
            f"{table.folder / name} is in no folder of a day: call it like date=2026-01-31"
        ) from error
    begins, ends = to_utc(np.array([day, day + DAY], dtype="datetime64[us]"), table.zone)
    return Partition(path, day, begins - seconds(table.lateness) * SECOND, ends)


def needed(
    known: Iterable[Partition], view: View, first: np.datetime64, last: np.datetime64
) -> list[Partition]:
    """Return the files that label rows from `first` to `last` (UTC) can depend on."""
    since = first - seconds(view.ttl) * SECOND
    return [
        one
        for one in known
        if one.begins is None or one.ends is None or (one.ends > since and one.begins <= last)
    ]


def digest(chosen: Sequence[Partition], of: Callable[[Path], str]) -> str:
    """Return one SHA-256 over files, whatever they are called; `of` gives that of each."""
    return sha256_of("".join(sorted(f"{one.day}\0{of(one.path)}\n" for one in chosen)))
