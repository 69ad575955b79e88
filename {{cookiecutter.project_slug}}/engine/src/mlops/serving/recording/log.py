"""The prediction log as the event loop sees it: writes and compactions that happen elsewhere."""

import asyncio
import logging
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ...log_layout import key_of, unit
from ..telemetry.metrics import Metrics
from . import spool
from .spool import FullError, RecordingError, Spool, shared_key

COMPACTION = "mlops.serving.recording"
PARQUET = "pyarrow"  # not in the image, where it would weigh more than all the rest
AGAIN = 60.0  # seconds between a compaction that failed and the next, and between measurements
PATIENCE = 30.0  # seconds that a stop waits for compaction; what is left is done at the next start

logger = logging.getLogger("mlops.serving")
Result = TypeVar("Result")


class Log:
    """One process' spool: one thread writes, one child process at a time compacts."""

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        buffer_rows: int,
        metrics: Metrics,
        key: bytes | None = None,
        workers: int = 1,
    ) -> None:
        self._spool = Spool(folder, max_bytes, workers)
        self._is_given = key is not None
        self._key = key_of(key) if key is not None else b""
        self._metrics = metrics
        self._most = buffer_rows
        self._pending = 0
        self._compacts = find_spec(PARQUET) is not None
        self._thread = ThreadPoolExecutor(1, "prediction-log")
        self._compacting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._not_before = 0.0
        self._measured = 0.0
        self._complained = ""

    async def start(self) -> None:
        """Open the spool, and begin with what an earlier process left; raises RecordingError."""
        await self._run(self._spool.open)
        try:
            await self._share_key()
        except RecordingError:
            await self._run(self._spool.release)
            raise
        self._metrics.log_bytes = self._spool.size
        if self._compacts:
            self._background(self._leftovers())
        else:
            reason = f"{PARQUET} is not installed: run {COMPACTION} where it is"
            logger.info("the log stays in its spool", extra={"reason": reason})

    def unit(self, key: bytes) -> str:
        """Return by what a routing key is known in this log."""
        return unit(key, self._key)

    def write(
        self, block: bytes, rows: int, bundle_digest: str = "", declaration: bytes = b""
    ) -> None:
        """Have a block written; it is counted as lost where too many rows wait already."""
        self._begin(block, rows, bundle_digest, declaration)

    async def written(self, block: bytes, rows: int) -> bool:
        """Write a block and say whether it is kept."""
        writing = self._begin(block, rows)
        if writing is None:
            return False
        await asyncio.wait([writing])
        return writing.exception() is None

    async def turn(self) -> None:
        """Close a segment that is old enough, and see that closed ones are compacted."""
        try:
            await self._mend()
            await self._run(self._spool.rotate, spool.SEGMENT_SECONDS)
            now = time.monotonic()
            if now - self._measured > AGAIN:
                self._measured = now
                await self._run(self._spool.measure)
            waiting = await self._run(self._spool.closed)
        except (OSError, RecordingError) as error:
            self._complain(error)
            return
        self._complained = ""
        self._metrics.log_bytes = self._spool.size
        if self._compacts and waiting and now >= self._not_before and not self._compacting.locked():
            self._background(self._compact(self._spool.folder))

    async def stop(self) -> None:
        """Write what waits and compact it; every file is whole whenever this is cut short."""
        try:
            await self._mend()
            await self._run(self._spool.close)
            waiting = await self._run(self._spool.closed)
            if waiting and self._compacts:
                self._background(self._compact(self._spool.folder))
            if self._tasks:
                _, late = await asyncio.wait(self._tasks, timeout=PATIENCE)
                for task in late:
                    task.cancel()
            self._metrics.log_bytes = await self._run(self._spool.measure)
        except (OSError, RecordingError) as error:
            self._complain(error)
        await self._run(self._spool.release)
        self._thread.shutdown()

    async def _mend(self) -> None:
        """Go on in a new folder where the log was taken away; what went with it is counted."""
        lost = 0
        try:
            is_mended = await self._run(self._spool.mend)
        finally:
            lost, self._spool.lost = self._spool.lost, 0
            if lost:
                self._metrics.dropped("removed", lost)
        if is_mended:
            reason = (
                f"folders of the log in {self._spool.log_folder} were taken away under the server, "
                f"and {lost} rows with them: it goes on in new ones; remove only Parquet files"
            )
            logger.warning("log folder", extra={"reason": reason})
            await self._share_key()

    async def _share_key(self) -> None:
        """Use the key of the folder, where the settings have none."""
        if not self._is_given:
            self._key = await self._run(shared_key, self._spool.log_folder, self._key)

    def _complain(self, error: Exception) -> None:
        """Say what is wrong with the folder, once until it is well again."""
        reason = str(error)
        if reason != self._complained:
            self._complained = reason
            logger.warning("log folder", extra={"reason": reason})

    def _begin(
        self, block: bytes, rows: int, bundle_digest: str = "", declaration: bytes = b""
    ) -> "asyncio.Future[None] | None":
        if self._pending and self._pending + rows > self._most:
            self._metrics.dropped("memory", rows)
            return None
        self._pending += rows
        writing = self._run(self._spool.append, block, bundle_digest, declaration, rows)
        writing.add_done_callback(partial(self._written, rows))
        return writing

    def _written(self, rows: int, writing: asyncio.Future[None]) -> None:
        self._pending -= rows
        self._metrics.log_bytes = self._spool.size
        error = writing.exception()
        if error is None:
            return
        self._metrics.dropped("disk" if isinstance(error, FullError) else "write_error", rows)

    async def _leftovers(self) -> None:
        for folder, lock in await self._run(lambda: list(spool.leftovers(self._spool.log_folder))):
            try:
                await self._compact(folder)
            finally:
                spool.release(folder, lock)

    async def _compact(self, folder: Path) -> None:
        """Have a child process turn the closed segments of a folder into Parquet."""
        async with self._compacting:
            # -P: a file of the working folder must not stand in for a module.
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", COMPACTION, str(folder)),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
            )
            told, complaint = await child.communicate()
            if child.returncode:
                self._not_before = time.monotonic() + AGAIN
                reason = complaint.decode(errors="replace").strip().rpartition("\n")[2]
                logger.error("compaction failed", extra={"reason": reason.partition(":")[0]})
                return
            done = msgspec.json.decode(told)
            if done["torn"]:
                self._metrics.dropped("torn", max(done["lost"], done["torn"]))
            self._metrics.log_bytes = await self._run(self._spool.measure)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except OSError as error:  # the folder is taken away just now: the next turn mends it
            self._complain(error)

    def _run(self, work: Callable[..., Result], *given: Any) -> "asyncio.Future[Result]":
        return asyncio.get_running_loop().run_in_executor(self._thread, work, *given)
