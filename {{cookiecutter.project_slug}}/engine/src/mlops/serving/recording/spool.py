"""Segments on disk: appended by one server process, bounded, handed on when they are full."""

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import ProjectError
from ...log_layout import CLOSED as CLOSED
from ...log_layout import KEY, KEY_BYTES, SPOOL
from ...log_layout import OPEN as OPEN

LOCK = "lock"
SEGMENT_BYTES = 32 << 20
SEGMENT_SECONDS = 300.0
MEASURED_SECONDS = 1.0  # for which the size of a folder that others write to is known
NO_TIME = "a stage of DVC has no time of its own, which every row of the log has"


class RecordingError(ProjectError):
    """The log folder cannot be used."""


class FullError(Exception):
    """The log folder is as large as it may be."""


class Spool:
    """The segments of one process, in a folder of its own that a lock keeps.

    One segment is open; a closed one waits for compaction. `size` is that of the whole log
    folder, Parquet files included, so that an append that would leave no room for compacting a
    segment is refused. Only one thread at a time may call it.

    Of what is left when the folder is measured, each of the `workers` that share it may take an
    equal part: they never write more together, however they write.
    """

    def __init__(self, log_folder: Path, max_bytes: int, workers: int = 1) -> None:
        self.log_folder = log_folder
        self.max_bytes = max_bytes
        self.workers = workers
        self.segment_bytes = min(SEGMENT_BYTES, max_bytes // (8 * workers))
        self.size = 0
        self._measured = 0
        self._measured_at = 0.0
        self.folder = self._fresh()
        self._lock = -1
        self._segment: int | None = None
        self._rows = 0  # of the open segment
        self.lost = 0  # of segments that were taken away; whoever counts them sets it back
        self._opened = 0.0
        self._written = 0
        self._number = 0
        self._declared: set[str] = set()

    def open(self) -> None:
        """Create and lock the folder; raises RecordingError where that cannot be."""
        making = self.folder.with_name(f".{self.folder.name}")  # another start would see it free
        try:
            making.mkdir(parents=True, mode=0o700)
            lock = locked(making)
            making.rename(self.folder)
        except OSError as error:
            raise RecordingError(
                f"the log folder {self.log_folder} cannot be written ({error.strerror}): give its "
                "rights to this user, or set MLOPS_LOG_FOLDER to another"
            ) from error
        assert lock is not None  # the name is new
        self._lock = lock
        self.measure()

    def mend(self) -> bool:
        """Go on in a new folder where this one, its lock or its segment was taken away.

        Returns whether it was; raises RecordingError where there can be no new folder.
        """
        if _is_at(self.folder / LOCK, self._lock) and self._has_segment():
            return False
        if not self._has_segment():
            self.lost, self._rows = self.lost + self._rows, 0
        with suppress(OSError):  # what is gone has no name to change
            self.rotate()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        self.folder = self._fresh()
        self.open()
        return True

    def append(
        self, block: bytes, bundle_digest: str = "", declaration: bytes = b"", rows: int = 0
    ) -> None:
        """Write a block of rows at the end of the open segment, after what declares its model.

        Raises FullError or OSError; then nothing of it is in the segment.
        """
        more = len(block) + len(declaration) + self.segment_bytes
        if self._exceeds(more):
            if self.workers == 1 or time.monotonic() - self._measured_at < MEASURED_SECONDS:
                raise FullError
            self.measure()  # the others may have written less
            if self._exceeds(more):
                raise FullError
        if self._segment is None:
            self._begin()
        if bundle_digest and bundle_digest not in self._declared:
            block = declaration + block
        self._write(block)
        self._rows += rows
        self._declared.add(bundle_digest)
        if self._written >= self.segment_bytes:
            self.rotate()

    def rotate(self, older: float = 0.0) -> None:
        """Close the open segment if it is older than that many seconds."""
        if self._segment is None or time.monotonic() - self._opened < older:
            return
        segment, self._segment = self._segment, None
        try:
            os.fsync(segment)
        finally:
            os.close(segment)
            path = self._path()
            path.rename(path.with_suffix(CLOSED))
            self._rows = 0

    def closed(self) -> list[Path]:
        """Return the segments that wait for compaction."""
        return sorted(self.folder.glob(f"*{CLOSED}"))

    def measure(self) -> int:
        """Return the size of the log folder, and remember it for the bound."""
        self.size = self._measured = sum(_sizes(self.log_folder))
        self._measured_at = time.monotonic()
        return self.size

    def close(self) -> None:
        """Close the open segment; the folder stays locked until `release`."""
        self.rotate()

    def release(self) -> None:
        """Give the folder up, and remove it where nothing waits in it."""
        release(self.folder, self._lock)

    def _exceeds(self, more: int) -> bool:
        grown = self.size - self._measured + more
        return self._measured + self.workers * grown > self.max_bytes

    def _begin(self) -> None:
        self._number += 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._segment = os.open(self._path(), flags, 0o600)
        self._opened = time.monotonic()
        self._written = 0
        self._declared.clear()

    def _write(self, block: bytes) -> None:
        assert self._segment is not None
        try:
            written = os.write(self._segment, block)
            if written < len(block):
                raise OSError(f"{written} of {len(block)} bytes were written")
        except OSError:
            os.ftruncate(self._segment, self._written)
            raise
        self._written += len(block)
        self.size += len(block)

    def _has_segment(self) -> bool:
        """Say whether the open segment is where it was begun, if there is one."""
        if self._segment is None:
            return not self._rows  # which stay where the segment could not be closed
        return _is_at(self._path(), self._segment)

    def _fresh(self) -> Path:
        name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
        return self.log_folder / SPOOL / name

    def _path(self) -> Path:
        return self.folder / f"{self._number:06d}{OPEN}"


def _is_at(path: Path, descriptor: int) -> bool:
    """Say whether an open file is still the one at a path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def locked(folder: Path) -> int | None:
    """Lock a spool folder and return the lock, or None where a process holds it."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        os.close(lock)
        raise
    return lock


def shared_key(log_folder: Path, known: bytes = b"") -> bytes:
    """Return the key by which all servers on a folder know a routing key, made where there is none.

    `known` is written where the folder was taken away. Raises RecordingError.
    """
    path = log_folder / KEY
    try:
        with _held(path) as file:
            key = os.read(file, KEY_BYTES + 1)
            if not key:
                key = known or secrets.token_bytes(KEY_BYTES)
                os.write(file, key)
                os.fsync(file)
    except OSError as error:
        raise RecordingError(
            f"{path} cannot be read and written ({error.strerror}): give it to this user, or set "
            "MLOPS_LOG_KEY"
        ) from error
    if len(key) != KEY_BYTES:
        raise RecordingError(
            f"{path} holds no key of {KEY_BYTES} bytes: bring it back, or remove it, from when on "
            "each routing key is known by another hash"
        )
    return key


@contextmanager
def _held(path: Path) -> Iterator[int]:
    """Open a file that its user alone may read, as the only process at this time."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def release(folder: Path, lock: int) -> None:
    """Remove a spool folder in which nothing waits, and give up its lock."""
    try:
        if not any(folder.glob(f"*{CLOSED}")) and not any(folder.glob(f"*{OPEN}")):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        if lock >= 0:  # none, where the folder was taken away and could not be made again
            os.close(lock)


def leftovers(log_folder: Path) -> Iterator[tuple[Path, int]]:
    """Lock each spool folder whose process is gone, close its segments, and yield it."""
    for folder in sorted((log_folder / SPOOL).glob("[!.]*")):
        try:
            lock = locked(folder)
        except OSError:  # removed meanwhile by the process that had it
            continue
        if lock is None:
            continue
        for path in folder.glob(f"*{OPEN}"):
            with suppress(FileNotFoundError):  # removed by someone else
                path.rename(path.with_suffix(CLOSED))
        yield folder, lock


def _sizes(folder: Path) -> Iterator[int]:
    """Yield the sizes of the files below a folder, of which any may vanish meanwhile."""
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _sizes(Path(entry.path))
            else:
                yield entry.stat(follow_symlinks=False).st_size
        except (FileNotFoundError, NotADirectoryError):
            continue
