"""What a search costs and finds: in batches or one by one, trials ended early or not.

    python benchmarks/tuning.py [--seeds N] [--rows N] [--trials N] [--workers] [MODEL ...]

On the sample; each line is the mean over the seeds beside the plain search (one by one, nothing
ended early, one worker): processor seconds and seconds as a ratio to it, and the best score on the
folds less its own. `--workers` says instead what two workers gain on the same trials: threads with
a trial each, as a search has them, threads with a fold each, processes with a trial each.
"""

import argparse
import contextlib
import math
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "{{cookiecutter.project_slug}}"
sys.path[:0] = [str(SOURCE / "engine/src"), str(SOURCE / "src")]

from mlops.compute.local import limited  # noqa: E402
from mlops.config.compose import composed  # noqa: E402
from mlops.config.settings import Settings  # noqa: E402
from mlops.data.prepare import prepare  # noqa: E402
from mlops.data.sample import write  # noqa: E402
from mlops.training.fitting import Fitting  # noqa: E402
from mlops.training.sampling import Sampler  # noqa: E402

MODELS = ("lightgbm", "boosting", "forest", "logistic")
TURNS = 5
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
    settings = asked(name, seed)
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


def parallel(name: str, trials: int) -> None:
    """Print the seconds of the same trials by one worker and by two, the fastest of some turns."""
    from joblib import Parallel, delayed

    settings = asked(name, seed=1)
    fitting = Fitting(settings, Path("data/prepared"))
    splits, primary = list(fitting.folds(3)), [settings.evaluation.primary]
    ranges, configured = settings.model.search, settings.model.parameters
    drawn = Sampler(ranges, "maximize", seed=1, batch=trials, first=configured).batch([])

    def trial(given: dict[str, Any]) -> None:
        for fold in splits:
            fitting._score(given, fold, primary)

    def alone() -> None:
        for given in drawn:
            trial(given)

    def by_folds() -> None:
        for given in drawn:
            Parallel(n_jobs=2, prefer="threads")(
                delayed(fitting._score)(given, fold, primary) for fold in splits
            )

    def by_trials(prefer: str) -> None:
        Parallel(n_jobs=2, prefer=prefer)(delayed(trial)(given) for given in drawn)

    ways: dict[str, Callable[[], object]] = {
        "one worker": alone,
        "threads, a trial each": lambda: by_trials("threads"),
        "threads, a fold each": lambda: by_folds(),
        "processes, a trial each": lambda: by_trials("processes"),
    }
    seconds: dict[str, float] = {}
    with limited(settings.training.threads):
        for _ in range(TURNS):
            for way, work in ways.items():
                started = time.perf_counter()
                work()
                seconds[way] = min(seconds.get(way, math.inf), time.perf_counter() - started)
    print(f"\n{name}, {trials} trials of 3 folds")
    for way, taken in seconds.items():
        print(f"{way:26}{taken:7.2f} s {taken / seconds['one worker']:6.2f}", flush=True)


def asked(name: str, seed: int) -> Settings:
    """Return the settings of a search for that model."""
    parts = {"model": {"use": name}, "tuning": {"use": "optuna"}, "seed": seed}
    return Settings.parse(composed(Path("conf"), parts))


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--workers", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for part in ("conf", "requirements"):
            shutil.copytree(SOURCE / part, part)
        prepared(given.rows)
        for model in given.models:
            if given.workers:
                parallel(model, given.trials)
                continue
            print(f"\n{model}, {given.trials} trials, {given.seeds} seeds", flush=True)
            costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
            for seed in range(given.seeds):
                for way, changes in WAYS.items():
                    costs[way].append(searched(model, seed, changes, given.trials))
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
