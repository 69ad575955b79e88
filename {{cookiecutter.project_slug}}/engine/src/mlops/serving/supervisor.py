"""Several processes that serve as one: started together, swapped together, started anew."""

import json
import logging
import os
import selectors
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from ..errors import ProjectError
from . import trial
from .settings import ServingSettings
from .slot import signature
from .sockets import ServerError, address, bind
from .telemetry.joined import bury
from .worker import Worker

AGAIN = 1.0  # seconds before a worker is tried again that did not even start
MANY = "several workers need a system that can fork: set workers to 1"
FAILED = "a worker ended while it started: see the lines above"
UNLIKE = "another worker has loaded another bundle, or none: all go on with the one before"
SIGNALS = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger("mlops.serving")

Work = Callable[[ServingSettings, Worker], None]
Bundles = list[str]


class Member:
    """A worker as its supervisor sees it."""

    def __init__(self, pid: int, channel: socket.socket, name: str) -> None:
        self.pid = pid
        self.channel = channel
        self.name = name
        self.bundles: Bundles | None = None  # none before it has loaded them
        self.serves = False  # once it was told to
        self.answers = False  # once it has said so
        self.dismissed = False
        self.reason = ""
        self._held = b""

    def tell(self, do: str, **more: Any) -> None:
        """Have a worker do something; who is gone is found out elsewhere."""
        self._send(json.dumps({"do": do, **more}).encode() + b"\n")

    def go(self) -> None:
        """Have a worker that waits serve."""
        self.serves = True
        self._send(b"!")

    def dismiss(self) -> None:
        """Have a worker that waits leave."""
        self.dismissed = True
        self.channel.shutdown(socket.SHUT_WR)

    def heard(self) -> Iterator[dict[str, Any]]:
        """Yield what a worker has said since."""
        try:
            self._held += self.channel.recv(1 << 16)
        except (BlockingIOError, ConnectionError, TimeoutError):
            return
        *lines, self._held = self._held.split(b"\n")
        yield from map(json.loads, lines)

    def _send(self, content: bytes) -> None:
        try:
            self.channel.sendall(content)
        except OSError:
            return


