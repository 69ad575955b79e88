"""Processes of Dask: of this machine, or of a cluster that is there."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any
from uuid import uuid4

from .choice import NAME, Compute, ComputeError
from .task import ANSWER, Cluster, Order, check_alike, deadly, likeness, plain, run, silent

PATIENCE = 60.0  # seconds for which a cluster may have no worker
POLL = 5.0
# Dask warns of what a task carries; ours is carried once, and has to be there when a worker dies.
# With Dask's threshold each freed array goes back to the system, to be faulted in anew.
CONFIGURATION = {
    "distributed.admin.large-graph-warning-threshold": "1TB",
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
}


@contextmanager
def started(compute: Compute) -> Iterator["Dask"]:
    """Yield workers that are like this process; those started here end with the block.

    Raises ComputeError where the cluster does not answer, or is not like this project.
    """
    dask, distributed = import_module("dask"), import_module("distributed")
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(CONFIGURATION))
        if compute.address is None:
            scratch = stack.enter_context(
                TemporaryDirectory(prefix="mlops-dask-", ignore_cleanup_errors=True)
            )
            stack.enter_context(dask.config.set({"temporary-directory": scratch}))
            place = stack.enter_context(_cluster(distributed, compute, scratch))
        else:
            place = compute.address
            _ask(distributed, compute.address)
        client = distributed.Client(place, timeout=PATIENCE, set_as_default=False)
        stack.enter_context(client)
        yield Dask(distributed, client, compute.address)


def _ask(distributed: Any, address: str) -> None:
    """Raise ComputeError where no scheduler answers.

    A client that was refused tries for minutes to close what it never had, and prints how it fails.
    """

    async def connect() -> None:
        told = distributed.Security().get_connection_args("client")
        connection = await distributed.comm.connect(address, timeout=ANSWER, **told)
        await connection.close()

    try:
        asyncio.run(connect())
    # TypeError: TLS without certificates.
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise silent("Dask scheduler", address, error) from error


def _cluster(distributed: Any, compute: Compute, scratch: str) -> Any:
    """Return workers of this machine, one task each; nobody else's program can reach them."""
    return distributed.LocalCluster(
        n_workers=compute.workers or len(os.sched_getaffinity(0)),
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",  # or it would be seen from outside
        memory_limit=0,  # the system's own: a fit may need more than its share
        security=True,  # certificates of its own: what reaches the port could run code
        silence_logs=logging.CRITICAL,  # an error of a task is told where it is raised again
        env={
            NAME: "local",
            "DASK_LOGGING__DISTRIBUTED": "critical",
            "DASK_TEMPORARY_DIRECTORY": scratch,
        },
    )


class Dask(Cluster):
    """Runs tasks in the workers of a scheduler; those of a worker that died run again."""

    def __init__(self, distributed: Any, client: Any, address: str | None) -> None:
        self._distributed, self._client = distributed, client
        self._ours = likeness()
        self._check(address)
        self.workers: int | None = len(client.scheduler_info(n_workers=-1)["workers"])

    def _check(self, address: str | None) -> None:
        try:
            if address:
                self._client.wait_for_workers(1, timeout=PATIENCE)
            told = self._client.run(likeness)
        except (ImportError, AttributeError, TimeoutError) as error:
            raise ComputeError(
                f"the workers at {address} do not run the engine of this project "
                f"({plain(error)}): start them in a checkout of this commit, as "
                "engine/docs/compute.md has it"
            ) from error
        for worker, theirs in told.items():
            check_alike(self._ours, theirs, f"worker {worker}")

    def map(
        self, function: Callable[[Any], Any], items: Sequence[Any], at_once: int, threads: int
    ) -> Iterator[Any]:
        """Yield the results in the order of the items."""
        submit = self._sent(function, threads)
        futures = [submit(item) for item in items][::-1]  # what nobody holds, a worker forgets
        while futures:
            yield self._result(futures.pop())

    def _sent(self, function: Callable[[Any], Any], threads: int) -> Callable[[Any], Any]:
        import cloudpickle

        order = Order(self._ours, uuid4().hex, threads, os.getcwd())
        # A task of its own, which the scheduler has made again where the worker that has it dies.
        payload = self._client.submit(bytes, cloudpickle.dumps(function), pure=False)

        def submit(item: Any) -> Any:
            return self._client.submit(run, payload, order, item, pure=False)

        return submit

    def _result(self, future: Any) -> Any:
        alone, done = 0.0, Event()  # seconds
        future.add_done_callback(lambda _: done.set())
        try:
            while not done.wait(POLL):
                alone = (
                    0.0 if self._client.scheduler_info(n_workers=-1)["workers"] else alone + POLL
                )
                if alone >= PATIENCE:
                    raise ComputeError(
                        f"no worker of Dask is left for {alone:g} seconds: see why they end, start "
                        "them again, and run this again"
                    )
            return future.result()
        except self._distributed.KilledWorker as error:
            raise deadly(error) from error
        except self._distributed.CancelledError as error:
            raise ComputeError(
                f"the Dask scheduler is gone ({plain(error)}): run this again once it is back"
            ) from error
