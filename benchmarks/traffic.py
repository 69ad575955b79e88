"""One client that loads a server: each of its connections asks again as soon as it was answered."""

import asyncio
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

CONNECTIONS = 64


class Figures(NamedTuple):
    """What one round measured: requests a second, latencies in milliseconds, and the server's
    microseconds of processor time for a request, which a busy machine changes least.
    """

    rate: float
    p50: float
    p99: float
    cost: float


class Load:
    """One client: how long each answer took, until the time is over."""

    def __init__(self, requests: Sequence[bytes], until: float) -> None:
        self.requests = requests
        self.until = until
        self.sent = 0
        self.latencies: list[float] = []


class Connection(asyncio.Protocol):
    """A connection that asks again as soon as it was answered."""

    transport: asyncio.Transport

    def __init__(self, load: Load) -> None:
        self.load = load
        self.done = asyncio.get_running_loop().create_future()
        self.held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Count an answer once it is whole, and ask again."""
        self.held += data
        head, mark, body = self.held.partition(b"\r\n\r\n")
        if not mark:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self.held.decode()))
            self.transport.close()
            return
        now = time.perf_counter()
        self.load.latencies.append(now - self.begun)
        self.held = b""
        if now < self.load.until:
            self._ask()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        load = self.load
        self.begun = time.perf_counter()
        self.transport.write(load.requests[load.sent % len(load.requests)])
        load.sent += 1


def processor(process: int) -> float:
    """Return the seconds of processor time that a process has had."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def loaded(port: int, process: int, rows: Sequence[dict[str, float]], seconds: float) -> Figures:
    """Load a server for some seconds with one row a request."""
    requests = []
    for row in rows:
        body = json.dumps(row).encode()
        head = (
            "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)

    async def whole() -> Figures:
        loop = asyncio.get_running_loop()
        begun, before = time.perf_counter(), processor(process)
        load = Load(requests, begun + seconds)
        made = [
            await loop.create_connection(lambda: Connection(load), "127.0.0.1", port)
            for _ in range(CONNECTIONS)
        ]
        await asyncio.gather(*(connection.done for _, connection in made))
        took, used = time.perf_counter() - begun, processor(process) - before
        p50, p99 = np.percentile(load.latencies, (50, 99)) * 1e3
        answered = len(load.latencies)
        return Figures(answered / took, float(p50), float(p99), used / answered * 1e6)

    return asyncio.run(whole())
