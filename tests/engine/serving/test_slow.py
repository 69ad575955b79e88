"""Each part of a request has its time, and idle connections are let be."""

from types import SimpleNamespace

import numpy as np
import pytest

from mlops.serving.slow import Slow


class Connection:
    """What the sweep looks at of a connection of uvicorn's."""

    def __init__(
        self,
        cycle: SimpleNamespace | None = None,
        *,
        idle: bool = False,
        closing: bool = False,
    ) -> None:
        self.cycle = cycle
        self.timeout_keep_alive_task = object() if idle else None
        self.transport = SimpleNamespace(is_closing=lambda: closing)


def cycle(received: bool, answered: bool) -> SimpleNamespace:
    return SimpleNamespace(more_body=not received, response_complete=answered)


@pytest.mark.parametrize(
    ("one", "seconds"),
    [
        (Connection(), 9),
        (Connection(cycle(False, False)), 9),
        (Connection(cycle(True, True)), 9),  # the next request has begun
        (Connection(cycle(True, False)), 15),
        (Connection(cycle(True, True), idle=True, closing=True), 15),  # nobody reads the answer
        (Connection(cycle(True, True), idle=True), None),
    ],
)
def test_each_phase_has_its_time(one: Connection, seconds: int | None) -> None:
    slow = Slow(10, 5)
    found = [now for now in np.arange(0, 30, 0.5) if slow.found({one}, float(now))]
    assert found[:1] == ([] if seconds is None else [seconds])


def test_next_request_has_its_own_time() -> None:
    one = Connection()
    slow = Slow(10, 5)
    for now in range(100):
        if now % 8 == 0:
            one.cycle = cycle(False, False)
        assert not slow.found({one}, float(now))
