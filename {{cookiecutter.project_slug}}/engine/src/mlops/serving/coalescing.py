"""Requests of one turn of the event loop, answered by one call of the model."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from .online.lookup import Looked
from .predictor import Predictor
from .problem import NO_ANSWER, Problem
from .rows import Row

ROWS = 256  # of one call, but for a request that is larger alone


# What the model was given and what it said, one row each.
Answered: TypeAlias = tuple[np.ndarray, np.ndarray]
# The rows as the model needs them, the answer, and what was looked up for them.
Done: TypeAlias = tuple[list[Row], Answered, Looked | None]


class Waiting(Protocol):
    """Who waits for an answer: what a future has of it."""

    def done(self) -> bool: ...
    def set_result(self, result: Any, /) -> None: ...
    def set_exception(self, exception: Exception, /) -> None: ...


# Beside the predictor, whether features are to be looked up first.
Asked: TypeAlias = tuple[tuple[Predictor, bool], Sequence[Row], Waiting, float]


class Coalescing:
    """Answers what was asked in one turn of the event loop together, at the end of the turn.

    Nothing waits for others to come. Under load the fixed costs of look-up, features and model
    are shared by all connections that were readable at once. Who has waited for `patience`
    seconds is not answered. It belongs to the event loop that is the first to ask.
    """

    def __init__(self, patience: float = math.inf) -> None:
        self._patience = patience
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[Asked] = []

    def ask(self, predictor: Predictor, rows: Sequence[Row]) -> "asyncio.Future[Answered]":
        """Return the future answer.

        It raises Problem 422 where the model has none for a row, TimeoutError where it is late.
        """
        return self._ask(predictor, False, rows)

    def look_up(self, predictor: Predictor, asked: Sequence[Row]) -> "asyncio.Future[Done]":
        """Return the future answer for rows as clients send them, with what is looked up.

        It raises what `ask` does, and what Predictor.read does.
        """
        return self._ask(predictor, True, asked)

    def join(self, predictor: Predictor, looks_up: bool, rows: Sequence[Row], who: Waiting) -> None:
        """Tell who waits what `look_up` or `ask` would, within the turn that answers."""
        loop = self._loop
        if loop is None:  # asked once: Python 3.11 makes a system call to say which loop runs
            loop = self._loop = asyncio.get_running_loop()
        if not self._waiting:
            # Not this turn's end but the next one's: who can be read by then joins.
            loop.call_soon(loop.call_soon, self._turn)
        self._waiting.append(((predictor, looks_up), rows, who, loop.time() + self._patience))

    def _ask(
        self, predictor: Predictor, looks_up: bool, rows: Sequence[Row]
    ) -> "asyncio.Future[Any]":
        loop = self._loop or asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self.join(predictor, looks_up, rows, answer)
        return answer

    def _turn(self) -> None:
        """Answer those who wait, up to ROWS rows; the event loop turns before the others."""
        groups: dict[tuple[Predictor, bool], list[Asked]] = {}
        rows = taken = 0
        assert self._loop is not None
        now = self._loop.time()
        for asked in self._waiting:
            by, asking, answer, late = asked
            rows += len(asking)
            if taken and rows > ROWS:
                break
            taken += 1
            if now <= late:
                groups.setdefault(by, []).append(asked)
            elif not answer.done():
                answer.set_exception(TimeoutError())
        self._waiting = self._waiting[taken:]
        if self._waiting:
            self._loop.call_soon(self._turn)
        for by, group in groups.items():
            _answer(*by, group)


def answered(predictor: Predictor, rows: Sequence[Row]) -> Answered:
    """Return the answer for the rows of one request; raises Problem as `ask` does."""
    matrix = predictor.matrix(rows)
    predictions = predictor.after(rows, predictor.predict(matrix))
    if not np.isfinite(predictions).all():
        raise unanswered(predictions)
    return matrix, predictions


def unanswered(predictions: np.ndarray) -> Problem:
    """Return what is wrong where a prediction is not finite."""
    finite = np.isfinite(predictions).reshape(len(predictions), -1).all(axis=1)
    title = "The model has no answer for a row"
    return Problem(422, NO_ANSWER, title, "its prediction is no number", int(finite.argmin()))


def _answer(predictor: Predictor, looks_up: bool, group: list[Asked]) -> None:
    looked: Looked | None = None
    try:
        together = [row for _, rows, *_ in group for row in rows]
        if looks_up:
            together, looked = predictor.read(together)
        matrix = predictor.matrix(together)
        predictions = predictor.after(together, predictor.predict(matrix))
    except Exception as error:
        if len(group) > 1:  # one request must not fail another's
            for asked in group:
                _answer(predictor, looks_up, [asked])
        elif not group[0][2].done():
            group[0][2].set_exception(error)
        return
    finite = bool(np.isfinite(predictions).all())
    start = 0
    for _, rows, answer, _ in group:
        end = start + len(rows)
        part = predictions[start:end]
        if answer.done():  # given up by who asked
            pass
        elif finite or np.isfinite(part).all():
            found = matrix[start:end], part
            if looked is None:
                answer.set_result(found)
            else:
                answer.set_result((together[start:end], found, looked.part(start, end)))
        else:
            answer.set_exception(unanswered(part))
        start = end
