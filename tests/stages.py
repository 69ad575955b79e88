"""The stages of a project, run in the process of a test on files of its own."""

import shutil
from contextlib import chdir
from pathlib import Path

from baked import SOURCE

PARTS = ("conf", "requirements", "engine", "src", "pyproject.toml")


def copied(root: Path, source: Path = SOURCE) -> None:
    """Copy into a folder what the stages read, but for the experiment and the data."""
    for name in PARTS:
        copy = shutil.copytree if (source / name).is_dir() else shutil.copy
        copy(source / name, root / name)


def run(root: Path) -> None:
    """Run every stage from `resolve` to `bundle` in a folder."""
    from mlops.bundle.assembly import bundle
    from mlops.config.compose import resolve
    from mlops.data.prepare import prepare
    from mlops.evaluation.evaluate import evaluate
    from mlops.training.fitting import train

    with chdir(root):
        settings = resolve()
        prepare(settings.data, settings.split)
        train(settings)
        evaluate(settings)
        bundle(settings)
