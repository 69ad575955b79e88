"""What each model of conf/model costs and answers, beside histogram boosting, on the same rows.

    python benchmarks/models.py [TABLE.csv TARGET ...]

Without a table, on the sample. Each fit is repeated in turn, so that a machine that slows down
slows all; the columns are the primary metric of five folds, processor seconds of a fit and their
ratio, the runtime, its file, and microseconds of one row in it.
"""

import statistics
import sys
import tempfile
import time
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "{{cookiecutter.project_slug}}"
sys.path[:0] = [str(SOURCE / "engine/src"), str(SOURCE / "src"), str(ROOT / "tests")]

from baked import sharing  # noqa: E402
from cookiecutter.main import cookiecutter  # noqa: E402

from mlops.config.compose import composed  # noqa: E402
from mlops.config.experiment import read_experiment  # noqa: E402
from mlops.config.settings import Settings  # noqa: E402
from mlops.runtime.model import load  # noqa: E402
from mlops.training.compilation import compile_model  # noqa: E402
from mlops.training.fitting import Fitting  # noqa: E402

MODELS = ("boosting", "lightgbm", "xgboost", "catboost", "ebm", "forest", "logistic", "ridge")
BASE, TURNS, ASKED, FOLDS = "boosting", 3, 2000, 5


class Line(NamedTuple):
    """What was measured of one model."""

    name: str
    value: float
    seconds: float
    runtime: str
    kilobytes: float
    microseconds: float


def prepared(folder: Path, table: str | None, target: str | None) -> Path:
    """Generate a project with the sample or a table, and prepare its rows."""
    path = cookiecutter(str(ROOT), no_input=True, output_dir=str(folder))
    project = sharing(Path(path), folder)
    project.run("git", "init", "--quiet")
    if table is None or target is None:
        project.run("mlops", "sample")
        project.run("dvc", "add", "--quiet", "data/raw")
    else:
        project.run("mlops", "adopt", str(Path(table).resolve()), "--target", target)
    project.run("dvc", "repro", "prepare")
    return project.path


def measured(names: list[str]) -> list[Line]:
    """Measure the models that suit the task, in the project in which this runs."""
    asked = read_experiment(Path("params.yaml"))
    fits: dict[str, tuple[Settings, Fitting]] = {}
    for name in names:
        settings = Settings.parse(composed(Path("conf"), {**asked, "model": {"use": name}}))
        if settings.data.task in settings.model.tasks:
            fits[name] = settings, Fitting(settings, Path("data/prepared"))
    seconds: dict[str, list[float]] = {name: [] for name in fits}
    fitted: dict[str, Any] = {}
    for _ in range(TURNS):
        for name, (_, fitting) in fits.items():
            started = time.process_time()
            fitted[name], _ = fitting.fitted({})
            seconds[name].append(time.process_time() - started)
    lines = []
    for name, (settings, fitting) in fits.items():
        primary = settings.evaluation.primary
        scores = [
            fitting.measured(fitting.fitted({}, fold)[0], fold, [primary])[primary]
            for fold in fitting.folds(FOLDS)
        ]
        holdout = fitting.matrix("holdout")
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            limits = {"runtime": "auto", "tolerance": settings.training.tolerance}
            compiled = compile_model(fitted[name], settings.data.task, holdout, place, **limits)
            about = f'{{"task": "{settings.data.task}", "runtime": "{compiled.runtime}"}}'
            (place / "training.json").write_text(about)
            model = load(place)
            size = sum(file.stat().st_size for file in place.iterdir()) / 1e3
            rows = holdout[np.arange(ASKED) % len(holdout)]
            started = time.perf_counter()
            for at in range(ASKED):
                model.predict(rows[at : at + 1])
            one = (time.perf_counter() - started) / ASKED * 1e6
        cost = statistics.median(seconds[name])
        lines.append(Line(name, float(np.mean(scores)), cost, compiled.runtime, size, one))
    return lines


def main() -> None:
    """Print a line for each model."""
    pairs = list(zip(sys.argv[1::2], sys.argv[2::2], strict=True)) or [(None, None)]
    for table, target in pairs:
        with tempfile.TemporaryDirectory() as folder, chdir(prepared(Path(folder), table, target)):
            primary = yaml.safe_load(Path("resolved.yaml").read_text())["evaluation"]["primary"]
            lines = measured(list(MODELS))
        base = next(line.seconds for line in lines if line.name == BASE)
        print(f"\n{table or 'the sample'}: {primary}")
        for line in lines:
            print(
                f"{line.name:10}{line.value:9.4f}{line.seconds:8.3f} s{line.seconds / base:7.2f}"
                f"  {line.runtime:8}{line.kilobytes:8.0f} kB{line.microseconds:8.1f} us",
                flush=True,
            )


if __name__ == "__main__":
    main()
