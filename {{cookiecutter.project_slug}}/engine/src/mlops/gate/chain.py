"""The champions before the champion: declared in git, fetched by DVC, scored on today's rows."""

import json
import math
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from ..bundle import manifest
from ..config.settings import Settings
from ..data.splitting import cutoff, moved
from ..evaluation.evaluate import HOLDOUT
from ..git import dvc
from ..git.repository import Repository, RepositoryError
from . import champion as champions
from . import sandbox
from .case import Earlier
from .champion import NAME, POINTER, Champion
from .sandbox import Confined

VERDICT = "deploy/production/gate.json"
LOOKED_AT = 30  # declarations, the newest: older ones are of other times


class Declared(NamedTuple):
    """A champion that a commit of the branch declared, and how good its verdict said it was."""

    commit: str
    day: str
    text: str
    value: float

    @property
    def named(self) -> str:
        """What a reader calls it."""
        return f"the champion of {self.day} ({self.commit[:12]})"


def declared(
    repository: Repository, commit: str, metric: str, better: float, since: str
) -> list[Declared]:
    """Return the champions before that of a commit, the best by their own verdicts first.

    `better` is 1 where more of the metric is better, and -1 otherwise; those declared before the
    day `since` (ISO 8601, empty for all) do not count.
    """
    found: dict[str, Declared] = {}
    for step in repository.changed(commit, [POINTER])[:LOOKED_AT]:
        day = step.when[:10]
        if (text := _at(repository, step.commit, POINTER)) is None or day < since:
            continue
        value = better * _value(_at(repository, step.commit, VERDICT), metric)
        found[text] = Declared(step.commit, day, text, value)
    found.pop(_at(repository, commit, POINTER) or "", None)
    return sorted(found.values(), key=lambda one: math.inf if math.isnan(one.value) else -one.value)


def _at(repository: Repository, commit: str, path: str) -> str | None:
    try:
        return repository.text_at(commit, path)
    except RepositoryError:
        return None


def _value(verdict: str | None, metric: str) -> float:
    """Return a metric of the candidate that a verdict let through; NaN where it tells none."""
    try:
        rows = json.loads(verdict or "{}")["metrics"]
        return float(next(row["candidate"]["value"] for row in rows if row["metric"] == metric))
    except (ValueError, LookupError, TypeError, StopIteration):
        return math.nan


def scored(
    repository: Repository,
    among: list[Declared],
    today: Settings,
    most: int,
    seconds: float,
    candidate: Path,
) -> tuple[tuple[Earlier, ...], tuple[str, ...]]:
    """Return the first `most` of them with their answers for today's rows, and why others do not.

    Where the candidate is one of them, it is not compared with itself.
    """
    found: list[Earlier] = []
    told: list[str] = []
    itself = manifest.bundle_digest(candidate)
    waiting = among[: 2 * most]  # since some may not answer
    with tempfile.TemporaryDirectory(prefix="champions-") as place, ExitStack() as stack:
        pointers = [one.text for one in waiting]
        folders = dvc.fetch_all(repository, pointers, NAME, Path(place)) if waiting else []
        pairs = list(zip(waiting, folders, strict=True))
        while pairs and len(found) < most:
            some, pairs = pairs[: most - len(found)], pairs[most - len(found) :]
            started = [_started(repository, *pair, today, seconds, itself, stack) for pair in some]
            for (one, _), answering in zip(some, started, strict=True):  # they start side by side
                answers = (
                    answering
                    if isinstance(answering, str)
                    else _answers(repository, answering, today)
                )
                if isinstance(answers, str):
                    told += [f"{one.named} cannot be compared with: {answers}"] if answers else []
                else:
                    found.append(Earlier(one.named, answers))
    return tuple(found), tuple(told)


def _started(
    repository: Repository,
    one: Declared,
    folder: Path,
    today: Settings,
    seconds: float,
    itself: str,
    stack: ExitStack,
) -> tuple[Champion, Confined] | str:
    """Return a champion in a process that starts, or why not; nothing for the candidate itself."""
    try:
        champion = champions.verified(folder, one.text, one.commit)
        if champion.bundle_digest == itself:
            return ""
        confined = sandbox.confined(repository, champion.folder, one.commit, seconds)
        bundle = stack.enter_context(confined)
        if said := _trained_on(bundle.settings, today):
            return f"it may have been trained on today's holdout: {said}"
    except Exception as error:  # whatever a bundle of another day may raise
        return _reason(error)
    return champion, bundle


def _answers(
    repository: Repository, answering: tuple[Champion, Confined], today: Settings
) -> np.ndarray | str:
    """Return the answers for today's rows, or why there are none."""
    champion, bundle = answering
    try:
        holdout = repository.root / HOLDOUT
        return champions.rescored(champion, bundle, today.data, holdout).predictions
    except Exception as error:
        return _reason(error)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _trained_on(before: Settings, today: Settings) -> str | None:
    """Say why rows of today's holdout may have trained a model; a later cut-off is no reason."""
    was, now = before.split, today.split
    if was.method == now.method == "time" and cutoff(was) <= cutoff(now):
        was = msgspec.structs.replace(was, cutoff=now.cutoff)
    return moved((before.data, was), (today.data, now))
