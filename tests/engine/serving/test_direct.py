"""A prediction that is here whole is answered without a task, and otherwise as any request."""

import asyncio
import gc
import json
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState
from wires import Wire

from mlops.serving.app import App, create
from mlops.serving.problem import Problem
from mlops.serving.settings import ServingSettings
from mlops.serving.transport import OUTSIDE, Protocol

SECONDS = 30
JSON = "content-type: application/json\r\n"


def request(body: bytes, headers: str = JSON, line: str = "POST /predict HTTP/1.1") -> bytes:
    return f"{line}\r\nhost: a\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body


class Connection:
    """A connection of an application in this process, which notes what needed no task."""

    def __init__(self, app: App) -> None:
        config = Config(app, interface="asgi3", lifespan="off", log_config=None)
        config.load()
        self.app, self.wire, self.direct = app, Wire(), 0
        self.state = ServerState()
        self.protocol = Protocol(
            config=config, server_state=self.state, app_state={}, direct=self._direct
        )
        self.protocol.connection_made(self.wire)  # type: ignore[arg-type]

    def _direct(self, *given: Any) -> bool:
        taken = self.app.direct(*given)
        self.direct += taken
        return taken

    async def answered(self, *parts: bytes, answers: int = 1) -> bytes:
        """Send parts, each when the loop has turned, and return what is answered."""
        self.wire.written = b""
        for part in parts:
            self.protocol.data_received(part)
            await asyncio.sleep(0)
        async with asyncio.timeout(SECONDS):
            while self.wire.written.count(b"HTTP/1.1 ") < answers or self.state.tasks:
                await asyncio.sleep(0)
        return self.wire.written


@pytest.fixture
def connect(bundle_folder: Path) -> Callable[..., Connection]:
    """Connect to an application with these settings."""

    def make(**settings: Any) -> Connection:
        app = create(ServingSettings(bundle=bundle_folder, watch_seconds=0, **settings))
        app.state.models.load()
        return Connection(app)

    return make


def plain(answer: bytes) -> bytes:
    """Return an answer without what each has of its own."""
    return re.sub(rb"[0-9a-f]{12}-[0-9a-f]+", b"ID", answer)


def large(row: dict[str, Any]) -> bytes:
    return json.dumps([row] * 40).encode()


@pytest.mark.parametrize(
    ("headers", "settings", "body"),
    [
        (JSON, {}, lambda row: json.dumps(row).encode()),
        (JSON, {}, large),
        (JSON + "x-request-id: mine\r\nx-routing-key: k\r\n", {}, large),
        (JSON, {}, lambda row: b'{"no": 1}'),
        (JSON, {}, lambda row: b"[]"),
        (JSON, {"max_rows": 2}, large),
        (JSON, {"max_body_bytes": 1000}, large),
        (JSON, {"deadline_seconds": 1e-9}, large),
        ("content-type: text/csv\r\n", {}, large),
        (JSON + "content-encoding: gzip\r\n", {}, large),
        (JSON + "x-api-key: right-key\r\n", {"api_key": "right-key"}, large),
    ],
)
def test_it_is_answered_and_counted_byte_for_byte_as_by_a_task(
    headers: str,
    settings: dict[str, Any],
    body: Callable[[dict[str, Any]], bytes],
    connect: Callable[..., Connection],
    golden: list[dict[str, Any]],
) -> None:
    sent = request(body(golden[0]), headers)

    async def ask(*parts: bytes) -> tuple[Connection, bytes]:
        connection = connect(**settings)
        return connection, await connection.answered(*parts)

    whole, answer = asyncio.run(ask(sent))
    parted, other = asyncio.run(ask(sent[:-1], sent[-1:]))
    assert (whole.direct, parted.direct) == (1, 0)
    assert plain(answer) == plain(other)
    counts = [
        (one.requests, one.rejections, one.in_flight)
        for one in (whole.app.state.metrics, parted.app.state.metrics)
    ]
    assert counts[0] == counts[1]


def test_more_than_may_be_in_flight_are_told_to_come_again(
    connect: Callable[..., Connection], golden: list[dict[str, Any]]
) -> None:
    sent = request(json.dumps(golden[0]).encode())

    async def ask() -> list[bytes]:
        first = connect(max_in_flight=3)
        others = [Connection(first.app) for _ in range(4)]
        return await asyncio.gather(*[one.answered(sent) for one in (first, *others)])

    answers = asyncio.run(ask())
    assert sorted(answer[9:12] for answer in answers) == [b"200"] * 3 + [b"503"] * 2
    assert sum(b"retry-after: 1\r\n" in answer for answer in answers) == 2


@pytest.mark.parametrize(
    ("headers", "line", "status"),
    [
        (JSON + "traceparent: 00-a\r\n", "POST /predict HTTP/1.1", 200),
        (JSON + "connection: close\r\n", "POST /predict HTTP/1.1", 200),
        (JSON + "expect: 100-continue\r\n", "POST /predict HTTP/1.1", 200),
        (JSON, "POST /predict HTTP/1.0", 200),
        (JSON, "POST /predict?a=b HTTP/1.1", 200),
        (JSON, "POST /explain HTTP/1.1", 200),
        (JSON, "PUT /predict HTTP/1.1", 405),
        (JSON + "x: y\r\n" * 101, "POST /predict HTTP/1.1", 431),
    ],
)
def test_what_asks_for_more_has_a_task(
    headers: str,
    line: str,
    status: int,
    connect: Callable[..., Connection],
    golden: list[dict[str, Any]],
) -> None:
    async def ask() -> tuple[int, bytes]:
        connection = connect()
        sent = request(json.dumps(golden[0]).encode(), headers, line)
        return connection.direct, await connection.answered(sent)

    direct, answer = asyncio.run(ask())
    assert direct == 0
    assert b"HTTP/1.1 %d " % status in answer


