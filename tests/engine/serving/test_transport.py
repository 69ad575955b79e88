"""What a client reads of an answer, byte by byte."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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


def test_what_is_no_request_is_refused_and_closed(client: socket.socket) -> None:
    client.sendall(b"rubbish\r\n\r\n")
    assert everything(client).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/model", "/metrics", "/v2"])
def test_head_is_get_without_a_body(client: socket.socket, path: str) -> None:
    for asked_for, status in ((path, b"200"), ("/predict", b"405"), ("/nowhere", b"404")):
        client.sendall(f"HEAD {asked_for} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        assert head.split()[1] == status
    client.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert everything(client).partition(b"\r\n\r\n")[2] == b'{"status":"alive"}'
