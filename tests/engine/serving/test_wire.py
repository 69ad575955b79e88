"""What clients send of themselves, byte by byte, and what has no end."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streams import CHUNKED, END, STREAMS, Stream, head

SECONDS = 30
KIND = "content-type: application/json\r\n"
# What each sends that is not asked to do anything special, beside host, kind and length.
CLIENTS = {
    "java": "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
    "Upgrade: h2c\r\nUser-Agent: Java-http-client/21.0.2\r\n",
    "go": "User-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n",
    "node": "connection: keep-alive\r\naccept: */*\r\naccept-language: *\r\n"
    "sec-fetch-mode: cors\r\nuser-agent: node\r\naccept-encoding: gzip, deflate\r\n",
    "curl": "User-Agent: curl/8.5.0\r\nAccept: */*\r\n",
    "dotnet": "traceparent: 00-5e3f9b6f2a1c4d7e8f9a0b1c2d3e4f5a-1a2b3c4d5e6f7a8b-00\r\n",
    "apache": "Accept-Encoding: gzip, x-gzip, deflate\r\nUpgrade: TLS/1.2\r\n"
    "Connection: Upgrade\r\nUser-Agent: Apache-HttpClient/5.4 (Java/21)\r\n",
}
ENDLESS = {
    "trailers to nowhere": Stream(head("POST /x", CHUNKED) + END + b"0\r\n", b"a: b\r\n" * 700),
    **{
        name: STREAMS[name]
        for name in (
            *("request line", "name of a header", "value of a header", "headers", "trailers"),
            *("extension of a chunk", "offer", "after an offer"),
        )
    },
}


@pytest.fixture(scope="module")
def server(server: Any) -> Any:
    """One server for all."""
    return server()


@pytest.fixture
def client(server: Any) -> Iterator[socket.socket]:
    """A connection to it."""
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as opened:
        yield opened


@pytest.fixture
def row(bundle_folder: Path) -> bytes:
    """A golden row, as JSON."""
    golden = json.loads((bundle_folder / "golden.json").read_text())
    return json.dumps(golden[0]["row"]).encode()


def answer(client: socket.socket, with_body: bool = True) -> tuple[int, bytes]:
    """Read one answer, and not a byte more than it has."""
    told = b""
    while not told.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        assert byte, told
        told += byte
    length = int(told.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    body = b""
    while with_body and len(body) < length:
        body += client.recv(length - len(body))
    return int(told.split()[1]), body


def post(headers: str, length: int) -> bytes:
    begun = f"POST /predict HTTP/1.1\r\nHost: a\r\n{headers}{KIND}"
    return f"{begun}content-length: {length}\r\n\r\n".encode()


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "in pieces"])
@pytest.mark.parametrize("name", CLIENTS)
def test_default_clients_are_answered_one_request_after_the_other(
    client: socket.socket, row: bytes, name: str, apart: bool
) -> None:
    for headers in (CLIENTS[name], CLIENTS[name], ""):
        begun = post(headers, len(row))
        if not apart:
            client.sendall(begun + row)
        else:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in (begun[:20], begun[20:], row[:7], row[7:]):
                client.sendall(piece)
                time.sleep(0.01)  # so that they arrive as sent
        status, body = answer(client)
        assert status == 200, body
        assert len(json.loads(body)["predictions"]) == 1


def test_an_offer_with_a_body_in_chunks(client: socket.socket, row: bytes) -> None:
    begun = f"POST /predict HTTP/1.1\r\nHost: a\r\n{CLIENTS['java']}{KIND}".encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (row[:9], row[9:]))
    for _ in range(2):
        client.sendall(begun + b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
        assert answer(client)[0] == 200


def test_an_offer_without_a_body(client: socket.socket) -> None:
    for offer in ("h2c", "websocket"):
        client.sendall(head("GET /healthz", "connection: upgrade", f"upgrade: {offer}") + END)
        assert answer(client) == (200, b'{"status":"alive"}')
    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer(client)[0] == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/model", "/metrics", "/v2"])
def test_head_is_get_without_a_body(client: socket.socket, path: str) -> None:
    for asked, status in ((path, 200), ("/predict", 405), ("/nowhere", 404)):
        client.sendall(head(f"HEAD {asked}") + END)
        assert answer(client, with_body=False)[0] == status
    client.sendall(head("GET /healthz", "connection: close") + END)
    assert answer(client) == (200, b'{"status":"alive"}')  # nothing was left of these
    assert client.recv(1) == b""


def test_who_has_said_all_is_answered(client: socket.socket, row: bytes) -> None:
    client.sendall(post("", len(row)) + row)
    client.shutdown(socket.SHUT_WR)
    assert answer(client)[0] == 200
    assert client.recv(1) == b""


def test_who_leaves_in_the_middle_is_let_go(client: socket.socket, row: bytes) -> None:
    client.sendall(post("", len(row)) + row[:5])
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""


@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_is_ended(server: Any, client: socket.socket, name: str) -> None:
    stream, sent = ENDLESS[name], 0
    try:
        client.sendall(stream.begun)
        while sent < 1 << 23:
            client.sendall(stream.more)
            sent += len(stream.more)
    except OSError:  # closed
        pass
    assert sent < 1 << 23
    assert server.ask("GET", "/healthz").status == 200
