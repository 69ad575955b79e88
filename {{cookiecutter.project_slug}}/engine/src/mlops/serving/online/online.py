"""The online store of a server: asked while a request waits, and never for longer than it may."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from ...config.views import View
from ...views.online import OnlineError, OutageError, Snapshot, Store, missing
from .stores import opened, shown

AGAIN = 1.0  # seconds for which a store that did not answer is not asked
OUTAGE = "the online store does not answer: its views count as stale"

Keys: TypeAlias = Sequence[tuple[str, Sequence[bytes]]]  # of each table
Found: TypeAlias = "list[Snapshot | None]"  # none where the store does not answer

logger = logging.getLogger("mlops.serving")


class Online:
    """One store for all bundles of a server.

    A file is read at once. What is asked of a store beyond a network while it answers others is
    asked together next, in a thread, so that the event loop waits for nobody. `outages` counts
    how often it did not answer.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self.place = shown(url)
        self.store: Store = opened(url, timeout)
        self.remote = self.store.remote
        self.outages = 0
        self._timeout = timeout
        self._down_until = 0.0
        self._waiting: list[tuple[Keys, asyncio.Future[Found]]] = []
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "online-store")

    def check(self, views: Iterable[View]) -> None:
        """Raise OnlineError where the store answers, and does not hold one of the views."""
        try:
            held = self.store.tables()
        except OutageError as error:
            self._fail(error)
            return
        wrong = [reason for view in views if (reason := missing(view, held))]
        if wrong:
            raise OnlineError(f"{wrong[0]} ({self.place})")

    def read(self, keys: Keys) -> Found:
        """Return what is stored, table by table."""
        if time.monotonic() < self._down_until:
            return [None] * len(keys)
        try:
            return [self.store.read(table, of_table) for table, of_table in keys]
        except OutageError as error:
            self._fail(error)
            return [None] * len(keys)

    async def ask(self, keys: Keys) -> Found:
        """Return what is stored, asked together with what others ask in the meantime."""
        if time.monotonic() < self._down_until:
            return [None] * len(keys)
        answer: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting.append((keys, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        try:
            # Twice: one may have to wait for the answer to those before.
            async with asyncio.timeout(2 * self._timeout):
                return await answer
        except TimeoutError as error:
            self._fail(error)
            return [None] * len(keys)

    def close(self) -> None:
        """Let the thread end, and go of the store."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self.store.close()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                taken = [one for one in self._waiting if not one[1].done()]
                self._waiting = []
                tables: dict[str, dict[bytes, None]] = {}
                for keys, _ in taken:
                    for table, of_table in keys:
                        tables.setdefault(table, {}).update(dict.fromkeys(of_table))
                if not tables:
                    continue
                together = [(table, list(of_table)) for table, of_table in tables.items()]
                try:
                    found = await loop.run_in_executor(self._thread, self.read, together)
                except Exception as error:
                    for _, answer in taken:
                        if not answer.done():
                            answer.set_exception(error)
                    continue
                known = {t: (k, s) for (t, k), s in zip(together, found, strict=True)}
                for keys, answer in taken:
                    if not answer.done():
                        answer.set_result([_part(*known[table], mine) for table, mine in keys])
        finally:
            self._task = None

    def _fail(self, error: Exception) -> None:
        """Ask nothing for a moment, and say so once an outage."""
        now = time.monotonic()
        if now >= self._down_until + AGAIN:
            reason = f"{OUTAGE} ({self.place}: {error or type(error).__name__})"
            logger.warning("online store", extra={"reason": reason})
        self.outages += 1
        self._down_until = now + AGAIN


def _part(
    keys: Sequence[bytes], snapshot: Snapshot | None, wanted: Sequence[bytes]
) -> Snapshot | None:
    """Return of a snapshot what one request asked for."""
    if snapshot is None:
        return None
    rows: Mapping[bytes, tuple[int, bytes] | None] = dict(zip(keys, snapshot.rows, strict=True))
    return Snapshot(snapshot.as_of, [rows[key] for key in wanted])
