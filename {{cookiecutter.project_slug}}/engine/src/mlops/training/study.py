"""The finished trials of a search, in one SQLite file that processes share.

Nothing records who works at a trial but a lock, which ends with the process that holds it.
"""

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ProjectError
from ..files import claimed

PATIENCE = 60.0  # seconds that a statement waits for another process
TABLE = """create table if not exists finished (
  study text, number integer, parameters text, scores text, pruned integer,
  primary key (study, number)
)"""
REMEDIES = {
    "locked": "another program holds it; let that end, and the search goes on",
    "readonly": "let this user write it and its folder, and the search goes on",
    "full": "make room on its disk, and the search goes on",
}


class TuningError(ProjectError):
    """The search cannot start, or found nothing."""


@dataclass(frozen=True)
class Trial:
    """One finished trial and its score on each fold; one that was `pruned` lacks some."""

    number: int
    parameters: dict[str, Any]
    scores: tuple[float, ...]
    pruned: bool = False

    @property
    def value(self) -> float | None:
        """The mean of all folds; None where there is none."""
        mean = self.mean(len(self.scores))
        return None if self.pruned or not math.isfinite(mean) else mean

    def mean(self, folds: int) -> float:
        """Return the mean of the first folds."""
        return float(np.mean(self.scores[:folds]))


class Study:
    """The trials of one question; raises TuningError where the file cannot be used."""

    def __init__(self, storage: Path, name: str) -> None:
        self._storage = storage.resolve()  # of several links to one file, the locks are the same
        self._name = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()

    def finished(self) -> dict[int, Trial]:
        """Return the finished trials by number."""
        rows = self._run(
            "select number, parameters, scores, pruned from finished where study = ?", self._name
        )
        try:
            return {
                number: Trial(number, json.loads(given), tuple(json.loads(scores)), bool(pruned))
                for number, given, scores, pruned in rows
            }
        except (TypeError, ValueError) as error:
            raise self._unusable(f"a trial cannot be read: {error}") from error

    def add(self, trial: Trial) -> None:
        """Keep a finished trial."""
        self._run(
            "insert or ignore into finished values (?, ?, ?, ?, ?)",
            self._name,
            trial.number,
            json.dumps(trial.parameters),
            json.dumps(trial.scores),
            trial.pruned,
        )

    @contextmanager
    def claimed(self, number: int, wait: bool = False) -> Iterator[bool]:
        """Yield whether this caller alone works at that trial; `wait` until it does."""
        file = self._storage.with_name(f".{self._storage.name}.{self._name}.{number}.lock")
        with ExitStack() as stack:
            try:
                mine = stack.enter_context(claimed(file, wait))
            except OSError as error:
                raise TuningError(
                    f"{file.parent} takes no lock ({error.strerror}): let this user write it, or "
                    "move it to a disk that has locks"
                ) from error
            yield mine

    def _run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            self._storage.parent.mkdir(parents=True, exist_ok=True)
            # Each its own: threads share none, and none outlives a fork.
            with closing(sqlite3.connect(self._storage, timeout=PATIENCE)) as database, database:
                database.execute(TABLE)
                return database.execute(statement, values).fetchall()
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(str(error)) from error

    def _unusable(self, reason: str) -> TuningError:
        remedies = [remedy for word, remedy in REMEDIES.items() if word in reason]
        remedy = remedies[0] if remedies else "delete it, and the search starts again"
        return TuningError(
            f"{self._storage} cannot be used as the history of the search ({reason}): {remedy}"
        )
