"""Processes of Ray: of this machine, or of a cluster that is there."""

import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from tempfile import mkdtemp
from typing import Any
from uuid import uuid4

from .choice import NAME, Compute, ComputeError
from .task import ANSWER, Cluster, Order, check_alike, deadly, likeness, plain, run, silent

RETRIES = 3  # of a task whose worker died
ENDING = 5.0  # seconds in which processes that end still write into their folder
# It would send figures on its use, and warn of a setting that comes.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
QUIET |= {"RAY_IGNORE_UNHANDLED_ERRORS": "1"}  # they are told where they are raised again


@contextmanager
def started(compute: Compute) -> Iterator["Ray"]:
    """Yield workers that are like this process; those started here end with the block.

    Raises ComputeError where the cluster does not answer, or is not like this project.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    ray = import_module("ray")
    told: dict[str, Any] = {"address": compute.address}
    with ExitStack() as stack:
        try:
            if compute.address is None:
                told = _own(compute, stack.enter_context(_scratch()))
            else:
                _ask(compute.address)
            with _whole():
                ray.init(**told, log_to_driver=False, logging_level="ERROR")
                stack.callback(ray.shutdown)
        except (OSError, ValueError, RuntimeError) as error:
            raise silent("Ray cluster", compute.address or "this machine", error) from error
        yield Ray(ray)


@contextmanager
def _whole() -> Iterator[None]:
    """Have Ctrl-C wait for what starts processes: cut off, it would leave some for minutes."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    asked: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: asked.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt


def _own(compute: Compute, scratch: str) -> dict[str, Any]:
    """Return what Ray is told of processes that it starts here, and that end with this one."""
    cores = compute.workers or len(os.sched_getaffinity(0))
    told: dict[str, Any] = {"address": "local", "num_cpus": cores, "include_dashboard": False}
    return told | {"runtime_env": {"env_vars": {NAME: "local"}}, "_temp_dir": scratch}


@contextmanager
def _scratch() -> Iterator[str]:
    """Yield a folder for Ray's logs and sockets, which others of this machine cannot enter.

    A path of a socket has 107 characters at most: hence the short name, and macOS' shorter folder.
    """
    folder = mkdtemp(prefix="ray", dir="/tmp" if sys.platform == "darwin" else None)
    try:
        yield folder
    finally:
        end = time.monotonic() + ENDING
        while os.path.exists(folder) and time.monotonic() < end:
            shutil.rmtree(folder, ignore_errors=True)
            time.sleep(0.1)


def _ask(address: str) -> None:
    """Raise OSError or ValueError where nothing listens: Ray itself would try for two minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return  # `auto`, or what Ray refuses itself
    end = time.monotonic() + ANSWER
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return


class Ray(Cluster):
    """Runs tasks in the workers of a cluster; those of a worker that died run again."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._ours = likeness()
        self._task = ray.remote(run).options(max_retries=RETRIES, num_cpus=1)
        try:
            theirs = ray.get(ray.remote(likeness.__wrapped__).remote())
        except ray.exceptions.RayError as error:
            raise ComputeError(
                f"the workers do not run the engine of this project ({plain(error)}): start them "
                "in a checkout of this commit, as engine/docs/compute.md has it"
            ) from error
        check_alike(self._ours, theirs, "a worker of Ray")
        self.workers: int | None = max(1, int(ray.cluster_resources().get("CPU", 1)))

    def map(
        self, function: Callable[[Any], Any], items: Sequence[Any], at_once: int, threads: int
    ) -> Iterator[Any]:
        """Yield the results in the order of the items."""
        submit = self._sent(function, threads)
        waiting = [submit(item) for item in items][::-1]
        try:
            while waiting:
                yield self._result(waiting.pop())
        finally:
            for reference in waiting:
                self._ray.cancel(reference)

    def _sent(self, function: Callable[[Any], Any], threads: int) -> Callable[[Any], Any]:
        import cloudpickle

        order = Order(self._ours, uuid4().hex, threads, os.getcwd())
        payload = self._ray.put(cloudpickle.dumps(function))
        return lambda item: self._task.remote(payload, order, item)

    def _result(self, reference: Any) -> Any:
        known = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except known.RayTaskError as error:
            raise error.cause from error
        except known.WorkerCrashedError as error:
            raise deadly(error) from error
        except known.RayError as error:
            raise ComputeError(
                f"Ray cannot run a task ({plain(error)}): run this again, or with MLOPS_COMPUTE="
                "local"
            ) from error
