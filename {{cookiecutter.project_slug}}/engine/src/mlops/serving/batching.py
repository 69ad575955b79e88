"""Predictions in a thread: what is asked while it is busy is answered together, in one call."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .predictor import Predictor

ROWS = 10_000  # of one call: longer ones would keep short requests waiting

Asked = tuple["Predictor", np.ndarray, "asyncio.Future[np.ndarray]"]


class Batching:
    """One thread for models that take long, as those of scikit-learn do for a single row."""

    def __init__(self) -> None:
        self._asked: list[Asked] = []
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "predictions")

    async def predict(self, predictor: "Predictor", matrix: np.ndarray) -> np.ndarray:
        """Return the predictor's answers for the matrix."""
        answer: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        self._asked.append((predictor, matrix, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return await answer

    def stop(self) -> None:
        """Let the thread end when it is done."""
        self._thread.shutdown(wait=False)

    async def _work(self) -> None:
        try:
            while batch := self._next():
                await self._answer(batch)
        finally:
            self._task = None

    def _next(self) -> list[Asked]:
        """Take those who still wait, for the predictor of the first and up to ROWS rows."""
        batch: list[Asked] = []
        left: list[Asked] = []
        rows = 0
        for asked in self._asked:
            predictor, matrix, answer = asked
            if answer.done():  # given up: the deadline came first
                continue
            if batch and (predictor is not batch[0][0] or rows + len(matrix) > ROWS):
                left.append(asked)
                continue
            batch.append(asked)
            rows += len(matrix)
        self._asked = left
        return batch

    async def _answer(self, batch: list[Asked]) -> None:
        predictor, matrices = batch[0][0], [matrix for _, matrix, _ in batch]
        loop = asyncio.get_running_loop()
        try:
            matrix = np.concatenate(matrices)
            answers = await loop.run_in_executor(self._thread, predictor.predict, matrix)
        except Exception as error:
            for _, _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        start = 0
        for _, matrix, answer in batch:
            if not answer.done():
                answer.set_result(answers[start : start + len(matrix)])
            start += len(matrix)
