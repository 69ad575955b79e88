"""Work that runs in processes of Ray comes out as it does in this one, whatever dies."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import installed, killed_once
from sweeps import thorough

from mlops.compute import task
from mlops.compute.backend import Pool, backend
from mlops.compute.choice import Compute, ComputeError
from mlops.errors import ProjectError

pytestmark = [
    thorough,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of Ray's own sockets and logs
]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    installed("ray")
    with backend(Compute("ray", 2)) as pool:
        yield pool


def test_tasks_run_in_workers_and_come_back_in_order(pool: Pool) -> None:
    found = list(pool.map(lambda n: (n**2, os.getpid()), range(20)))
    assert [value for value, _ in found] == [n**2 for n in range(20)]
    assert os.getpid() not in {process for _, process in found}
    assert pool.workers(1) == 2
    with pool.sent(lambda n: -n) as call:
        assert (call(3), call(4)) == (-3, -4)


def test_an_error_of_a_task_is_raised_as_it_is(pool: Pool) -> None:
    def fails(number: int) -> int:
        raise ProjectError(f"row {number} is wrong: correct it")

    with pytest.raises(ProjectError, match=r"^row 0 is wrong: correct it$"):
        list(pool.map(fails, range(4)))


def test_the_task_of_a_worker_that_died_runs_again(pool: Pool, tmp_path: Path) -> None:
    assert killed_once(pool, tmp_path, 6) == ([n**2 for n in range(6)], 1)


def test_a_worker_of_other_code_is_refused(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool._started(), "_ours", task.likeness() | {"engine/src": "other"})
    with pytest.raises(ComputeError, match="is not like this project"):
        list(pool.map(abs, range(2)))
