"""Tests reach no network, no home folder and no configuration but their own."""

import os
import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
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


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose stages have run, in this process, on a small sample; not to be changed."""
    from mlops.bundle.assembly import bundle
    from mlops.config.compose import resolve
    from mlops.data.prepare import prepare
    from mlops.data.sample import write
    from mlops.evaluation.evaluate import evaluate
    from mlops.training.fitting import train

    root = tmp_path_factory.mktemp("trained")
    for name in ("conf", "requirements", "engine", "src", "params.yaml", "pyproject.toml"):
        source = PROJECT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, root / name)
    (root / "params.yaml").write_text(SMALL)
    with chdir(root):
        write(Path("data/raw"), rows=2000, months=3)
        settings = resolve()
        prepare(settings.data, settings.split)
        train(settings)
        evaluate(settings)
        bundle(settings)
    return root
