"""POST /predict in this process: what may be in flight, wait, and fail."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from mlops.serving.app import create
from mlops.serving.endpoints import predict
from mlops.serving.settings import ServingSettings


class Asked:
    """An application in this process, which is asked without a server."""

    def __init__(self, bundle: Path, **settings: Any) -> None:
        self.app = create(ServingSettings(bundle=bundle, watch_seconds=0, **settings))
        self.app.state.models.load()

    async def ask(
        self,
        body: bytes,
        headers: list[tuple[bytes, bytes]] | None = None,
        path: str = "/predict",
    ) -> tuple[int, dict[bytes, bytes], Any]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": headers or [],
        }
        await self.app(scope, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"])


@pytest.fixture
def row(golden: list[dict[str, Any]]) -> bytes:
    return json.dumps(golden[0]).encode()


def test_more_than_may_be_in_flight_are_told_to_come_again(bundle_folder: Path, row: bytes) -> None:
    async def ask() -> list[Any]:
        asked = Asked(bundle_folder, max_in_flight=5)
        return await asyncio.gather(*[asked.ask(row) for _ in range(8)])

    replies = asyncio.run(ask())
    assert sorted(status for status, _, _ in replies) == [200] * 5 + [503] * 3
    (busy,) = {headers[b"retry-after"] for status, headers, _ in replies if status == 503}
    assert busy == b"1"


def test_what_is_in_flight_is_counted_down_after_a_refusal(bundle_folder: Path, row: bytes) -> None:
    async def ask() -> Any:
        asked = Asked(bundle_folder, max_in_flight=1)
        for _ in range(3):
            await asked.ask(b"[]")
        return asked.app.state.metrics.in_flight, await asked.ask(row)

    in_flight, (status, _, _) = asyncio.run(ask())
    assert (in_flight, status) == (0, 200)


def test_deadline_ends_the_wait(bundle_folder: Path, golden: list[dict[str, Any]]) -> None:
    """Large requests queue for one thread: here, behind something that does not end."""
    many = json.dumps(golden * 20).encode()
    released = threading.Event()

    async def ask() -> Any:
        asked = Asked(bundle_folder, deadline_seconds=0.05)
        asked.app.predict._thread.submit(released.wait)
        try:
            return await asked.ask(many)
        finally:
            released.set()

    status, headers, content = asyncio.run(ask())
    assert (status, content["type"]) == (503, "urn:mlops:problem:deadline")
    assert headers[b"retry-after"] == b"1"


def test_same_key_is_answered_by_the_same_model(bundle_folder: Path, row: bytes) -> None:
    async def ask() -> Any:
        asked = Asked(bundle_folder)
        keys: list[bytes] = []
        route = asked.app.state.models.route
        asked.app.state.models.route = lambda key: (keys.append(key), route(key))[1]
        await asked.ask(row, [(b"x-routing-key", b"customer"), (b"x-request-id", b"r")])
        await asked.ask(row, [(b"x-request-id", b"r")])
        return keys

    assert asyncio.run(ask()) == [b"customer", b"r"]


def test_nothing_loaded_is_503(tmp_path: Path, bundle_folder: Path, row: bytes) -> None:
    async def ask() -> Any:
        asked = Asked(bundle_folder)
        asked.app.state.models.champion = None
        return await asked.ask(row)

    assert asyncio.run(ask())[0] == 503


def test_failure_is_a_problem_and_its_message_stays_here(bundle_folder: Path, row: bytes) -> None:
    async def ask() -> Any:
        asked = Asked(bundle_folder)

        def fail(key: bytes) -> None:
            raise RuntimeError("secret")

        asked.app.state.models.route = fail
        return await asked.ask(row)

    status, _, content = asyncio.run(ask())
    assert status == 500
    assert "secret" not in json.dumps(content)


def test_bodies_that_wait_hold_no_more_than_they_may(
    bundle_folder: Path, golden: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every route and of every client together, from the first byte to the answer."""
    many = json.dumps(golden * 20).encode()
    monkeypatch.setattr(predict, "BUFFERED", 3 * len(many))
    released = threading.Event()

    async def ask() -> tuple[list[int], int, int]:
        asked = Asked(bundle_folder)
        asked.app.predict._thread.submit(released.wait)
        waiting = [asyncio.create_task(asked.ask(many)) for _ in range(5)]
        await asyncio.sleep(0)
        elsewhere = (await asked.ask(many, path="/explain"))[0]
        released.set()
        statuses = [status for status, _, _ in await asyncio.gather(*waiting)]
        return statuses, elsewhere, asked.app.predict.bodies.size

    statuses, elsewhere, left = asyncio.run(ask())
    assert sorted(statuses) == [200] * 3 + [503] * 2
    assert elsewhere == 503
    assert left == 0
