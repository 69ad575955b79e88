"""Twenty clients at once that send no requests, or requests without an end."""

import re
from pathlib import Path
from typing import Any

import pytest
from streams import STREAMS, attack
from sweeps import THOROUGH

# One of each kind; benchmarks/serving/attack.py times them all.
FEW = (
    *("value of a header", "headers", "extension of a chunk", "chunks of one byte", "trailers"),
    *("body to be explained", "after an offer", "requests", "two framings", "nested too deep"),
)
MOST = 1 << (26 if THOROUGH else 22)  # bytes that all clients send of a stream


@pytest.fixture(scope="module")
def attacked(server: Any) -> Any:
    """One server for all of them, which has done everything once."""
    started = server()
    for stream in STREAMS.values():
        attack(started.port, stream, 1, 1 << 16)
    return started


def memory(server: Any) -> int:
    """Return the kilobytes that a server has for itself."""
    text = Path(f"/proc/{server.process.pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s*(\d+)", text, re.MULTILINE)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("name", STREAMS if THOROUGH else FEW)
def test_a_stream_is_bounded_and_never_a_failure_of_the_server(attacked: Any, name: str) -> None:
    before = memory(attacked)
    seen = attack(attacked.port, STREAMS[name], most=MOST)
    assert not [status for status in seen.statuses if status >= 500], seen
    assert attacked.ask("GET", "/healthz").status == 200
    assert memory(attacked) < 1.1 * before


def test_there_are_fifty_streams_and_each_few_is_one() -> None:
    assert len(STREAMS) >= 50
    assert set(FEW) <= set(STREAMS)
