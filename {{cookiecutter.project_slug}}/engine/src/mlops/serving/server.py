"""The serving process: its socket, its signals, and clients that are too slow for it."""

import asyncio
import signal
import socket
import time
from functools import partial
from types import FrameType

import uvicorn

from .app import create
from .models import ServedModels
from .settings import ServingSettings
from .slow import SWEEP_SECONDS, Slow
from .sockets import ServerError, address, bind
from .telemetry.logs import configure, logger
from .telemetry.metrics import Metrics
from .transport import Protocol
from .worker import Worker

BACKLOG = 2048
LISTENERS = 32  # libuv accepts one connection a turn for each: a burst must not queue for turns


def serve(settings: ServingSettings) -> None:
    """Serve until a signal ends it; raises ProjectError where it cannot start."""
    configure()
    _raise_open_files()
    if settings.workers == 1:
        work(settings)
        return
    from .supervisor import supervise

    supervise(settings, work)


def work(settings: ServingSettings, worker: Worker | None = None) -> None:
    """Serve in this process, alone or as one of several workers; raises ProjectError."""
    bound = bind(settings.host, settings.port, shares=worker is not None)
    listeners = [*bound, *(one.dup() for one in bound for _ in range(LISTENERS - 1))]
    try:
        app = create(settings)
        models: ServedModels = app.state.models
        models.load()
        if worker is not None:
            app.state.metrics.joined = worker.joined
            if not worker.wait(models):
                return
        config = uvicorn.Config(
            app,
            http=partial(Protocol, refused=app.refused, direct=app.direct),  # type: ignore[arg-type]
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
        Server(config, settings, models, app.state.metrics, worker).run(sockets=listeners)
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
        metrics: Metrics,
        worker: Worker | None = None,
    ) -> None:
        super().__init__(config)
        self._settings = settings
        self._models = models
        self._metrics = metrics
        self._worker = worker
        self._leave_at = float("inf")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say where."""
        await super().startup(sockets)
        if self._worker is not None:
            await self._worker.join(self._models, self._metrics, self.handle_exit)
            return
        loop = asyncio.get_running_loop()
        reloading: set[asyncio.Task[None]] = set()

        def reload() -> None:
            task = loop.create_task(self._models.reload())
            reloading.add(task)
            task.add_done_callback(reloading.discard)

        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, reload)
        if sockets:
            print(f"serving {self._settings.bundle} at {address(sockets[0])}", flush=True)

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
                self._metrics.rejected("slow-client")


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
