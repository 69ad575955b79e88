"""What a request costs the server itself: bytes in, bytes out, without a network or a client.

    python benchmarks/serving/path.py BUNDLE [PROJECT …]

Feeds 64 connections of a server in this process with one row after the other, and prints the
microseconds of processor time that one takes. Several folders of projects take turns, each in a
process of its own, so that two states of the code are compared within one run.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CONNECTIONS = 64
REQUESTS = 20_000
ROUNDS = 15
PROJECT = Path(__file__).resolve().parents[2] / "{{cookiecutter.project_slug}}"
HEAD = (
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: measured\r\nAccept: */*\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)


class Load:
    """How many answers are still to come."""

    def __init__(self, request: bytes, left: int) -> None:
        self.request = request
        self.left = left
        self.done = asyncio.Event()


class Wire:
    """A transport that asks again as soon as it was answered."""

    protocol: Any

    def __init__(self, load: Load) -> None:
        self.load = load
        self.loop = asyncio.get_running_loop()

    def write(self, data: bytes) -> None:
        """Count an answer, and ask again."""
        assert data.startswith(b"HTTP/1.1 200"), data
        self.load.left -= 1
        if self.load.left > 0:
            self.loop.call_soon(self.protocol.data_received, self.load.request)
        else:
            self.load.done.set()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return nothing of the other side."""
        return default

    def is_closing(self) -> bool:
        """Return that it is open."""
        return False

    def pause_reading(self) -> None:
        """Do nothing: no more is sent than was asked for."""

    resume_reading = close = abort = pause_reading


async def measured(bundle: Path) -> float:
    """Return the microseconds of a request."""
    import uvicorn
    from uvicorn.server import ServerState

    from mlops.serving.app import create
    from mlops.serving.settings import ServingSettings
    from mlops.serving.transport import Protocol

    app = create(ServingSettings(bundle=bundle, watch_seconds=0))
    row = json.loads((bundle / "golden.json").read_text())[0]["row"]
    body = json.dumps(row).encode()
    config = uvicorn.Config(app, http=Protocol, ws="none", interface="asgi3", log_config=None)
    config.load()
    taken = 0.0
    async with app.router.lifespan_context(app):
        for requests in (REQUESTS // 10, REQUESTS):
            load = Load(HEAD % len(body) + body, requests)
            wires = [Wire(load) for _ in range(CONNECTIONS)]
            for wire in wires:
                wire.protocol = Protocol(config=config, server_state=ServerState(), app_state={})
                wire.protocol.connection_made(wire)
            began = time.process_time()
            for wire in wires:
                wire.protocol.data_received(load.request)
            await load.done.wait()
            taken = time.process_time() - began
    return taken / REQUESTS * 1e6


def main(bundle: str, *projects: str) -> None:
    """Print a line for each project."""
    found: dict[str, list[float]] = {project: [] for project in projects or (str(PROJECT),)}
    for _ in range(ROUNDS):
        for project, each in found.items():
            code = os.pathsep.join(f"{project}/{name}" for name in ("engine/src", "src"))
            done = subprocess.run(
                [sys.executable, __file__, "--once", bundle],
                env={**os.environ, "PYTHONPATH": code, "OMP_NUM_THREADS": "1"},
                check=True,
                capture_output=True,
                text=True,
            )
            each.append(float(done.stdout))
    for project, each in found.items():
        print(f"{statistics.median(each):6.1f} us, least {min(each):6.1f}  {project}")


if __name__ == "__main__":
    if sys.argv[1] == "--once":
        import uvloop

        print(uvloop.run(measured(Path(sys.argv[2]))))
    else:
        main(*sys.argv[1:])
