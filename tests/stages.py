"""The stages of a project, run in the process of a test on files of its own."""

import shutil
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

from baked import SOURCE

PARTS = ("conf", "requirements", "engine", "src", "pyproject.toml")


def copied(root: Path, source: Path = SOURCE, more: Sequence[str] = ()) -> None:
    """Copy into a folder what the stages read, but for the experiment and the data; and `more`."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in (*PARTS, *more):
        if (source / name).is_dir():
            shutil.copytree(source / name, root / name, ignore=ignored)
        else:
            shutil.copy(source / name, root / name)


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
