"""One of the processes that serve together, as it hears from their supervisor and answers."""

import asyncio
import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from .models import ServedModels
from .telemetry.joined import Joined
from .telemetry.metrics import Metrics

SECONDS = 1.0  # between two times that the others learn what was counted here


class Worker:
    """The end of a worker: lines of JSON over a socket, each of one thing to do or to tell.

    It serves when all are ready, loads another bundle when all do, and serves that when all have.
    It leaves when the supervisor is gone.
    """

    def __init__(self, channel: socket.socket, name: str, folder: Path) -> None:
        self.joined = Joined(folder, name)
        self._channel = channel
        self._round = 0
        self._reloads: list[tuple[int, asyncio.Future[None]]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def say(self, said: str, **more: Any) -> None:
        """Tell the supervisor something."""
        self._channel.sendall(json.dumps({"said": said, **more}).encode() + b"\n")

    def wait(self, models: ServedModels) -> bool:
        """Say what is loaded, wait for all others, and return whether to serve it."""
        self.say("loaded", bundles=models.bundles)
        return bool(self._channel.recv(1))

    async def join(
        self,
        models: ServedModels,
        metrics: Metrics,
        leave: Callable[[int, FrameType | None], None],
    ) -> None:
        """Say that this worker serves, and do from now on what all do."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor's
        models.elsewhere = self.reload
        models.tell_stop = lambda reason, key: self.say("stopped", reason=reason, key=key)
        # Kept: a writer that nobody holds closes the channel.
        reader, self._writer = await asyncio.open_connection(sock=self._channel.dup())
        self._tasks += [
            asyncio.create_task(self._listen(reader, models, leave)),
            asyncio.create_task(self._share(metrics)),
        ]
        self.say("serving")

    async def reload(self) -> None:
        """Have all workers look at the folders now, and wait until they did."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reloads.append((self._round + 1, done))
        self.say("reload")
        await done

    async def _listen(
        self,
        reader: asyncio.StreamReader,
        models: ServedModels,
        leave: Callable[[int, FrameType | None], None],
    ) -> None:
        while line := await reader.readline():
            told = json.loads(line)
            if told["do"] == "prepare":
                self._round = told["round"]
                bundles = await models.prepare()
                self.say("prepared", round=self._round, bundles=bundles, reason=models.refusal)
            elif told["do"] == "stop":
                models.stop_trial(told["reason"], told["key"])
            else:
                models.settle(told["reason"])
                waiting, self._reloads = self._reloads, []
                for number, done in waiting:
                    if number > told["round"]:
                        self._reloads.append((number, done))
                    elif not done.done():
                        done.set_result(None)
        leave(signal.SIGTERM, None)

    async def _share(self, metrics: Metrics) -> None:
        while True:
            metrics.share()
            await asyncio.sleep(SECONDS)
