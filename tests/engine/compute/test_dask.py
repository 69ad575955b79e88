"""Work that runs in processes of Dask comes out as it does in this one, whatever dies."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from baked import SOURCE
from clusters import installed, killed_once
from databases import free_port
from sweeps import thorough

from mlops.compute import dask, task
from mlops.compute.backend import Pool, backend
from mlops.compute.choice import Compute, ComputeError
from mlops.config.settings import Training, Tuning, load
from mlops.data.errors import DataError
from mlops.data.prepare import prepare
from mlops.errors import ProjectError
from mlops.files import tree_sha256
from mlops.gate.crossfit import cross_fit
from mlops.metrics import bootstrap
from mlops.serving.batch import predict
from mlops.training.fitting import Fitting


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    installed("dask")
    with backend(Compute("dask", 2)) as pool:
        yield pool


def test_tasks_run_in_workers_and_come_back_in_order(pool: Pool) -> None:
    shift = np.arange(20)
    found = list(pool.map(lambda n: (int(shift[n]) ** 2, os.getpid()), range(20)))
    assert [value for value, _ in found] == [n**2 for n in range(20)]
    assert os.getpid() not in {process for _, process in found}
    assert pool.workers(1) == 2
    with pool.sent(lambda n: int(shift[n])) as call:
        assert (call(3), call(4)) == (3, 4)


def test_a_worker_keeps_the_memory_that_it_frees(pool: Pool) -> None:
    names = ["MALLOC_TRIM_THRESHOLD_", "OMP_NUM_THREADS"]
    assert list(pool.map(os.environ.get, names)) == [None, "1"]


def test_an_error_of_a_task_is_raised_as_it_is(pool: Pool) -> None:
    def fails(number: int) -> int:
        if number == 2:
            raise ProjectError("row 2 is wrong: correct it")
        return number

    with pytest.raises(ProjectError, match=r"^row 2 is wrong: correct it$"):
        list(pool.map(fails, range(4)))


def test_the_task_of_a_worker_that_died_runs_again(pool: Pool, tmp_path: Path) -> None:
    assert killed_once(pool, tmp_path, 6) == ([n**2 for n in range(6)], 1)


def test_a_worker_of_other_code_is_refused(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = task.likeness()
    theirs = ours | {"engine/src": "other", "numpy": "1.0"}
    with pytest.raises(ComputeError, match=r"another engine/src, numpy 1.0 for .* start it in a"):
        task.check_alike(ours, theirs, "worker x")
    task.check_alike(ours, dict(ours), "worker x")
    # As if it were ours that had changed since they started.
    monkeypatch.setattr(pool._started(), "_ours", theirs)
    with pytest.raises(ComputeError, match="is not like this project"):
        list(pool.map(abs, range(2)))


def test_draws_and_refits_are_the_same_to_the_bit(pool: Pool) -> None:
    drawn = np.random.default_rng(3)
    matrix, fold = drawn.normal(size=(400, 3)), np.arange(400) % 4
    target = (matrix[:, 0] > 0).astype(np.int64)
    values = drawn.normal(size=400)

    def figures() -> list[np.ndarray]:
        fits = cross_fit("binary", matrix, target, fold, matrix[:50], 2)
        means = bootstrap.resample(lambda w: w @ values[:, None], 400, 500, 1, threads=2)
        return [fits.own, fits.other, means]

    there = figures()
    with backend(Compute()):
        here = figures()
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, other)


def test_parts_and_answers_are_the_same_to_the_byte(
    pool: Pool, trained: Path, tmp_path: Path
) -> None:
    settings = load(trained / "resolved.yaml")
    raw, bundle = trained / "data/raw", trained / "candidate"

    def made(name: str) -> list[str]:
        (tmp_path / name).mkdir()
        with chdir(tmp_path / name):
            prepare(settings.data, settings.split, raw, Path("prepared"))
            notes = predict(raw, Path("answers.parquet"), bundle, rows=300, ids=True).notes
            predict(raw, Path("answers.csv"), bundle, at=None)
        return [tree_sha256(tmp_path / name), *notes]

    there = made("there")
    with backend(Compute()):
        assert made("here") == there


def test_broken_cells_are_told_in_the_order_of_the_files(
    pool: Pool, trained: Path, tmp_path: Path
) -> None:
    settings = load(trained / "resolved.yaml")
    for path in sorted((trained / "data/raw").iterdir()):
        rows = pd.read_parquet(path)
        rows.assign(contract_type="odd").to_parquet(tmp_path / path.name)
    told = []
    for compute in (None, Compute()):
        with pytest.raises(DataError) as error, backend(compute):
            prepare(settings.data, settings.split, tmp_path, tmp_path / "out")
        told.append(str(error.value))
    assert told[0] == told[1]
    assert not (tmp_path / "out").exists()


def test_a_search_finds_the_same(pool: Pool, trained: Path) -> None:
    settings = msgspec.structs.replace(
        load(trained / "resolved.yaml"),
        training=Training(folds=2),
        tuning=Tuning("optuna", trials=4, folds=2, batch=2),
    )
    found = []
    for compute in (None, Compute()):
        with backend(compute), chdir(trained):
            fit = Fitting(settings, Path("data/prepared"))
            tuned = fit.tuned()
            found.append((tuned, fit.cross_validated(tuned[0])))
            (trained / ".mlops/studies.db").unlink()
    assert found[0] == found[1]


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
from mlops.cli import main
from mlops.compute.backend import backend
from mlops.compute.choice import Compute
from mlops.cli import stages
import os
def slow(_):
    with backend(Compute("dask", 2)) as pool:
        pids = [pid for pid in pool.map(lambda n: __import__("os").getpid(), range(8))]
        print(*sorted(set(pids)), flush=True)
        list(pool.map(lambda n: __import__("time").sleep(600), range(2)))
stages.mend = slow
slow.__name__ = "mend"
if __name__ == "__main__":
    sys.exit(main(["mend"]))
"""


