"""Tests reach no network, no home folder and no configuration but their own."""

import os
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import pytest
import stages
from baked import SOURCE
from hypothesis import settings

# Read when numpy and scikit-learn are first imported: beside other workers, two threads fight.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

# A shared machine is slow now and then: no deadline for a single example.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")

PROJECT = SOURCE
PYTHONPATH = os.pathsep.join(str(PROJECT / name) for name in ("engine/src", "src"))
SMALL = "model: {use: boosting, max_iter: 20}\nevaluation: {resamples: 50, importance_rows: 200}\n"
HOMES = (
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "DVC_GLOBAL_CONFIG_DIR",
    "DVC_SITE_CACHE_DIR",
)
QUIET = {
    "DVC_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.invalid",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.invalid",
}


@pytest.fixture(scope="session", autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the tests, and what they start, a home of their own."""
    home = str(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", PYTHONPATH)
        for name in HOMES:
            patch.setenv(name, home)
        for name in ("MLFLOW_TRACKING_URI", "DVC_REMOTE", "GIT_DIR", "GIT_WORK_TREE"):
            patch.delenv(name, raising=False)
        yield


PROMISING = """
name: houses
task: {task}
source: {{format: csv}}
intervals: {{coverage: 0.9, by: kind}}
columns:
  size: {{type: number, min: 0, max: 10}}
  kind: {{type: category, nullable: true, categories: [flat, house, villa]}}
  new: {{type: boolean}}
  price: {target}
"""
TARGETS = {
    "regression": "{type: number, role: target, min: 0}",
    "multiclass": "{type: category, role: target, categories: [low, middle, high]}",
    "binary": "{type: boolean, role: target}",
}


@pytest.fixture(scope="session")
def promising(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a project of a task whose stages have run and whose contract promises intervals.

    Villas are as often as others, and their prices ten times as hard to tell. Not to be changed.
    """
    made: dict[str, Path] = {}

    def project(task: str) -> Path:
        if task not in made:
            made[task] = _promising(tmp_path_factory.mktemp(task), task)
        return made[task]

    return project


@pytest.fixture(scope="session")
def valued(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose stages have run with a value table. Not to be changed."""
    import valued

    return valued.make(tmp_path_factory.mktemp("valued"))


@pytest.fixture(scope="session")
def bidding(promising: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return such a project of three labels with a value table. Not to be changed."""
    import valued

    root = tmp_path_factory.mktemp("bidding") / "p"
    valued.bidding(promising("multiclass"), root)
    return root


SUMMED = """\
model: {use: ebm, outer_bags: 2, max_bins: 32, interactions: %d}
evaluation: {resamples: 20, importance_rows: 50}
"""


@pytest.fixture(scope="session")
def summed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return such a project of a task, with an explainable boosting machine. Not to be changed."""
    made: dict[str, Path] = {}

    def project(task: str) -> Path:
        if task not in made:
            small = SUMMED % (task != "multiclass")
            made[task] = _promising(tmp_path_factory.mktemp(f"summed-{task}"), task, small, 1200)
        return made[task]

    return project


def _promising(root: Path, task: str, small: str = SMALL, rows: int = 3000) -> Path:
    import numpy as np
    import pandas as pd

    stages.copied(root)
    generator = np.random.default_rng(1)
    kinds = generator.integers(0, 3, rows)
    size, new = generator.uniform(0, 10, rows), generator.integers(0, 2, rows)
    noise = generator.normal(size=rows) * np.where(kinds == 2, 10, 1)
    price = np.maximum(30 + 4 * size + 5 * new + noise, 0)
    told: dict[str, object] = {
        "regression": price,
        "binary": np.where(price > 52, "true", "false"),
        "multiclass": np.select([price < 45, price < 60], ["low", "middle"], "high"),
    }
    columns = {
        "size": size,
        "kind": np.array(["flat", "house", "villa"], dtype=object)[kinds],
        "new": np.where(new, "true", "false"),
        "price": told[task],
    }
    table = pd.DataFrame(columns)
    table.loc[::97, "kind"] = None
    (root / "data/raw").mkdir(parents=True)
    table.to_csv(root / "data/raw/houses.csv", index=False)
    (root / "conf/data/houses.yaml").write_text(PROMISING.format(task=task, target=TARGETS[task]))
    (root / "params.yaml").write_text("data: {use: houses}\nfeatures: {use: columns}\n" + small)
    stages.run(root)
    return root


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose stages have run, in this process, on a small sample; not to be changed."""
    from mlops.data.sample import write

    root = tmp_path_factory.mktemp("trained")
    stages.copied(root)
    (root / "params.yaml").write_text(SMALL)
    with chdir(root):
        write(Path("data/raw"), rows=2000, months=3)
    stages.run(root)
    return root
