"""Rows that are asked together are answered together, each by its own model."""

import asyncio
from typing import Any

import numpy as np
import pytest

from mlops.serving.batching import Batching


class Counting:
    """Answers a row with its sum, and counts the calls."""

    calls = 0

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        self.calls += 1
        if np.isnan(matrix).any():
            raise ValueError("no number")
        return np.asarray(matrix.sum(axis=1))


def test_what_is_asked_together_is_answered_together() -> None:
    one, other = Counting(), Counting()

    async def main() -> None:
        batching = Batching()
        asked = [
            batching.predict(other if n % 10 == 0 else one, np.full((n % 3 + 1, 2), float(n)))  # type: ignore[arg-type]
            for n in range(100)
        ]
        for n, answer in enumerate(await asyncio.gather(*asked)):
            assert answer.tolist() == [2.0 * n] * (n % 3 + 1)
        batching.stop()

    asyncio.run(main())
    assert one.calls + other.calls <= 4


def test_failure_and_giving_up_reach_only_who_asked() -> None:
    model: Any = Counting()

    async def main() -> None:
        batching = Batching()
        bad = asyncio.create_task(batching.predict(model, np.array([[np.nan]])))
        given_up = asyncio.create_task(batching.predict(model, np.zeros((1, 1))))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(ValueError, match="no number"):
            await bad
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert (await batching.predict(model, np.ones((1, 1)))).tolist() == [1.0]
        batching.stop()

    asyncio.run(main())
