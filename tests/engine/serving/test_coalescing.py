"""What is asked in one turn is answered in one call, each with its own."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlops.serving.coalescing import ROWS, Coalescing, answered
from mlops.serving.predictor import Predictor
from mlops.serving.problem import Problem


class Counting:
    """A predictor that notes how many rows each call has, and may answer otherwise."""

    def __init__(self, inner: Predictor, spoil: Callable[[np.ndarray], None] = len) -> None:
        self.inner = inner
        self.calls: list[int] = []
        self.spoil = spoil

    def matrix(self, rows: Any) -> np.ndarray:
        return self.inner.matrix(rows)

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        self.calls.append(len(matrix))
        predictions = self.inner.predict(matrix)
        self.spoil(predictions)
        return predictions

    def after(self, rows: Any, predictions: np.ndarray) -> np.ndarray:
        return self.inner.after(rows, predictions)


@pytest.fixture
def rows(champion: Predictor, golden: list[dict[str, Any]]) -> list[Any]:
    return champion.decode(json.dumps(golden).encode())


def test_one_turn_is_one_call_and_each_gets_its_own(champion: Predictor, rows: list[Any]) -> None:
    counting = Counting(champion)
    parts = [rows[0:1], rows[1:4], rows[4:5], rows[5:20]]

    async def ask() -> list[Any]:
        coalescing = Coalescing()
        return await asyncio.gather(*[coalescing.ask(counting, part) for part in parts])  # type: ignore[arg-type]

    answers = asyncio.run(ask())
    assert counting.calls == [20]
    for part, (matrix, predictions) in zip(parts, answers, strict=True):
        alone, expected = answered(champion, part)
        np.testing.assert_array_equal(matrix, alone)
        np.testing.assert_allclose(predictions, expected, atol=1e-7)


def test_a_call_is_bounded(champion: Predictor, rows: list[Any]) -> None:
    counting = Counting(champion)
    sizes = [100, 100, 100, ROWS + 44, 1]

    async def ask() -> list[Any]:
        coalescing = Coalescing()
        many = [[rows[0]] * size for size in sizes]
        return await asyncio.gather(*[coalescing.ask(counting, part) for part in many])  # type: ignore[arg-type]

    answers = asyncio.run(ask())
    assert counting.calls == [200, 100, ROWS + 44, 1]
    assert [len(predictions) for _, predictions in answers] == sizes


def test_each_predictor_is_called_for_its_own(champion: Predictor, rows: list[Any]) -> None:
    one, other = Counting(champion), Counting(champion)

    async def ask() -> None:
        coalescing = Coalescing()
        asked = [coalescing.ask((one, other)[i % 3 == 0], rows[i : i + 1]) for i in range(9)]  # type: ignore[arg-type]
        await asyncio.gather(*asked)

    asyncio.run(ask())
    assert (one.calls, other.calls) == ([6], [3])


def test_who_gives_up_takes_nobody_along(champion: Predictor, rows: list[Any]) -> None:
    async def ask() -> Any:
        coalescing = Coalescing()
        left, stayed = coalescing.ask(champion, rows[:1]), coalescing.ask(champion, rows[1:3])
        left.cancel()
        return await stayed

    assert len(asyncio.run(ask())[1]) == 2


def test_row_without_a_number_for_an_answer_is_refused_alone(
    champion: Predictor, rows: list[Any]
) -> None:
    def spoil(predictions: np.ndarray) -> None:
        predictions[4] = np.nan

    async def ask() -> list[Any]:
        coalescing, counting = Coalescing(), Counting(champion, spoil)
        parts = [rows[:2], rows[2:6], rows[6:8]]
        asked = [coalescing.ask(counting, part) for part in parts]  # type: ignore[arg-type]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, problem, last = asyncio.run(ask())
    assert len(first[1]) == len(last[1]) == 2
    assert isinstance(problem, Problem)
    assert (problem.status, problem.row) == (422, 2)


def test_request_that_fails_fails_alone(champion: Predictor, rows: list[Any]) -> None:
    async def ask() -> list[Any]:
        coalescing = Coalescing()
        parts: list[list[Any]] = [rows[:1], ["no row"], rows[1:2]]
        asked = [coalescing.ask(champion, part) for part in parts]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, failure, last = asyncio.run(ask())
    assert isinstance(failure, TypeError)
    assert len(first[1]) == len(last[1]) == 1


def test_who_has_waited_too_long_is_told_and_costs_nothing(
    champion: Predictor, rows: list[Any]
) -> None:
    counting = Counting(champion)

    async def ask() -> None:
        with pytest.raises(TimeoutError):
            await Coalescing(patience=-1.0).ask(counting, rows[:1])  # type: ignore[arg-type]

    asyncio.run(ask())
    assert counting.calls == []
