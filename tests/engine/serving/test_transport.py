"""What a client reads of an answer, byte by byte."""

import asyncio
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState
from wires import Wire

from mlops.serving.transport import PIECE, Protocol

SECONDS = 30
HEAD = "POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n{}\r\n"


@pytest.fixture(scope="module")
def port(server: Any) -> int:
    """Where a server listens."""
    return int(server().port)


@pytest.fixture
def client(port: int) -> Iterator[socket.socket]:
    """A connection to it."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as opened:
        yield opened


@pytest.fixture
def row(bundle_folder: Path) -> dict[str, Any]:
    """A golden row."""
    found: dict[str, Any] = json.loads((bundle_folder / "golden.json").read_text())[0]["row"]
    return found


def asked(rows: object, headers: str = "") -> bytes:
    body = json.dumps(rows).encode()
    return HEAD.format(len(body), headers).encode() + body


def everything(client: socket.socket) -> bytes:
    """Read until the server closes."""
    return b"".join(iter(lambda: client.recv(1 << 16), b""))


def test_an_answer_comes_whole(client: socket.socket, row: dict[str, Any]) -> None:
    client.sendall(asked(row))
    head, _, body = client.recv(1 << 16).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert len(json.loads(body)["predictions"]) == 1


def test_requests_in_one_piece_are_answered_in_their_order(
    client: socket.socket, row: dict[str, Any]
) -> None:
    ids = [f"x-request-id: r{i}\r\n" for i in range(20)]
    client.sendall(b"".join(asked(row, one) for one in ids))
    client.sendall(asked(row, "connection: close\r\n"))
    answers = everything(client).split(b"HTTP/1.1 200 OK\r\n")[1:]
    found = [json.loads(answer.partition(b"\r\n\r\n")[2])["request_id"] for answer in answers]
    assert found[:20] == [f"r{i}" for i in range(20)]
    assert len(found) == 21


def test_a_large_answer_is_whole_before_the_connection_closes(
    client: socket.socket, row: dict[str, Any]
) -> None:
    client.sendall(asked([row] * 1000, "connection: close\r\n"))
    head, _, body = everything(client).partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head
    assert len(json.loads(body)["predictions"]) == 1000


def test_a_client_that_asks_first_is_told_to_go_on(
    client: socket.socket, row: dict[str, Any]
) -> None:
    head, _, body = asked(row, "expect: 100-continue\r\n").partition(b"\r\n\r\n")
    client.sendall(head + b"\r\n\r\n")
    assert client.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(body)
    assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


RUBBISH = b"rubbish\r\n\r\n"
ENDLESS_URL = b"GET /" + b"a" * 60_000
CHUNKED = b"POST /predict HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n"
MANY = b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n"


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (RUBBISH, 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"GET http://a HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (CHUNKED + b"\r\nzz\r\n", 400),
        (MANY, 431),
        (ENDLESS_URL, 431),
        (CHUNKED + b"\r\n2;" + b"a" * 60_000, 413),
    ],
)
def test_what_is_no_request_is_refused_after_those_before_it(
    client: socket.socket, row: dict[str, Any], before: int, sent: bytes, status: int
) -> None:
    client.sendall(asked(row) * before + sent)
    found = statuses(client)
    assert found[:before] == [200] * before
    # Behind another, what is no head has no place for an answer: the connection closes.
    assert found[before:] in ([status], [] if before else [status])


def statuses(client: socket.socket) -> list[int]:
    """Read until the server closes, and return the status of each answer."""
    data = b""
    try:
        while part := client.recv(1 << 16):
            data += part
    except ConnectionResetError:  # closed before everything was read that was sent
        pass
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d+) ", data)]


def test_a_refusal_is_a_problem_and_counted(server: Any, port: int) -> None:
    standing = server()
    with socket.create_connection(("127.0.0.1", standing.port), SECONDS) as opened:
        opened.sendall(RUBBISH)
        head, _, body = everything(opened).partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert "HTTP/1.1" in json.loads(body)["detail"]
    metrics = standing.ask("GET", "/metrics").content
    assert b'mlops_rejected_total{reason="malformed-http"} 1' in metrics


def test_trailers_are_no_headers(client: socket.socket, row: dict[str, Any]) -> None:
    body = json.dumps(row).encode()
    head = CHUNKED + b"connection: close\r\n\r\n%x\r\n%s\r\n0\r\n" % (len(body), body)
    client.sendall(head + b"x-request-id: smuggled\r\n\r\n")
    answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"smuggled" not in answer


def test_small_chunks_are_put_together(client: socket.socket, row: dict[str, Any]) -> None:
    body = json.dumps([row] * 300).encode()
    parts = [body[i : i + 3] for i in range(0, len(body), 3)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    client.sendall(CHUNKED + b"connection: close\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert everything(client).count(b'"prediction"') == 300


@pytest.mark.parametrize("headers", ["", "connection: close\r\n"])
def test_who_sends_far_too_much_still_reads_why(client: socket.socket, headers: str) -> None:
    client.sendall(HEAD.format(8_000_000, headers).encode() + b"x" * 8_000_000)
    client.shutdown(socket.SHUT_WR)
    assert everything(client).startswith(b"HTTP/1.1 413 ")


def test_what_waits_for_an_answer_is_not_parsed_before_its_turn() -> None:
    answered = 0

    async def whole() -> None:
        turn = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal answered
            await turn.wait()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
            answered += 1

        config = Config(app, interface="asgi3", lifespan="off", log_config=None)
        config.load()
        protocol = Protocol(config=config, server_state=ServerState(), app_state={})
        transport = Wire()
        protocol.connection_made(transport)  # type: ignore[arg-type]
        protocol.data_received(b"GET / HTTP/1.1\r\n\r\n" * 10_000)
        for _ in range(100):
            await asyncio.sleep(0)
        assert 0 < len(protocol.pipeline) <= PIECE // 18
        assert not transport.reads
        turn.set()
        async with asyncio.timeout(SECONDS):
            while answered < 10_000:
                await asyncio.sleep(0.01)
        assert transport.reads
        assert transport.written.count(b"HTTP/1.1 204 ") == 10_000

    asyncio.run(whole())