def test_without_the_key_it_is_turned_away(
    connect: Callable[..., Connection], golden: list[dict[str, Any]]
) -> None:
    async def ask() -> tuple[int, bytes]:
        connection = connect(api_key="right-key")
        return connection.direct, await connection.answered(request(large(golden[0])))

    direct, answer = asyncio.run(ask())
    assert direct == 0
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_what_follows_in_the_same_piece_waits_for_its_turn(
    connect: Callable[..., Connection], golden: list[dict[str, Any]]
) -> None:
    body = json.dumps(golden[0]).encode()

    async def ask() -> tuple[Connection, bytes]:
        connection = connect()
        ids = [request(body, f"x-request-id: r{i}\r\n") for i in range(5)]
        answer = await connection.answered(b"".join([*ids, request(b"[]")]), answers=6)
        again = await connection.answered(request(body))
        assert again.startswith(b"HTTP/1.1 200 ")
        return connection, answer

    connection, answer = asyncio.run(ask())
    assert re.findall(rb'"request_id":"(r\d)"', answer) == [b"r%d" % i for i in range(5)]
    assert connection.direct == 2  # the first of each piece
    assert connection.protocol.timeout_keep_alive_task is not None


def test_of_many_that_are_refused_at_once_one_a_turn_needs_no_task(
    connect: Callable[..., Connection],
) -> None:
    """Or the others of that turn waited for all of them, of each client that sends so."""

    async def ask() -> tuple[Connection, bytes]:
        connection = connect()
        return connection, await connection.answered(request(b"") * 20, answers=20)

    connection, answer = asyncio.run(ask())
    assert answer.count(b"HTTP/1.1 400 ") == 20
    assert connection.direct == 1


CHUNKED = f"POST /predict HTTP/1.1\r\nhost: a\r\n{JSON}transfer-encoding: chunked\r\n\r\n".encode()


@pytest.mark.parametrize("sent", [request(b"["), CHUNKED + b"1000\r\n" + b"[" * 4096])
def test_what_was_refused_is_let_go_of_before_a_collection(
    sent: bytes, connect: Callable[..., Connection]
) -> None:
    async def ask() -> bytes:
        return await connect(max_body_bytes=1000).answered(sent)

    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        answer = asyncio.run(ask())
        gc.collect()
        kept = [one for one in gc.garbage if isinstance(one, Problem)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert re.match(rb"HTTP/1.1 4(00|13) ", answer)
    assert kept == []


def test_rubbish_behind_it_is_refused_after_its_answer(
    connect: Callable[..., Connection], golden: list[dict[str, Any]]
) -> None:
    async def ask() -> Connection:
        connection = connect()
        rubbish = b"\x00" * 100
        await connection.answered(request(json.dumps(golden[0]).encode()) + rubbish)
        return connection

    connection = asyncio.run(ask())
    assert connection.wire.written.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in connection.wire.written
    assert connection.wire.closed


def test_what_never_gets_whole_is_held_no_longer_than_a_turn(
    connect: Callable[..., Connection],
) -> None:
    async def ask() -> Connection:
        connection = connect()
        sent = request(b" " * (8 * OUTSIDE))
        connection.protocol.data_received(sent[:-1])
        assert len(connection.state.tasks) == 1
        connection.protocol.connection_lost(None)
        await asyncio.gather(*connection.state.tasks)
        return connection

    connection = asyncio.run(ask())
    assert connection.direct == 0
    assert connection.app.state.metrics.rejections == {"client-gone": 1}


def test_who_leaves_before_the_answer_is_counted_as_answered(
    connect: Callable[..., Connection], golden: list[dict[str, Any]]
) -> None:
    async def ask() -> Connection:
        connection = connect()
        connection.protocol.data_received(request(json.dumps(golden[0]).encode()))
        assert connection.app.state.metrics.in_flight == 1
        connection.protocol.connection_lost(ConnectionResetError())
        while connection.app.state.metrics.in_flight:
            await asyncio.sleep(0)
        connection.app.state.recorder.drain()
        return connection

    connection = asyncio.run(ask())
    assert connection.wire.written == b""
    assert connection.app.state.metrics.rows == 1


def test_a_failure_is_a_problem_and_takes_nobody_along(
    connect: Callable[..., Connection],
    golden: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the answer cannot be said, and where it cannot be recorded."""
    body = json.dumps(golden[0]).encode()

    async def ask(at: str) -> list[bytes]:
        connection = connect()
        other = Connection(connection.app)
        own = getattr(connection.app.predict, at)

        def failing(asked: Any, *given: Any) -> Any:
            if asked.request_id == "bad":
                raise RuntimeError("secret")
            return own(asked, *given)

        monkeypatch.setattr(connection.app.predict, at, failing)
        bad = connection.answered(request(body, "x-request-id: bad\r\n"))
        return await asyncio.gather(bad, other.answered(request(body)))

    for at, status in (("said", 500), ("record", 200)):
        first, second = asyncio.run(ask(at))
        assert first.startswith(b"HTTP/1.1 %d " % status)
        assert b"secret" not in first
        assert second.startswith(b"HTTP/1.1 200 ")


def test_a_server_tells_the_date(server: Any, golden: list[dict[str, Any]]) -> None:
    """As uvicorn does: it is another each second."""
    found = set()
    with socket.create_connection(("127.0.0.1", server().port), SECONDS) as client:
        deadline = time.monotonic() + SECONDS
        while len(found) < 2 and time.monotonic() < deadline:
            client.sendall(request(json.dumps(golden[0]).encode()))
            found |= set(re.findall(rb"date: [^\r]+ GMT\r\n", client.recv(1 << 16)))
    assert len(found) == 2
