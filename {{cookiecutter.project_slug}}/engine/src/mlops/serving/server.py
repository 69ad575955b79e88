"""The serving process: its socket, its signals, and clients that are too slow for it."""

import asyncio
import errno
import os
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from ..errors import ProjectError
from .app import create
from .models import ServedModels
from .settings import ServingSettings
from .slow import SWEEP_SECONDS, Slow
from .telemetry.logs import configure, logger
from .transport import Protocol

BACKLOG = 2048
UNREAD = 1 << 16  # bytes of each client that the system keeps, and hands over at once
LISTENERS = 32  # libuv accepts one connection a turn for each: a burst must not queue for turns


ANY, ANY_V4 = "::", "0.0.0.0"
ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class ServerError(ProjectError):
    """The server cannot be started."""


def serve(settings: ServingSettings) -> None:
    """Serve until a signal ends it; raises ProjectError where it cannot start."""
    configure()
    _raise_open_files()
    bound = _bind(settings.host, settings.port)
    listeners = [*bound, *(one.dup() for one in bound for _ in range(LISTENERS - 1))]
    try:
        app = create(settings)
        models: ServedModels = app.state.models
        models.load()
        config = uvicorn.Config(
            app,
            http=partial(Protocol, refused=app.refused),  # type: ignore[arg-type]
            ws="none",
            interface="asgi3",
            lifespan="on",
            proxy_headers=False,  # nothing asks for a client's address
            log_config=None,
            log_level="error",  # a warning for each rubbish request would fill a disk
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            # The sweep ends what is slow before; this is for a task that nothing ends.
            timeout_graceful_shutdown=int(settings.slow_seconds + settings.deadline_seconds) + 2,
        )
        Server(config, settings, models, app.state.metrics.rejected).run(sockets=listeners)
    except SystemExit as error:  # how uvicorn says that the application did not start
        raise ServerError("the server could not start: see the lines above") from error
    finally:
        for listener in listeners:
            listener.close()


class Server(uvicorn.Server):
    """uvicorn that says it is leaving before it leaves, and closes what is too slow."""

    def __init__(
        self,
        config: uvicorn.Config,
        settings: ServingSettings,
        models: ServedModels,
        rejected: Callable[[str], None],
    ) -> None:
        super().__init__(config)
        self._settings = settings
        self._models = models
        self._rejected = rejected
        self._leave_at = float("inf")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say where."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        reloading: set[asyncio.Task[None]] = set()

        def reload() -> None:
            task = loop.create_task(self._models.reload())
            reloading.add(task)
            task.add_done_callback(reloading.discard)

        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, reload)
        if sockets:
            print(f"serving {self._settings.bundle} at {_address(sockets[0])}", flush=True)

    async def main_loop(self) -> None:
        """Run until told to leave; slow clients are closed until the last one has left."""
        self._sweeping = asyncio.create_task(self._sweep())
        await super().main_loop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, let requests in flight finish, and stop."""
        logger.info("stopping")
        await super().shutdown(sockets)
        self._sweeping.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Turn /readyz to no at once, and leave `drain_seconds` later; a second signal hurries."""
        if self._models.draining:
            self.should_exit = True
            self.force_exit = sig == signal.SIGINT
        self._models.draining = True
        self._leave_at = time.monotonic() + self._settings.drain_seconds

    async def on_tick(self, counter: int) -> bool:
        """Return whether it is time to stop accepting."""
        self.should_exit = self.should_exit or time.monotonic() >= self._leave_at
        return await super().on_tick(counter)

    async def _sweep(self) -> None:
        slow = Slow(self._settings.slow_seconds, self._settings.deadline_seconds)
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for connection in slow.found(self.server_state.connections, time.monotonic()):
                connection.transport.abort()
                self._rejected("slow-client")


def _bind(host: str, port: int) -> list[socket.socket]:
    """Return a bound socket for each address of a host; none connects before the server listens.

    A name may have addresses of both kinds, of which a client chooses. `::` is every address of
    both, and every one of the older kind where the system has no other.
    """
    addresses = _addresses(ANY_V4 if host == ANY and not _has_v6() else host, port)
    bound: list[socket.socket] = []
    try:
        for family, place in addresses:
            try:
                bound.append(_bound(family, (place[0], _port(bound, port), *place[2:])))
            except OSError as error:
                if error.errno not in ABSENT or len(addresses) == 1:
                    raise
        if not bound:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    except OSError as error:
        for one in bound:
            one.close()
        raise ServerError(
            f"{host} port {port} cannot be used ({error.strerror}): stop what uses it, or set "
            "another with --port"
        ) from error
    return bound


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ServerError(f"there is no address {host} ({error}): set another host") from error
    return list(dict.fromkeys((family, place) for family, _, _, _, place in found))


def _port(bound: list[socket.socket], port: int) -> int:
    """Return the port of the next address: that of the first, where any would do."""
    return int(bound[0].getsockname()[1]) if bound else port


def _bound(family: socket.AddressFamily, place: Any) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # as asyncio does; Windows means another thing by it
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(place[0] != ANY))
        bound.bind(place)
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound


def _has_v6() -> bool:
    """Say whether the system takes addresses of the newer kind; containers may have none."""
    try:
        _bound(socket.AF_INET6, ("::1", 0)).close()
    except OSError:
        return False
    return True


def _address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _raise_open_files() -> None:
    """Allow as many open sockets as the system lets this user have."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):
        return
