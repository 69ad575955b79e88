"""Work that runs in processes of Ray comes out as it does in this one, whatever dies."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from baked import SOURCE
from clusters import installed, killed_once
from databases import free_port
from sweeps import thorough

from mlops.compute import ray, task
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


STARTING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
from mlops.compute.backend import backend
from mlops.compute.choice import Compute
try:
    with backend(Compute("ray", 1)) as pool:
        list(pool.map(abs, range(2)))
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_nothing_is_left_where_one_is_interrupted_while_it_starts() -> None:
    installed("ray")
    with tempfile.TemporaryDirectory(prefix="t") as folder:  # short: a path of a socket is bounded
        environment = {"PYTHONPATH": str(SOURCE / "engine/src"), "TMPDIR": folder}
        process = subprocess.Popen(
            [sys.executable, "-c", STARTING], env={**os.environ, **environment}
        )
        end = time.monotonic() + 60
        while not any("gcs_server" in name for name in of(folder)):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        end = time.monotonic() + 20
        while of(folder):
            assert time.monotonic() < end, of(folder)
            time.sleep(0.05)
        assert os.listdir(folder) == []


def of(folder: str) -> list[str]:
    """Return the names of the processes that have this folder for temporary files."""
    names = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == folder:
                names.append(process.name())
        except psutil.Error:
            continue  # it has ended meanwhile
    return names


@pytest.mark.parametrize(
    ("address", "said"), [("127.0.0.1:{port}", "refused"), ("nonsense", "Invalid address format")]
)
def test_an_address_at_which_nothing_answers_is_told(
    monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    installed("ray")
    monkeypatch.setattr(ray, "ANSWER", 0.5)
    silent = Compute("ray", address=address.format(port=free_port()))
    with (
        pytest.raises(ComputeError, match=f"no Ray cluster answers at .*{said}.*: start one, or"),
        backend(silent) as pool,
    ):
        list(pool.map(abs, range(2)))
