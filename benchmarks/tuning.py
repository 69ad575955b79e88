"""What a search costs and finds: ended early or not, in batches or one by one, by one worker or two.

    python benchmarks/tuning.py [--seeds N] [--rows N] [MODEL ...]

On the sample; each line is the mean over the seeds beside the plain search (one by one, nothing
ended early, one worker): processor seconds and seconds as a ratio to it, and the best score on the
folds less its own. The last lines say what two workers gain, by trials and by folds.
"""

import argparse
import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "{{cookiecutter.project_slug}}"
sys.path[:0] = [str(SOURCE / "engine/src"), str(SOURCE / "src")]

from mlops.config.compose import composed  # noqa: E402
from mlops.config.settings import Settings  # noqa: E402
from mlops.data.prepare import prepare  # noqa: E402
from mlops.data.sample import write  # noqa: E402
from mlops.training.fitting import Fitting  # noqa: E402

MODELS = ("lightgbm", "boosting", "forest", "logistic")
PLAIN = {"batch": 1, "prune": False, "workers": 1}
WAYS: dict[str, dict[str, Any]] = {
    "one by one": PLAIN,
    "batches of 5": PLAIN | {"batch": 5},
    "batches of 10": PLAIN | {"batch": 10},
    "one by one, ended early": PLAIN | {"prune": True},
    "batches of 5, ended early": PLAIN | {"batch": 5, "prune": True},
    "the same by two workers": {"batch": 5, "prune": True, "workers": 2},
}


class Cost(NamedTuple):
    """What one search cost, the best score of its folds, and the share of trials ended early."""

    processor: float
    wall: float
    best: float
    pruned: float


def searched(name: str, seed: int, way: dict[str, Any], trials: int) -> Cost:
    """Search for a model in the project in which this runs, with a study of its own."""
    settings = Settings.parse(
        composed(Path("conf"), {"model": {"use": name}, "tuning": {"use": "optuna"}, "seed": seed})
    )
    tuning = msgspec.structs.replace(settings.tuning, trials=trials, patience=trials, **way)
    fitting = Fitting(msgspec.structs.replace(settings, tuning=tuning), Path("data/prepared"))
    shutil.rmtree(".mlops", ignore_errors=True)
    processor, wall = time.process_time(), time.perf_counter()
    with open(os.devnull, "w") as nothing, contextlib.redirect_stderr(nothing):
        _, found = fitting.tuned()
    assert found is not None
    cost = time.process_time() - processor, time.perf_counter() - wall
    return Cost(*cost, found[settings.evaluation.primary], found["pruned"] / found["trials"])


def prepared(rows: int) -> Settings:
    """Write the sample and prepare it, where this runs."""
    write(Path("data/raw"), rows=rows, months=3)
    settings = Settings.parse(composed(Path("conf"), {}))
    prepare(settings.data, settings.split)
    return settings


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--trials", type=int, default=40)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for part in ("conf", "requirements"):
            shutil.copytree(SOURCE / part, part)
        prepared(asked.rows)
        for model in asked.models:
            print(f"\n{model}, {asked.trials} trials, {asked.seeds} seeds", flush=True)
            costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
            for seed in range(asked.seeds):
                for way, changes in WAYS.items():
                    costs[way].append(searched(model, seed, changes, asked.trials))
            plain = costs["one by one"]
            for way, found in costs.items():
                pairs = list(zip(found, plain, strict=True))
                processor = statistics.mean(a.processor / b.processor for a, b in pairs)
                wall = statistics.mean(a.wall / b.wall for a, b in pairs)
                better = [a.best - b.best for a, b in pairs]
                ended = statistics.mean(a.pruned for a in found)
                print(
                    f"{way:26} processor {processor:5.2f}  wall {wall:5.2f}  best "
                    f"{statistics.mean(a.best for a in found):.5f}  {statistics.mean(better):+.5f} "
                    f"({min(better):+.5f} to {max(better):+.5f})  ended early {ended:4.0%}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
