"""What a request costs the server itself: bytes in, bytes out, without a network or a client.

    python benchmarks/serving/path.py [--rows N] BUNDLE [PROJECT …]

Feeds 64 connections of a server in this process with one request after the other, of one row or of
N, and prints the microseconds of processor time that one takes, with the prediction log. Several
folders of projects take turns, each in a process of its own, so that two states of the code are
compared within one run.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
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


async def measured(bundle: Path, rows: int, log: Path) -> float:
    """Return the microseconds of a request of so many rows."""
    import uvicorn
    from uvicorn.server import ServerState

    from mlops.serving.app import create
    from mlops.serving.settings import ServingSettings
    from mlops.serving.transport import Protocol

    app = create(ServingSettings(bundle=bundle, watch_seconds=0, log_folder=log))
    golden = [one["row"] for one in json.loads((bundle / "golden.json").read_text())]
    several = [golden[i % len(golden)] for i in range(rows)]
    body = json.dumps(several if rows > 1 else golden[0]).encode()
    most = max(1000, REQUESTS // rows)
    kept = {"ws": "none", "interface": "asgi3", "proxy_headers": False, "log_config": None}
    config = uvicorn.Config(app, http=Protocol, **kept)
    config.load()
    taken = 0.0
    told = {"direct": app.direct} if hasattr(app, "direct") else {}  # which older states have not
    async with app.router.lifespan_context(app):
        for requests in (most // 10, most):
            load = Load(HEAD % len(body) + body, requests)
            wires = [Wire(load) for _ in range(CONNECTIONS)]
            for wire in wires:
                about = {"config": config, "server_state": ServerState(), "app_state": {}}
                wire.protocol = Protocol(**about, **told)
                wire.protocol.connection_made(wire)
            began = time.process_time()
            for wire in wires:
                wire.protocol.data_received(load.request)
            await load.done.wait()
            taken = time.process_time() - began
    return taken / most * 1e6


def once(bundle: Path, rows: int) -> float:
    """Return the microseconds of a request, with a log in a folder of its own."""
    import uvloop

    with tempfile.TemporaryDirectory() as log:
        return uvloop.run(measured(bundle, rows, Path(log)))


def main(bundle: Path, rows: int, projects: list[Path]) -> None:
    """Print a line for each project."""
    found: dict[Path, list[float]] = {project: [] for project in projects}
    command = [sys.executable, __file__, "--once", "--rows", str(rows), str(bundle)]
    for _ in range(ROUNDS):
        for project, each in found.items():
            code = os.pathsep.join(f"{project}/{name}" for name in ("engine/src", "src"))
            done = subprocess.run(
                command,
                env={**os.environ, "PYTHONPATH": code, "OMP_NUM_THREADS": "1"},
                check=True,
                capture_output=True,
                text=True,
            )
            each.append(float(done.stdout))
    for project, each in found.items():
        print(f"{statistics.median(each):6.1f} us, least {min(each):6.1f}  {project}")


if __name__ == "__main__":
    asked = argparse.ArgumentParser()
    asked.add_argument("bundle", type=Path)
    asked.add_argument("projects", type=Path, nargs="*", default=[PROJECT])
    asked.add_argument("--rows", type=int, default=1)
    asked.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    told = asked.parse_args()
    if told.once:
        print(once(told.bundle, told.rows))
    else:
        main(told.bundle, told.rows, told.projects)
