"""What the tests of a cluster have in common: a task that kills its worker once, and a project."""

import importlib.util
import os
import shutil
import signal
from contextlib import chdir
from pathlib import Path

import pytest

from mlops.compute.backend import PACKAGES, Pool, backend
from mlops.compute.choice import Compute
from mlops.files import tree_sha256

EXPERIMENT = """\
model: {use: boosting, max_iter: 10}
training: {folds: 3}
tuning: {use: optuna, trials: 6, folds: 2, batch: 3}
evaluation: {resamples: 30, importance_rows: 100}
"""


def installed(name: str) -> None:
    """Skip where the packages of a backend are not installed."""
    if importlib.util.find_spec(PACKAGES[name]) is None:
        pytest.skip(f"needs {name}: pip install -r requirements/compute-{name}.txt")


def killed_once(pool: Pool, folder: Path, items: int) -> tuple[list[int], int]:
    """Have the first worker that runs a task end by SIGKILL; return the results and the deaths."""

    def task(item: int) -> int:
        try:
            (folder / "killed").open("x").close()
        except FileExistsError:
            return item * item
        os.kill(os.getpid(), signal.SIGKILL)
        return -1

    found = list(pool.map(task, range(items)))
    return found, len(list(folder.iterdir()))


def made(root: Path, compute: Compute | None = None) -> dict[str, str]:
    """Run every stage of a project, by the pool that is open or another; return the digests."""
    import stages

    for name in ("data/prepared", "model", "candidate", "reports", ".mlops"):
        shutil.rmtree(root / name, ignore_errors=True)
    with backend(compute):
        stages.run(root)
    with chdir(root):
        return {name: tree_sha256(Path(name)) for name in ("data/prepared", "model", "candidate")}
