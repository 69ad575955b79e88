"""Real PostgreSQL and Redis servers for the tests that need one."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

REQUIRED = "DATABASES_REQUIRED"  # set where a missing server is a failure
PATIENCE = 60.0  # seconds
USER = "postgres"  # that of Debian's package: PostgreSQL does not run as root


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str, package: str) -> Path:
    """Return where a server's program is, or skip the test that needs it."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if on_path := shutil.which(name):
        found.append(Path(on_path))
    if not found:
        reason = f"no {name} here: install {package}"
        if os.environ.get(REQUIRED):
            pytest.fail(reason)
        pytest.skip(reason)
    return found[-1]


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a PostgreSQL of its own; yield the address of its empty database."""
    binaries = program("initdb", "postgresql").parent
    account = {"user": USER, "group": USER} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # below the user's own, another may not look
    try:
        if account:
            shutil.chown(folder, **account)
        port, data = free_port(), folder / "data"

        def run(name: str, *given: str) -> None:
            done = subprocess.run(
                [binaries / name, *given],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                **account,  # type: ignore[call-overload]
            )
            assert done.returncode == 0, done.stdout

        run("initdb", "-D", str(data), "-U", USER, "-A", "trust", "--no-sync")
        settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = str(folder / "log")
        waited = ["-w", "-t", f"{PATIENCE:g}"]
        run("pg_ctl", "-D", str(data), *waited, "-l", log, "-o", settings, "start")
        try:
            yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a Redis of its own that keeps nothing on disk; yield its address."""
    binary = program("redis-server", "redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with subprocess.Popen(
            [binary, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as running:
            try:
                _wait(port, running)
                yield f"redis://127.0.0.1:{port}/0"
            finally:
                running.kill()


def _wait(port: int, running: subprocess.Popen[str]) -> None:
    """Wait until something listens on a port."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        assert running.poll() is None, running.communicate()[0]
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError(f"nothing listens on port {port} after {PATIENCE:g} s")
