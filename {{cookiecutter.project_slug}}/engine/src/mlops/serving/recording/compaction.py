"""Closed spool segments as partitioned Parquet."""

import mmap
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ...files import atomic_file
from ...log_layout import CLOSED
from .segment import Declaration, Torn, blocks
from .tables import Part, batches

GROUP = 20_000  # rows of a row group, and of what is in memory


class Compacted(msgspec.Struct):
    """What a run did: `torn` counts damaged parts of segments, `lost` the rows known of them."""

    segments: int = 0
    rows: int = 0
    torn: int = 0
    lost: int = 0


class Parts:
    """The Parquet files of one segment, which appear together when all of them are whole."""

    def __init__(self, log_folder: Path, name: str, stack: ExitStack) -> None:
        self.log_folder = log_folder
        self.name = name
        self.stack = stack
        self.files: list[Path] = []
        self.waiting: dict[Part, list[pa.RecordBatch]] = {}
        self.writers: dict[Part, pq.ParquetWriter] = {}

    def add(self, part: Part, batch: pa.RecordBatch) -> None:
        """Take rows, and write them in groups of many."""
        waiting = self.waiting.setdefault(part, [])
        waiting.append(batch)
        if sum(b.num_rows for b in waiting) >= GROUP:
            self.flush(part)

    def flush(self, part: Part) -> None:
        """Write what waits for a file."""
        if part not in self.writers:
            self.writers[part] = self._writer(part)
        self.writers[part].write_table(pa.Table.from_batches(self.waiting.pop(part)))

    def finish(self) -> None:
        """Write what waits everywhere."""
        for part in list(self.waiting):
            self.flush(part)

    def _writer(self, part: Part) -> pq.ParquetWriter:
        path = self.log_folder / part.folder / f"{self.name}.parquet"
        if path in self.files:  # rows of the same day and model, but of other columns
            path = path.with_stem(f"{self.name}-{len(self.files)}")
        self.files.append(path)
        staging = self.stack.enter_context(atomic_file(path))
        self.stack.callback(_sync, staging)
        return self.stack.enter_context(
            pq.ParquetWriter(
                staging,
                part.schema,
                compression="zstd",
                use_dictionary=[f.name for f in part.schema if pa.types.is_dictionary(f.type)],
            )
        )


def compact(*folders: Path) -> Compacted:
    """Turn every closed segment of spool folders into Parquet beside them, and remove it.

    A file is named after its segment, so that a run that was killed before it removed one is
    repeated over the same files.
    """
    done = Compacted()
    for segment in sorted(path for folder in folders for path in folder.glob(f"*{CLOSED}")):
        try:
            _compact(segment, segment.parents[2], done)
            segment.unlink()
        except FileNotFoundError:  # the child of a server that is gone came first
            continue
        _sync(segment.parent)
        done.segments += 1
    return done


def recorded(segment: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a segment as its files will have them; what is damaged has none."""
    declared: dict[str, Declaration] = {}
    for block in blocks(_content(segment)):
        if isinstance(block, Declaration):
            declared[block.bundle_digest] = block
        elif not isinstance(block, Torn):
            with suppress(ValueError, TypeError, KeyError, OverflowError):
                yield from (batch for _, batch in batches(block, declared))


def _compact(segment: Path, log_folder: Path, done: Compacted) -> None:
    name = f"part-{segment.parent.name}-{segment.stem}"
    with ExitStack() as stack:
        parts = Parts(log_folder, name, stack)
        declared: dict[str, Declaration] = {}
        for block in blocks(_content(segment)):
            if isinstance(block, Declaration):
                declared[block.bundle_digest] = block
                continue
            if isinstance(block, Torn):
                done.torn += 1
                done.lost += block.rows
                continue
            try:
                found = list(batches(block, declared))
            except (ValueError, TypeError, KeyError, OverflowError):  # pyarrow's are among them
                done.torn += 1
                done.lost += len(block.rows)
                continue
            for part, batch in found:
                parts.add(part, batch)
                done.rows += batch.num_rows
        parts.finish()
    synced(parts)


def synced(parts: Parts) -> None:
    """Have the system write the folders of files that have appeared."""
    for folder in {file.parent for file in parts.files}:
        _sync(folder)


def _content(segment: Path) -> memoryview:
    with segment.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _sync(path: Path) -> None:
    """Have the system write a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
