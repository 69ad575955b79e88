"""Partitions on disk: a folder for each day with its rows, and beside them what they are from."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..data.errors import DataError
from ..files import sha256

PART, LINEAGE = "part.parquet", ".lineage.json"  # hidden: no table
_NAME = re.compile(r"date=(\d{4}-\d\d-\d\d)")
ROW_GROUP = 1 << 17


class Partitions:
    """The partitions of a dataset below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def days(self) -> list[str]:
        """Return the days that have one; raises DataError for a file that is in none."""
        found = []
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder)
            if path.is_dir() or any(part.startswith(".") for part in name.parts):
                continue
            match = _NAME.fullmatch(name.parts[0])
            if match is None or name.parts[1:] != (PART,):
                raise DataError(
                    f"{path} is in no partition like date=2026-01-31/{PART}: move it out of "
                    f"{self.folder}, which holds what is fetched"
                )
            found.append(match[1])
        return found

    def part(self, day: str) -> Path:
        """Return where the rows of a day are."""
        return self.folder / f"date={day}" / PART

    def read(self, day: str, names: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of a day, or some of their columns; raises DataError for a broken file.

        A column that was declared since is null.
        """
        try:
            with pq.ParquetFile(self.part(day)) as file:
                return file.read(None if names is None else list(names))
        except (pa.ArrowException, OSError, KeyError) as error:
            raise DataError(
                f"{self.part(day)} cannot be read ({' '.join(str(error).split())}): take it as it "
                "was (`dvc checkout`), or remove it and ingest that day"
            ) from error

    def may_hold(self, day: str, name: str, low: Any, high: Any) -> bool:
        """Say whether a day may have values of a column from `low` to `high`, by the file's footer.

        Where that does not say, it may.
        """
        try:
            footer = pq.read_metadata(self.part(day))
            place = footer.schema.names.index(name)
            groups = [footer.row_group(n).column(place) for n in range(footer.num_row_groups)]
            told = [group.statistics for group in groups]
            return any(
                one is None or not one.has_min_max or (one.min <= high and one.max >= low)
                for one in told
            )
        except (pa.ArrowException, OSError, ValueError, TypeError):
            return True

    def lineage(self, day: str) -> Mapping[str, Any] | None:
        """Return what a day's rows are from; None where that is of another file, or nothing."""
        try:
            told = json.loads(self._lineage(day).read_text(encoding="utf-8"))
            return dict(told) if told["part"] == sha256(self.part(day)) else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def stage(self, day: str, rows: pa.Table, told: Mapping[str, Any], staging: Path) -> None:
        """Write a day's partition below another folder."""
        folder = staging / f"date={day}"
        folder.mkdir(parents=True)
        write(folder / PART, rows)
        told = {**told, "part": sha256(folder / PART)}
        text = json.dumps(told, indent=2, sort_keys=True) + "\n"
        (folder / LINEAGE).write_text(text, encoding="utf-8")

    def take(self, day: str, staging: Path) -> None:
        """Move a staged partition into place, rows first: each file is the old one or the new."""
        folder = self.part(day).parent
        folder.mkdir(parents=True, exist_ok=True)
        for name in (PART, LINEAGE):
            os.replace(staging / folder.name / name, folder / name)

    def remove(self, day: str) -> None:
        """Remove a day's partition."""
        self.part(day).unlink()
        self.tidy(day)

    def tidy(self, day: str) -> None:
        """Remove what is left of a partition without rows."""
        self._lineage(day).unlink(missing_ok=True)
        self.part(day).parent.rmdir()

    def leftovers(self) -> list[str]:
        """Return the days whose removal was cut off half-way."""
        matches = (_NAME.fullmatch(path.name) for path in self.folder.glob("date=*"))
        days = [match[1] for match in matches if match]
        return [
            day
            for day in days
            if {path.name for path in self.part(day).parent.iterdir()} <= {LINEAGE}
        ]

    def _lineage(self, day: str) -> Path:
        return self.part(day).with_name(LINEAGE)


def write(path: Path, rows: pa.Table) -> None:
    """Write rows so that equal ones give equal bytes."""
    plain = rows.replace_schema_metadata(None)
    pq.write_table(plain, path, compression="zstd", row_group_size=ROW_GROUP)