class Supervisor:
    """The parent of the workers; it answers no request itself.

    `work` is what a worker does, with the settings and its own end of the channel.
    """

    def __init__(self, settings: ServingSettings, work: Work) -> None:
        self._settings = settings
        self._work = work
        self._members: dict[int, Member] = {}
        self._selector = selectors.DefaultSelector()
        self._folder = Path()
        self._started = 0
        self._restarts = 0
        self._due: list[float] = []  # when workers are to be started anew
        self._is_announced = self._is_leaving = False
        self._failure = ""
        self._agreed: Bundles | None = None  # what all serve
        self._round = self._settled = 0
        self._asked: set[int] = set()  # who has not answered yet in this round
        self._is_wanted = False  # another round
        self._stopped: dict[str, str] = {}  # the experiment that was stopped last, for who follows
        self._seen = self._signatures()
        self._look = settings.watch_seconds
        self._look_at = time.monotonic() + settings.watch_seconds
        self._pending: list[int] = []

    def run(self) -> None:
        """Serve until a signal ends it; raises ServerError where it cannot start."""
        settings = self._settings
        # Held and never listened at: so that nobody takes the port between two workers.
        held = _held(settings)
        place = {"port": held[0].getsockname()[1], "watch_seconds": 0.0}
        self._settings = settings.model_copy(update=place)
        try:
            with _temporary() as folder, self._signals():
                self._folder = folder
                for _ in range(settings.workers):
                    self._start()
                while self._members or (self._due and not self._is_leaving):
                    self._turn(address(held[0]))
        finally:
            for one in held:
                one.close()
        if self._failure:
            raise ServerError(self._failure)

    def _turn(self, where: str) -> None:
        for key, _ in self._selector.select(self._pause()):
            if key.data is None:
                key.fileobj.recv(1 << 10)  # type: ignore[union-attr]
            else:
                self._hear(key.data)
        self._obey()
        self._bury()
        now = time.monotonic()
        if self._is_leaving:
            return
        for _ in [due for due in self._due if due <= now]:
            self._start()
        self._due = [due for due in self._due if due > now]
        self._watch(now)
        self._agree()
        self._swap()
        if not self._is_announced and len(self._answering()) == self._settings.workers:
            self._is_announced = True
            print(f"serving {self._settings.bundle} at {where}", flush=True)

    def _start(self) -> None:
        """Fork a worker."""
        self._started += 1
        mine, its = socket.socketpair()
        name = f"worker-{self._started}"
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            mine.close()
            self._become(Worker(its, name, self._folder))
        its.close()
        mine.settimeout(AGAIN)
        member = self._members[pid] = Member(pid, mine, name)
        self._selector.register(mine, selectors.EVENT_READ, member)

    def _become(self, worker: Worker) -> NoReturn:
        """Be a worker, in the process that was forked."""
        code = 1
        try:
            os.setpgid(
                0, 0
            )  # an interrupt at the terminal is for the supervisor, which passes it on
            signal.set_wakeup_fd(-1)
            for one in (*SIGNALS, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(one, signal.SIG_DFL)
            for member in self._members.values():  # or nobody would see the supervisor go
                member.channel.close()
            self._selector.close()
            self._work(self._settings, worker)
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except ProjectError as error:
            worker.say("failed", reason=str(error))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _hear(self, member: Member) -> None:
        for told in member.heard():
            match told["said"]:
                case "loaded":
                    member.bundles = told["bundles"]
                case "serving":
                    member.answers = True
                    if self._stopped:
                        member.tell("stop", **self._stopped)
                case "prepared":
                    member.bundles = told["bundles"]
                    member.reason = told["reason"]
                    self._asked.discard(member.pid)
                    self._settle()
                case "reload":
                    self._is_wanted = True
                case "stopped":
                    self._stopped = {"reason": told["reason"], "key": told["key"]}
                    for other in self._answering():
                        other.tell("stop", **self._stopped)
                case "failed":
                    member.reason = told["reason"]

    def _obey(self) -> None:
        """Do what signals have said since."""
        pending, self._pending = self._pending, []
        for number in pending:
            if number == signal.SIGHUP:
                self._is_wanted = True
            elif number in SIGNALS:
                self._leave(number)

    def _leave(self, number: int) -> None:
        self._is_leaving = True
        for pid in self._members:
            os.kill(pid, number)

    def _bury(self) -> None:
        """Let go of workers that have ended, and have others started."""
        for pid in [*self._members]:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            member = self._members[pid]
            self._hear(member)
            del self._members[pid]
            self._selector.unregister(member.channel)
            member.channel.close()
            if not self._is_leaving:
                self._replace(member, os.waitstatus_to_exitcode(status))
            self._asked.discard(pid)
            self._settle()

    def _replace(self, member: Member, code: int) -> None:
        if member.dismissed:
            self._due.append(time.monotonic() + AGAIN if self._is_announced else 0.0)
            return
        if not self._is_announced or (not member.answers and not self._answering()):
            self._failure = self._failure or member.reason or FAILED
            self._leave(signal.SIGTERM)
            return
        self._restarts += 1
        bury(self._folder, member.name, self._restarts)
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        reason = f"a worker ended ({member.reason or ended}) and is started anew"
        logger.error("worker", extra={"reason": reason})
        self._due.append(0.0 if member.answers else time.monotonic() + AGAIN)

    def _watch(self, now: float) -> None:
        """See whether a folder has changed."""
        if self._look and now >= self._look_at:
            self._look_at = now + self._look
            seen = self._signatures()
            if seen != self._seen:
                self._is_wanted = True

    def _agree(self) -> None:
        """Have workers serve that have loaded what all serve, and the others leave."""
        loaded = [
            one
            for one in self._members.values()
            if one.bundles is not None and not one.serves and not one.dismissed
        ]
        if self._asked or not loaded:
            return
        if self._agreed is None:
            if len(loaded) < self._settings.workers:
                return
            if any(one.bundles != loaded[0].bundles for one in loaded):  # swapped meanwhile
                for member in loaded:
                    member.dismiss()
                return
            self._agreed = loaded[0].bundles
        for member in loaded:
            if member.bundles == self._agreed:
                member.go()
            elif self._seen != self._signatures():
                self._is_wanted = True  # it has seen what the others are still to be told
            else:
                member.dismiss()

    def _swap(self) -> None:
        """Have every worker that serves load what there is now."""
        if not self._is_wanted or self._asked or not self._is_announced:
            return
        self._is_wanted = False
        self._seen = self._signatures()
        self._round += 1
        answering = self._answering()
        self._asked = {member.pid for member in answering}
        for member in answering:
            member.tell("prepare", round=self._round)

    def _settle(self) -> None:
        """Have all serve what all have loaded, or all what they served before."""
        if self._asked or not self._round or self._round == self._settled:
            return
        self._settled = self._round
        answering = [one for one in self._answering() if one.bundles is not None]
        bundles = [one.bundles for one in answering]
        reason = ""
        if answering and all(one == bundles[0] for one in bundles):
            self._agreed = bundles[0]
        else:
            refusals = [one.reason for one in answering if one.reason]
            reason = refusals[0] if refusals else UNLIKE
            for one in answering:
                one.bundles = self._agreed
            self._is_wanted = self._seen != self._signatures()
        for member in answering:
            member.tell("settle", round=self._round, reason=reason)

    def _answering(self) -> list[Member]:
        return [member for member in self._members.values() if member.answers]

    def _signatures(self) -> list[Any]:
        folders = (self._settings.bundle, self._settings.challenger)
        found: list[Any] = [signature(folder) for folder in folders if folder is not None]
        experiment = self._settings.experiment
        return found if experiment is None else [*found, trial.signature(experiment)]

    def _pause(self) -> float:
        now = time.monotonic()
        times = [*self._due, self._look_at if self._look else now + AGAIN, now + AGAIN]
        return max(0.0, min(times) - now)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Note signals, each of which ends a pause."""
        read, write = socket.socketpair()
        write.setblocking(False)
        self._selector.register(read, selectors.EVENT_READ)

        def note(number: int, frame: FrameType | None) -> None:
            self._pending.append(number)

        every = (*SIGNALS, signal.SIGHUP, signal.SIGCHLD)
        before = {number: signal.signal(number, note) for number in every}
        woken = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)
            read.close()
            write.close()


def supervise(settings: ServingSettings, work: Work) -> None:
    """Have several workers serve until a signal ends them; raises ServerError."""
    if not hasattr(os, "fork"):
        raise ServerError(MANY)
    Supervisor(settings, work).run()


def _held(settings: ServingSettings) -> list[socket.socket]:
    """Return bound sockets that keep the port for the workers; raises ServerError."""
    if settings.port:
        for one in bind(settings.host, settings.port):  # two servers could share what is shared
            one.close()
    return bind(settings.host, settings.port, shares=True)


@contextmanager
def _temporary() -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="mlops-workers-")
    except OSError as error:
        raise ServerError(
            f"workers need a folder for temporary files ({error.strerror}): set TMPDIR to one "
            "that this user may write, or workers to 1"
        ) from error
    with folder:
        yield Path(folder.name)
