"""Results come in the order of the items, wherever they were computed."""

import threading
from itertools import count

import pytest

from mlops.compute.backend import backend
from mlops.compute.choice import Compute
from mlops.errors import ProjectError


@pytest.mark.parametrize("workers", [None, 1, 3])
@pytest.mark.parametrize("at_once", [1, 2])
def test_results_are_in_order(workers: int | None, at_once: int) -> None:
    with backend(Compute("local", workers)) as pool:
        assert list(pool.map(lambda n: n * n, range(9), at_once=at_once)) == [
            n * n for n in range(9)
        ]
        assert list(pool.map(str, [])) == []
        assert pool.workers(at_once) == (workers or at_once)


def test_tasks_run_at_once() -> None:
    both = threading.Barrier(2)
    with backend(Compute("local", 2)) as pool:
        assert len(list(pool.map(lambda _: both.wait(60), range(2)))) == 2


def test_the_first_error_ends_what_has_not_begun() -> None:
    begun = count()

    def fails(number: int) -> None:
        next(begun)
        raise ProjectError(f"task {number}")

    with backend(Compute("local", 2)) as pool, pytest.raises(ProjectError, match="task 0"):
        list(pool.map(fails, range(1000)))
    assert next(begun) < 1000


def test_a_block_inside_another_has_the_same_pool() -> None:
    with backend(Compute("local", 2)) as pool:
        with backend() as inner:
            assert inner is pool
        with backend(alone=True) as alone:
            assert alone.workers() == 1
        with backend(Compute("local", 5)) as other:
            assert other.workers() == 5
        with backend() as inner:
            assert inner is pool
