"""The hyperparameter search: trials in batches, over a study that processes share.

What a batch asks and which of its trials end early depends on the seed and on the batches before
it. Whoever evaluates a trial, in whatever order and after whatever interruption, the search ends
the same.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import numpy as np

from ..config.settings import SearchRange, Tuning
from .sampling import Direction, Sampler
from .shared_study import History, opened
from .study import Trial, TuningError

RIVALS = 5  # trials of earlier batches that have to be there before one is ended early
FORMAT = 1  # of what is asked and kept: another begins another study
Objective = Callable[[dict[str, Any], int], float]


@dataclass(frozen=True)
class Search:
    """The best trial, and every one in order."""

    best: Trial
    trials: tuple[Trial, ...]

    @property
    def parameters(self) -> dict[str, Any]:
        """The best parameters."""
        return self.best.parameters

    @property
    def value(self) -> float:
        """The score of the best."""
        return self.best.mean(len(self.best.scores))

    @property
    def pruned(self) -> int:
        """How many trials were ended early."""
        return sum(trial.pruned for trial in self.trials)


def tune(
    search: Mapping[str, SearchRange],
    objective: Objective,
    tuning: Tuning,
    *,
    direction: Direction,
    seed: int,
    storage: Path,
    name: str,
    first: Mapping[str, Any] | None = None,
    workers: int | None = None,
) -> Search:
    """Return the best of at most `tuning.trials` trials, ended after `patience` in vain.

    `objective` returns the score of parameters on a fold. The first trial has the values of
    `first`, as near as `search` allows; what that lacks is drawn. `workers` trials are evaluated
    at once, by default as many as `tuning` says; each has a thread here, which waits where the
    objective runs elsewhere. The study `name` in the SQLite file `storage`, or in the database
    that MLOPS_STUDIES names, keeps the finished trials, for later calls and for other processes:
    the name has to change with the objective. An exception of `objective` ends the search and
    leaves what finished before. Raises TuningError.
    """
    given = {} if first is None else first
    sampler = Sampler(search, direction, seed=seed, batch=tuning.batch, first=given)
    asked = (search, given, direction, seed, tuning.batch, tuning.folds, tuning.prune)
    question = msgspec.json.encode((FORMAT, version("optuna"), name, asked)).decode()
    history = opened(storage, question)
    at_once = workers or tuning.workers
    found = _Running(objective, tuning, direction, sampler, history, at_once).search()
    _say(
        f"found {found.value:.6g} in trial {found.best.number + 1} of {len(found.trials)}, "
        f"{found.pruned} of which ended early"
    )
    return found


class _Running:
    """One process's part of a search."""

    def __init__(
        self,
        objective: Objective,
        tuning: Tuning,
        direction: Direction,
        sampler: Sampler,
        study: History,
        workers: int,
    ) -> None:
        self._objective = objective
        self._tuning = tuning
        self._sign = -1 if direction == "maximize" else 1
        self._sampler = sampler
        self._study = study
        self._workers = workers
        self._stop = Event()

    def search(self) -> Search:
        """Return the search once each of its trials is finished, here or elsewhere.

        Trials of the study that this search would not have come to are left aside: one that was
        more patient ran before.
        """
        limit, patience = self._tuning.trials, self._tuning.patience
        if known := sum(number < limit for number in self._study.finished()):
            _say(f"resumes after {known} finished trials")
        trials: list[Trial] = []
        while len(trials) < limit and self._idle(trials) < patience:
            trials += self._batch(trials)
        if len(trials) < limit:
            _say(f"ends: {patience} trials without improvement")
        if (best := self._best(trials)) is None:
            raise TuningError(
                f"none of {len(trials)} trials had a finite score: narrow `search` in the model's "
                "file of conf/model/"
            )
        return Search(best, tuple(trials))

    def _batch(self, earlier: Sequence[Trial]) -> list[Trial]:
        begin = len(earlier)
        asked = dict(enumerate(self._sampler.batch(earlier), begin))
        asked = {number: given for number, given in asked.items() if number < self._tuning.trials}
        while True:
            self._evaluate(earlier, asked)
            finished = self._study.finished()
            missing = [number for number in asked if number not in finished]
            if not missing:
                return [finished[number] for number in asked]
            _say(f"waits for trial {missing[0] + 1}, at which another process works")
            with self._study.claimed(missing[0], wait=True):
                pass  # finished by now, or left by a process that was ended

    def _evaluate(self, earlier: Sequence[Trial], asked: Mapping[int, dict[str, Any]]) -> None:
        """Evaluate every trial that is neither finished nor worked at elsewhere."""
        workers = min(self._workers, len(asked))
        if workers == 1:
            self._work(earlier, asked)
            return
        with ThreadPoolExecutor(workers) as pool:
            working = [pool.submit(self._work, earlier, asked) for _ in range(workers)]
            try:
                for worker in working:
                    worker.result()
            except BaseException:
                self._stop.set()
                raise

    def _work(self, earlier: Sequence[Trial], asked: Mapping[int, dict[str, Any]]) -> None:
        try:
            for number, parameters in asked.items():
                with self._study.claimed(number) as mine:
                    if mine and number not in self._study.finished():
                        self._try(earlier, number, parameters)
        except BaseException:
            self._stop.set()  # the other workers end after their fold
            raise

    def _try(self, earlier: Sequence[Trial], number: int, parameters: dict[str, Any]) -> None:
        scores: list[float] = []
        pruned = False
        while len(scores) < self._tuning.folds and not pruned:
            if self._stop.is_set():
                return
            scores.append(float(self._objective(dict(parameters), len(scores))))
            if not math.isfinite(scores[-1]):
                break
            pruned = len(scores) < self._tuning.folds and self._hopeless(earlier, scores)
        trial = Trial(number, parameters, tuple(scores), pruned)
        self._study.add(trial)
        self._report(len(earlier), trial)

    def _hopeless(self, earlier: Sequence[Trial], scores: Sequence[float]) -> bool:
        """Say whether the folds so far are worse than the median of earlier batches on them."""
        count = len(scores)
        known = [trial.mean(count) for trial in earlier if len(trial.scores) >= count]
        rivals = [mean for mean in known if math.isfinite(mean)]
        if not self._tuning.prune or len(rivals) < RIVALS:
            return False
        return self._sign * float(np.mean(scores)) > self._sign * float(np.median(rivals))

    def _best(self, trials: Sequence[Trial]) -> Trial | None:
        """Return the best trial, the earliest of equals."""
        scored = [trial for trial in trials if trial.value is not None]
        return min(scored, key=lambda trial: self._sign * (trial.value or 0.0), default=None)

    def _idle(self, trials: Sequence[Trial]) -> int:
        """Return how many trials finished since the best one."""
        best = self._best(trials)
        return len(trials) - (best.number + 1 if best else 0)

    def _report(self, begin: int, trial: Trial) -> None:
        finished = self._study.finished()
        end = begin + self._tuning.batch
        best = self._best([finished[number] for number in sorted(finished) if number < end])
        mean = trial.mean(len(trial.scores))
        score = f"{mean:.6g}" if math.isfinite(mean) else "no finite score"
        if trial.pruned:
            score += f" after {len(trial.scores)} of {self._tuning.folds} folds, ended early"
        leader = f"best {best.value:.6g} in trial {best.number + 1}" if best else "none yet"
        tried = ", ".join(
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in trial.parameters.items()
        )
        _say(f"{trial.number + 1}/{self._tuning.trials}: {score} ({leader}) with {tried}")


def _say(text: str) -> None:
    sys.stderr.write(f"tuning {text}\n")  # in one piece, beside other workers
    sys.stderr.flush()
