"""The hyperparameter search: Optuna's TPE over a SQLite study that resumes.

A search interrupted at any moment and started again ends as one that was left alone: each trial's
sampler depends only on the seed and on the trials that finished before it.
"""

import hashlib
import json
import math
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..config.settings import SearchRange
from ..errors import ProjectError
from ..files import locked

if TYPE_CHECKING:
    import optuna

PATIENCE = 60  # seconds that a statement waits for another process
Direction = Literal["maximize", "minimize"]


class TuningError(ProjectError):
    """The search cannot start, or found nothing."""


@dataclass(frozen=True)
class Trial:
    """One finished trial; `value` is None where the score was not finite."""

    number: int
    parameters: dict[str, Any]
    value: float | None


@dataclass(frozen=True)
class Search:
    """The best parameters, their score, and every finished trial in order."""

    parameters: dict[str, Any]
    value: float
    trials: tuple[Trial, ...]


def tune(
    search: Mapping[str, SearchRange],
    objective: Callable[[dict[str, Any]], float],
    *,
    direction: Direction,
    trials: int,
    patience: int,
    seed: int,
    storage: Path,
    name: str,
) -> Search:
    """Return the best of at most `trials` trials, ended after `patience` without improvement.

    The study `name` in the SQLite file `storage` keeps the finished trials, and a later call
    goes on from them: the name has to change with the question. An exception of `objective`
    ends the search and leaves what finished before. Raises TuningError.
    """
    if trials < 1 or patience < 1:
        raise TuningError("tuning.trials and tuning.patience count trials: give 1 or more of each")
    distributions = _distributions(search)
    with _study(storage, name, direction) as study:
        finished = _finished(study, search)
        if finished:
            _say(f"resumes after {len(finished)} finished trials")
        while len(finished) < trials and _idle(finished, direction) < patience:
            _next_trial(study, search, distributions, objective, _sampler_seed(seed, finished))
            finished = _finished(study, search)
            _report(finished, trials, direction)
    if len(finished) < trials:
        _say(f"ends: {patience} trials without improvement")
    best = _best(finished, direction)
    if best is None or best.value is None:
        raise TuningError(
            f"none of {len(finished)} trials had a finite score: narrow `search` in the model's "
            "file of conf/model/"
        )
    return Search(best.parameters, best.value, tuple(finished))


def _distributions(
    search: Mapping[str, SearchRange],
) -> dict[str, "optuna.distributions.BaseDistribution"]:
    if not search:
        raise TuningError(
            "there is nothing to tune: give the model's file in conf/model/ a `search:` section, "
            "or set tuning.use to none"
        )
    distributions = {}
    for name, space in search.items():
        try:
            distributions[name] = _distribution(space)
        except (TypeError, ValueError) as error:
            raise TuningError(
                f"model.search.{name} is no range to search: {' '.join(str(error).split())}: "
                "correct it in the model's file of conf/model/"
            ) from error
    return distributions


def _distribution(space: SearchRange) -> "optuna.distributions.BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if space.choices is not None:
        # Optuna takes plain values only; as text, a list or null can be a choice too.
        return CategoricalDistribution(list(_choices(space)))
    if space.low is None or space.high is None:
        raise ValueError("`low` or `high` is missing")
    if not space.integer:
        return FloatDistribution(space.low, space.high, log=space.log)
    if not (float(space.low).is_integer() and float(space.high).is_integer()):
        raise ValueError("`low` and `high` of an integer must be whole numbers")
    return IntDistribution(int(space.low), int(space.high), log=space.log)


def _choices(space: SearchRange) -> dict[str, Any]:
    return {json.dumps(choice, sort_keys=True): choice for choice in space.choices or ()}


@contextmanager
def _study(storage: Path, name: str, direction: Direction) -> "Iterator[optuna.Study]":
    """Yield the study without the trials that a killed process left running.

    One process at a time searches a study; another waits and goes on from what this one finished.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database = None
    digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    searching = storage.parent / f".{storage.name}.{digest}.lock"
    creating = storage.parent / f".{storage.name}.lock"
    with locked(searching, lambda: _say("waits for another process that searches the same")):
        try:
            # Connects by itself: a URL gives some characters of a path a meaning.
            connect = partial(sqlite3.connect, storage, timeout=PATIENCE, check_same_thread=False)
            with locked(creating):
                database = optuna.storages.RDBStorage("sqlite:///study", {"creator": connect})
                study = optuna.create_study(
                    storage=database, study_name=name, direction=direction, load_if_exists=True
                )
            for stale in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
                study.tell(stale.number, state=optuna.trial.TrialState.FAIL)
            yield study
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            remedy = "delete it, and the search starts again"
            if "database is locked" in reason:
                remedy = "another program holds it; let that end, and the search goes on"
            raise TuningError(
                f"{storage} cannot be used as the history of the search ({reason}): {remedy}"
            ) from error
        finally:
            if database is not None:
                database.remove_session()
                database.engine.dispose()


def _next_trial(
    study: "optuna.Study",
    search: Mapping[str, SearchRange],
    distributions: dict[str, "optuna.distributions.BaseDistribution"],
    objective: Callable[[dict[str, Any]], float],
    seed: int,
) -> None:
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState

    study.sampler = TPESampler(seed=seed)
    trial = study.ask(distributions)
    value = float(objective(_parameters(search, trial.params)))
    if math.isfinite(value):
        study.tell(trial, value)
    else:
        # Pruned, not failed: it counts as finished, or the next trial would repeat it for ever.
        study.tell(trial, state=TrialState.PRUNED)


def _parameters(search: Mapping[str, SearchRange], stored: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: stored[name] if space.choices is None else _choices(space)[stored[name]]
        for name, space in search.items()
    }


def _finished(study: "optuna.Study", search: Mapping[str, SearchRange]) -> list[Trial]:
    from optuna.trial import TrialState

    stored = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED])
    return [
        Trial(number, _parameters(search, trial.params), trial.value)
        for number, trial in enumerate(stored)
    ]


def _sampler_seed(seed: int, finished: Sequence[Trial]) -> int:
    return int(np.random.SeedSequence([seed, len(finished)]).generate_state(1)[0])


def _best(finished: Sequence[Trial], direction: Direction) -> Trial | None:
    """Return the best trial, the earliest of equals."""
    sign = -1 if direction == "maximize" else 1
    scored = [trial for trial in finished if trial.value is not None]
    return min(scored, key=lambda trial: sign * (trial.value or 0.0), default=None)


def _idle(finished: Sequence[Trial], direction: Direction) -> int:
    """Return how many trials finished since the best one."""
    best = _best(finished, direction)
    return len(finished) - (best.number + 1 if best else 0)


def _report(finished: Sequence[Trial], trials: int, direction: Direction) -> None:
    last, best = finished[-1], _best(finished, direction)
    score = "no finite score" if last.value is None else f"{last.value:.6g}"
    leader = f"best {best.value:.6g} in trial {best.number + 1}" if best else "none yet"
    tried = ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in last.parameters.items()
    )
    _say(f"{last.number + 1}/{trials}: {score} ({leader}) with {tried}")


def _say(text: str) -> None:
    print(f"tuning {text}", file=sys.stderr, flush=True)
