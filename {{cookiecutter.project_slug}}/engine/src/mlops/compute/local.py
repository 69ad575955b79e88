"""Threads of this process."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any


class Threads:
    """Runs tasks in this process: one after the other, or in threads where there are several."""

    def __init__(self, workers: int | None) -> None:
        self.workers = workers

    @contextmanager
    def sent(self, function: Callable[[Any], Any], threads: int) -> Iterator[Callable[[Any], Any]]:
        """Yield the function itself."""
        with limited(threads):  # around all workers, who would undo each other's
            yield function

    def map(
        self, function: Callable[[Any], Any], items: Sequence[Any], at_once: int, threads: int
    ) -> Iterator[Any]:
        """Yield the results in the order of the items."""
        workers = min(self.workers or at_once, len(items))
        with limited(threads):
            if workers == 1:
                yield from map(function, items)
                return
            with ThreadPoolExecutor(workers) as pool:
                results = [pool.submit(function, item) for item in items]
                try:
                    for result in results:
                        yield result.result()
                finally:
                    pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Let numerical libraries have so many threads."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=threads):
        yield
