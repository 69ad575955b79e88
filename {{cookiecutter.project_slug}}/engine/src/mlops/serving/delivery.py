"""Where the answers of a table go, and what they came from: both whole, or both as they were."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ..data.sources import DataError
from ..files import atomic_file, sha256

SUFFIXES = (".csv", ".parquet")
LINEAGE = ".lineage.json"
PART = "part.parquet"
# Readers of a folder of Parquet files leave aside what begins so.
BESIDE_PART = f"_{PART}{LINEAGE}"
KEY = "mlops.lineage"
PARTITION = re.compile(r"([A-Za-z_][\w-]*)(?:=([\w.:+-]+))?", re.ASCII)
EPOCH = "SOURCE_DATE_EPOCH"
STAGE = "DVC_STAGE"


class Target(NamedTuple):
    """The file of the answers, and the one beside it; `partition` is the folder's name, if any."""

    out: Path
    lineage: Path
    partition: str | None = None

    @property
    def column(self) -> str | None:
        """The column that readers make of the folder's name."""
        return self.partition and self.partition.partition("=")[0]


def target(out: Path, partition: str | None = None, at: datetime | None = None) -> Target:
    """Return where to write: the file `out`, or a partition of the folder `out`.

    `partition` is NAME=VALUE, or a NAME alone for the day of `at`. Raises DataError where nothing
    could be written there.
    """
    if partition is None:
        if out.suffix not in SUFFIXES:
            raise DataError(
                f"{out} must end in .csv or .parquet: choose one, or give --partition with a folder"
            )
        if not out.resolve().parent.is_dir():
            raise DataError(f"{out.parent} is no folder: create it, or name another --out")
        found = Target(out, out.with_name(f"{out.name}{LINEAGE}"))
    else:
        folder = _partition(partition, at)
        if out.suffix in SUFFIXES or (out.exists() and not out.is_dir()):
            raise DataError(f"{out} is no folder, which --partition needs: name one as --out")
        found = Target(out / folder / PART, out / folder / BESIDE_PART, folder)
    for path in found[:2]:
        if path.is_dir():
            raise DataError(f"{path} is a folder: move it away, or name another --out")
    return found


def _partition(asked: str, at: datetime | None) -> str:
    found = PARTITION.fullmatch(asked)
    if found is None:
        raise DataError(
            f"--partition is {asked!r}: write it as NAME=VALUE, like date=2026-11-27, of letters, "
            "digits and _ . : + -, or as a NAME alone for the day of --at"
        )
    name, value = found.groups()
    if value is None and at is None:
        raise DataError(f"--partition {name} is the day of --at: give either of them a value")
    return f"{name}={value or f'{at:%Y-%m-%d}'}"


def moment(asked: str | None, environment: Mapping[str, str] = os.environ) -> datetime | None:
    """Return the time that is given, else SOURCE_DATE_EPOCH, else now; in whole seconds of UTC.

    In a stage of DVC, whose outputs follow from its inputs alone, there is none but a given one.
    """
    if asked is None and (epoch := environment.get(EPOCH)):
        try:
            return datetime.fromtimestamp(int(epoch), UTC)
        except (ValueError, OverflowError, OSError):
            raise DataError(f"{EPOCH} is {epoch!r}: set it to seconds since 1970") from None
    if asked is None:
        return None if STAGE in environment else datetime.now(UTC).replace(microsecond=0)
    try:
        found = datetime.fromisoformat(asked)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise DataError(
            f"--at is {asked!r}: write a day or a time of UTC, like 2026-11-27 or 2026-11-27T06:00"
        ) from None
    return found.replace(microsecond=0)


def written(at: datetime | None) -> str | None:
    """Return a time as lineage has it."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


class Delivery:
    """The answers on their way: tables, and at the end what they came from."""

    def __init__(self, target: Target, staging: Path) -> None:
        self._target, self._staging = target, staging
        self._writer: pq.ParquetWriter | pyarrow.csv.CSVWriter | None = None
        self.lineage: dict[str, Any] = {}

    def write(self, table: pa.Table) -> None:
        """Append a table to the file, which is opened at the first."""
        if self._writer is None:
            if self._target.column in table.column_names:
                raise DataError(
                    f"--partition {self._target.partition} is called like a column of the answer, "
                    "which readers would lose: choose another name"
                )
            is_parquet = self._target.out.suffix == ".parquet"
            opened = pq.ParquetWriter if is_parquet else pyarrow.csv.CSVWriter
            self._writer = opened(str(self._staging), table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """Close the file; a Parquet file has its lineage in its metadata as well."""
        if isinstance(self._writer, pq.ParquetWriter) and self.lineage:
            said = json.dumps(self.lineage, ensure_ascii=False)
            self._writer.add_key_value_metadata({KEY: said})
        if self._writer is not None:
            self._writer.close()


@contextmanager
def delivered(target: Target) -> Iterator[Delivery]:
    """Yield what takes the answers, whose `lineage` is set before the end of the block.

    The answers appear first and their lineage then, which has their digest: one that is of other
    answers shows it.
    """
    is_new = target.partition is not None and not target.out.parent.exists()
    try:
        with atomic_file(target.lineage) as said, atomic_file(target.out) as staging:
            delivery = Delivery(target, staging)
            try:
                yield delivery
            finally:
                delivery.close()
            output = {"name": target.out.name, "sha256": sha256(staging)}
            content = {**delivery.lineage, "partition": target.partition, "output": output}
            text = json.dumps(content, indent=2, ensure_ascii=False)
            said.write_text(f"{text}\n", encoding="utf-8")
    except BaseException:
        if is_new:
            with suppress(OSError):  # others may have written there
                target.out.parent.rmdir()
                target.out.parent.parent.rmdir()
        raise
