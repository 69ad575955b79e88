"""What tests of clusters share: a task that kills its worker, and a project that is made there."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlops.compute.backend import PACKAGES, Pool
from mlops.files import tree_sha256

EXPERIMENT = """\
model: {use: boosting, max_iter: 10}
training: {folds: 3}
tuning: {use: optuna, trials: 6, folds: 2, batch: 3}
evaluation: {primary: deadly, resamples: 30, importance_rows: 100, metrics: [roc_auc, log_loss]}
"""
MADE = ("data/prepared", "model", "candidate", "reports", ".mlops")
# A metric of the owner's that ends the first worker which computes it, in a search.
DEADLY = """

@metric(title="Deadly", greater_is_better=True, tasks=["binary"])
def deadly(target: NDArray, predictions: NDArray, weights: NDArray) -> float:
    import os
    if os.environ["STAGES"] != str(os.getpid()) and not os.path.exists("killed"):
        open("killed", "x").close()
        os.kill(os.getpid(), 9)
    return float(np.average(predictions, weights=weights))
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


STAGES = """
import os, sys
os.environ["STAGES"] = str(os.getpid())
from mlops.cli import main
for verb in ("resolve", "prepare", "train", "evaluate", "bundle"):
    if main([verb]):
        sys.exit(verb)
"""


def project(trained: Path, root: Path) -> Path:
    """Copy a project that ran its stages, with another experiment and that metric."""
    shutil.copytree(trained, root)
    (root / "params.yaml").write_text(EXPERIMENT)
    with (root / "src/policy/metrics.py").open("a") as file:
        file.write(DEADLY)
    return root


def made(root: Path, name: str, workers: int) -> dict[str, str]:
    """Run every stage of a project there as the command does; return the digests."""
    for folder in MADE:
        shutil.rmtree(root / folder, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-P", "-c", STAGES],
        cwd=root,
        env={
            **os.environ,
            "PYTHONPATH": f"{root}/engine/src:{root}/src",
            "MLOPS_COMPUTE": name,
            "MLOPS_COMPUTE_WORKERS": str(workers),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {folder: tree_sha256(root / folder) for folder in ("data/prepared", "candidate")}
