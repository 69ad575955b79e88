"""POST /predict of a real server: answers, refusals by row and field, limits, names."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from mlops.serving.predictor import Predictor

JSON = {"content-type": "application/json"}
Server = Any
Start = Callable[..., Server]


@pytest.fixture(scope="module")
def standing(server: Start) -> Server:
    """A server with small limits."""
    return server(max_body_bytes=200_000, max_rows=300)


def expected(champion: Predictor, rows: list[dict[str, Any]]) -> np.ndarray:
    decoded = champion.decode(json.dumps(rows).encode())
    return champion.predict(champion.matrix(decoded))


def given(reply: Any) -> list[float]:
    return [one["probabilities"]["true"] for one in reply.content["predictions"]]


def test_one_row_and_a_list(
    standing: Server, champion: Predictor, golden: list[dict[str, Any]]
) -> None:
    one = standing.ask("POST", "/predict", json.dumps(golden[3]), JSON)
    several = standing.ask("POST", "/predict", json.dumps(golden), JSON)
    assert (one.status, several.status) == (200, 200)
    assert one.headers["content-type"] == "application/json"
    assert one.content["model"] == several.content["model"] == champion.bundle_digest
    np.testing.assert_allclose(given(several), expected(champion, golden), atol=1e-6)
    np.testing.assert_allclose(given(one), given(several)[3:4], atol=1e-6)


def test_large_request_is_answered_alike(
    standing: Server, champion: Predictor, golden: list[dict[str, Any]]
) -> None:
    rows = golden * 15
    reply = standing.ask("POST", "/predict", json.dumps(rows), JSON)
    np.testing.assert_allclose(given(reply), expected(champion, rows), atol=1e-6)


@pytest.mark.parametrize("headers", [{}, {"content-type": "Application/JSON; charset=UTF-8"}])
def test_kinds_that_are_json(
    headers: dict[str, str], standing: Server, golden: list[dict[str, Any]]
) -> None:
    assert standing.ask("POST", "/predict", json.dumps(golden[0]), headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/x-www-form-urlencoded"},
        JSON | {"content-encoding": "gzip"},
    ],
)
def test_other_kinds_are_refused(
    headers: dict[str, str], standing: Server, golden: list[dict[str, Any]]
) -> None:
    reply = standing.ask("POST", "/predict", json.dumps(golden[0]), headers)
    assert reply.status == 415
    assert reply.headers["content-type"] == "application/problem+json"


def test_refusal_names_row_and_field(standing: Server, golden: list[dict[str, Any]]) -> None:
    rows = [golden[0], golden[1] | {"plan": 3}]
    reply = standing.ask("POST", "/predict", json.dumps(rows), JSON | {"x-request-id": "mine-1"})
    assert reply.status == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.content == {
        "type": "urn:mlops:problem:bad-value",
        "title": "A value does not fit the contract",
        "status": 422,
        "detail": "plan must be a string, not a number",
        "row": 1,
        "field": "plan",
        "request_id": "mine-1",
    }


@pytest.mark.parametrize("chunked", [False, True])
def test_body_above_the_limit(chunked: bool, standing: Server) -> None:
    parts = [b" " * 50_000] * 100
    body: Any = iter(parts) if chunked else b"".join(parts)
    reply = standing.ask("POST", "/predict", body, JSON)
    assert (reply.status, reply.content["type"]) == (413, "urn:mlops:problem:too-large")


def test_body_above_the_limit_is_refused_before_it_is_sent(standing: Server) -> None:
    with socket.create_connection(("127.0.0.1", standing.port), 30) as opened:
        opened.sendall(b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 900000000\r\n\r\n")
        assert opened.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("times", [301, 400])
def test_too_many_rows(times: int, standing: Server, golden: list[dict[str, Any]]) -> None:
    rows = [golden[0]] * times
    reply = standing.ask("POST", "/predict", json.dumps(rows), JSON)
    assert (reply.status, reply.content["type"]) == (413, "urn:mlops:problem:too-many-rows")


def test_body_in_pieces(standing: Server, golden: list[dict[str, Any]]) -> None:
    text = json.dumps(golden[0]).encode()
    pieces = (text[i : i + 7] for i in range(0, len(text), 7))
    assert standing.ask("POST", "/predict", pieces, JSON).status == 200


@pytest.mark.parametrize(
    "name", ["a" * 101, "two words", 'quote"', "back\\slash", "<script>", "é", "new\tline", ""]
)
def test_request_id_that_is_not_plain_is_replaced(
    name: str, standing: Server, golden: list[dict[str, Any]]
) -> None:
    headers = {"x-request-id": name.encode("latin-1")}
    reply = standing.ask("POST", "/predict", json.dumps(golden[0]), headers)
    assert reply.content["request_id"] == reply.headers["x-request-id"]
    assert len(reply.content["request_id"]) < 40
    assert reply.content["request_id"] != name


def test_request_id_is_the_client_s_or_a_new_one(
    standing: Server, golden: list[dict[str, Any]]
) -> None:
    body = json.dumps(golden[0])
    own = standing.ask("POST", "/predict", body, {"x-request-id": "order:12/a.b_c-d"[:8]})
    assert own.content["request_id"] == own.headers["x-request-id"] == "order:12"
    ids = {standing.ask("POST", "/predict", body).content["request_id"] for _ in range(5)}
    assert len(ids) == 5


def test_trace_goes_on(standing: Server, golden: list[dict[str, Any]]) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    for body in (json.dumps(golden[0]), "[]"):
        headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        answered = standing.ask("POST", "/predict", body, headers).headers["traceparent"]
        assert answered.split("-")[1] == trace
        assert "b7ad6b7169203331" not in answered


def test_every_answer_belongs_to_its_request_when_many_ask(
    standing: Server, champion: Predictor, golden: list[dict[str, Any]]
) -> None:
    rows = [golden[0] | {"tenure_months": number} for number in range(120)]
    wanted = expected(champion, rows)

    async def ask() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=40)
        address = f"http://127.0.0.1:{standing.port}/predict"
        async with httpx.AsyncClient(limits=limits, timeout=30) as client:
            sizes = [rows[n : n + 1 + n % 3] for n in range(len(rows))]
            return await asyncio.gather(
                *[
                    client.post(address, json=part, headers={"x-request-id": f"n{n}"})
                    for n, part in enumerate(sizes)
                ]
            )

    for number, reply in enumerate(asyncio.run(ask())):
        content = reply.json()
        assert content["request_id"] == f"n{number}"
        found = [one["probabilities"]["true"] for one in content["predictions"]]
        part = wanted[number : number + 1 + number % 3]
        np.testing.assert_allclose(found, part, rtol=0, atol=1e-6)


def test_client_that_leaves_is_counted_and_nothing_else(
    standing: Server, golden: list[dict[str, Any]]
) -> None:
    with socket.create_connection(("127.0.0.1", standing.port), 30) as opened:
        opened.sendall(b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{")
    counted = b'reason="client-gone"'
    for _ in range(1000):
        if counted in standing.ask("GET", "/metrics").content:
            break
    else:
        pytest.fail("not counted")
    assert standing.ask("POST", "/predict", json.dumps(golden[0])).status == 200