def test_no_process_is_left_where_one_is_interrupted(tmp_path: Path) -> None:
    installed("dask")
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    (tmp_path / "params.yaml").touch()
    with subprocess.Popen(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SOURCE / "engine/src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        workers = [int(text) for text in process.stdout.readline().split()]
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal
        _, said = process.communicate(timeout=120)
    assert workers
    assert process.returncode == 130, said
    assert said.strip().splitlines()[-1] == "mlops mend: interrupted"
    # They end when it does, each by itself.
    deadline = time.monotonic() + 60
    while [pid for pid in workers if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@thorough
def test_a_task_that_kills_every_worker_is_told() -> None:
    installed("dask")
    with (
        backend(Compute("dask", 2)) as pool,
        pytest.raises(ComputeError, match=r"has ended the worker .* give it more memory, "),
    ):
        list(pool.map(lambda _: os.kill(os.getpid(), signal.SIGKILL), range(2)))


def test_a_scheduler_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    installed("dask")
    monkeypatch.setattr(dask, "ANSWER", 0.5)
    silent = Compute("dask", address=f"tcp://127.0.0.1:{free_port()}")
    said = r"no Dask scheduler answers at tcp://.* start one, or .* or MLOPS_COMPUTE_ADDRESS"
    with pytest.raises(ComputeError, match=said), backend(silent) as pool:
        list(pool.map(abs, range(2)))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nonsense", "missing port"),
        ("http://there:1", "unknown address scheme"),
        ("tls://127.0.0.1:1", "check your TLS configuration"),
    ],
)
def test_an_address_that_is_none_is_told_at_once(tmp_path: Path, address: str, said: str) -> None:
    """In one line, and without what a client prints that cannot close what it never had."""
    installed("dask")
    lines = (
        "from mlops.compute.backend import backend",
        "from mlops.compute.choice import ComputeError",
        "try:",
        "    with backend() as pool: list(pool.map(abs, range(2)))",
        "except ComputeError as error: print(error)",
    )
    environment = {"PYTHONPATH": str(SOURCE / "engine/src"), "MLOPS_COMPUTE": "dask"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=tmp_path,
        env={**os.environ, **environment, "MLOPS_COMPUTE_ADDRESS": address},
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        f"no Dask scheduler answers at {address} .*{said}.*: start one, .*\n", done.stdout
    )


def test_a_cluster_leaves_nothing_where_temporary_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("dask")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with backend(Compute("dask", 1)) as pool:
        list(pool.map(abs, range(2)))
        (scratch,) = tmp_path.iterdir()
        assert scratch.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


@contextmanager
def cluster(folder: Path, engine: Path) -> Iterator[str]:
    """Run a scheduler and a worker as the documentation says; yield the address."""
    told, environment = folder / "scheduler.json", dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([str(engine / "src"), str(SOURCE / "src")])
    common = ["--scheduler-file", str(told), "--no-dashboard"]
    command = [sys.executable, "-m", "dask"]
    with ExitStack() as stack:
        for given in (["scheduler", "--host", "127.0.0.1", "--port", "0"], ["worker"]):
            process = stack.enter_context(
                subprocess.Popen(
                    [*command, *given, *common],
                    cwd=folder,
                    env=environment,
                    stderr=subprocess.DEVNULL,
                )
            )
            stack.callback(process.terminate)
            while not (told.is_file() and told.read_text()):
                assert process.poll() is None
        yield str(json.loads(told.read_text())["address"])


@thorough
@pytest.mark.parametrize("same", [True, False])
def test_a_cluster_of_ones_own_works_where_it_has_this_code(tmp_path: Path, same: bool) -> None:
    installed("dask")
    engine = SOURCE / "engine"
    if not same:
        engine = tmp_path / "engine"
        shutil.copytree(SOURCE / "engine", engine)
        shutil.copytree(SOURCE / "src", tmp_path / "src")
        shutil.copytree(SOURCE / "requirements", tmp_path / "requirements")
        edited = engine / "src/mlops/amounts.py"
        edited.write_text(f"{edited.read_text()}# edited\n")
    with cluster(tmp_path, engine) as address, ExitStack() as stack:
        if not same:
            refused = r"worker tcp://.* is not like this project \(another engine/src\)"
            stack.enter_context(pytest.raises(ComputeError, match=refused))
        pool = stack.enter_context(backend(Compute("dask", address=address)))
        assert list(pool.map(lambda n: os.getppid() != n, [os.getpid()] * 2)) == [True] * 2


@thorough
def test_a_cluster_that_lost_its_workers_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("dask")
    with (
        cluster(tmp_path, SOURCE / "engine") as address,
        backend(Compute("dask", address=address)) as pool,
    ):
        # The nanny first, which would start another.
        ((nanny, worker), _) = pool.map(lambda _: (os.getppid(), os.getpid()), range(2))
        for process in (nanny, worker):
            os.kill(process, signal.SIGKILL)
        monkeypatch.setattr(dask, "PATIENCE", 10.0)
        with pytest.raises(ComputeError, match=r"no worker of Dask is left .* run this again"):
            list(pool.map(abs, range(2)))
