"""The pool that steps hand work to: `with backend() as pool: pool.map(function, items)`.

Results come in the order of the items, whoever computed them and whenever. A task gets nothing but
the function and its item, so what it draws by chance, it draws from a seed that these hold.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar

from ..progress import progress
from .choice import Compute, ComputeError, chosen

T = TypeVar("T")
R = TypeVar("R")
PACKAGES = {"dask": "distributed", "ray": "ray"}


class Running(Protocol):
    """Where tasks run, once it is there."""

    workers: int | None  # None: as many as a step says

    def sent(
        self, function: Callable[[Any], Any], threads: int
    ) -> AbstractContextManager[Callable[[Any], Any]]:
        """Yield what runs the function on an item and waits for that; threads may share it."""

    def map(
        self, function: Callable[[Any], Any], items: Sequence[Any], at_once: int, threads: int
    ) -> Iterator[Any]:
        """Yield the results in the order of the items."""


class Pool:
    """Where tasks run; a cluster is started when the first of several comes.

    A function is handed over once, with all that it refers to, and has to be one that cloudpickle
    can send. `threads` are those that each task may have of numerical libraries.
    """

    def __init__(self, compute: Compute, stack: ExitStack) -> None:
        self._compute, self._stack = compute, stack
        self._running: Running | None = None

    @property
    def is_local(self) -> bool:
        """Whether tasks run in this process."""
        return self._compute.backend == "local"

    def workers(self, at_once: int = 1) -> int:
        """Return how many tasks run at once, of a step that itself says `at_once`."""
        return self._started().workers or at_once

    def sent(
        self, function: Callable[[T], R], threads: int = 1
    ) -> AbstractContextManager[Callable[[T], R]]:
        """Yield what runs the function on an item, wherever, and waits for its result."""
        return self._started().sent(function, threads)

    def map(
        self,
        function: Callable[[T], R],
        items: Sequence[T],
        *,
        at_once: int = 1,
        threads: int = 1,
        title: str | None = None,
        unit: str = "task",
    ) -> Iterator[R]:
        """Yield the result of each item, in their order; `at_once` is what a local run has."""
        if not items:
            return
        running = self._started() if len(items) > 1 else _here()
        results = running.map(function, items, at_once, threads)
        yield from progress(results, title, unit=unit, total=len(items), disable=title is None)

    def _started(self) -> Running:
        if self._running is None:
            self._running = self._stack.enter_context(_start(self._compute))
        return self._running


_opened: list[Pool] = []


@contextmanager
def backend(compute: Compute | None = None, alone: bool = False) -> Iterator[Pool]:
    """Yield the pool of this process: what is chosen, until the outermost of such blocks ends.

    With `alone` it is this process, whatever is chosen: the work is not worth sending. Raises
    ComputeError where what is chosen is wrong or not installed.
    """
    if _opened and compute is None and not alone:
        yield _opened[-1]
        return
    asked = Compute() if alone else compute or chosen()
    check_installed(asked)
    with ExitStack() as stack:
        pool = Pool(asked, stack)
        if alone:
            yield pool
            return
        _opened.append(pool)
        stack.callback(_opened.remove, pool)
        yield pool


def check_installed(compute: Compute) -> None:
    """Raise ComputeError where the packages of a backend are not installed."""
    name = compute.backend
    if name in PACKAGES and find_spec(PACKAGES[name]) is None:
        raise ComputeError(
            f"compute is {name}, and {PACKAGES[name]} is not installed: name it as `compute` under "
            f"[tool.mlops] in pyproject.toml or as MLOPS_COMPUTE, then run `make setup`, which "
            f"installs requirements/compute-{name}.txt"
        )


def _start(compute: Compute) -> AbstractContextManager[Running]:
    if compute.backend == "dask":
        from . import dask

        return dask.started(compute)
    if compute.backend == "ray":
        from . import ray

        return ray.started(compute)
    return nullcontext(_here(compute.workers))


def _here(workers: int | None = None) -> Running:
    from .local import Threads

    return Threads(workers)
