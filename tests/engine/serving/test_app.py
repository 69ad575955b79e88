"""The application around the hot path: keys, problems, documentation, counts."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlops.serving.app import create
from mlops.serving.settings import ServingSettings

KEY = "correct horse battery"
PROBLEM = "application/problem+json"
Server = Any


@pytest.fixture(scope="module")
def standing(server: Callable[..., Server]) -> Server:
    """A server as it is without settings."""
    return server()


@pytest.fixture(scope="module")
def locked(server: Callable[..., Server]) -> Server:
    """A server with a key, and without documentation."""
    return server(api_key=KEY, docs=False)


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/predict", 405, "method-not-allowed"),
        ("DELETE", "/model", 405, "method-not-allowed"),
        ("POST", "/predict/", 404, "not-found"),
    ],
)
def test_what_fastapi_refuses_is_a_problem_too(
    method: str, path: str, status: int, slug: str, standing: Server
) -> None:
    reply = standing.ask(method, path)
    assert (reply.status, reply.headers["content-type"]) == (status, PROBLEM)
    assert reply.content["type"] == f"urn:mlops:problem:{slug}"
    assert reply.content["request_id"] == reply.headers["x-request-id"]


def test_method_that_is_allowed_is_named(standing: Server) -> None:
    assert standing.ask("GET", "/predict").headers["allow"] == "POST"
    assert standing.ask("POST", "/model").headers["allow"] == "GET, HEAD"


def test_body_of_other_routes_is_bounded(server: Callable[..., Server]) -> None:
    small = server(max_body_bytes=1000)
    for body in (b"x" * 2000, iter([b"x" * 600] * 2)):
        reply = small.ask("POST", "/explain", body, {"content-type": "application/json"})
        assert (reply.status, reply.headers["content-type"]) == (413, PROBLEM)


def test_documentation_is_there_and_describes_predict(standing: Server) -> None:
    assert standing.ask("GET", "/docs").status == 200
    described = standing.ask("GET", "/openapi.json").content
    assert described["openapi"].startswith("3.")
    assert {"/predict", "/explain", "/model", "/healthz", "/readyz"} <= set(described["paths"])
    assert "servers" not in described


PREFIX = "/models/churn"


class Proxied:
    """An application behind a proxy, asked as by one that says nothing of the prefix."""

    def __init__(self, runner: asyncio.Runner, bundle: Path, **settings: Any) -> None:
        self.runner = runner
        self.app = create(ServingSettings(bundle=bundle, **settings))
        self.app.state.models.load()

    def ask(self, method: str, path: str, told: str = "", **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, root_path=told)
            async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
                return await client.request(method, path, **options)

        return self.runner.run(ask())


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """An event loop for what is asked in this process."""
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def proxied(runner: asyncio.Runner, bundle_folder: Path) -> Proxied:
    """A server that is told of the prefix, and has a key."""
    return Proxied(runner, bundle_folder, root_path=PREFIX, api_key=KEY)


@pytest.mark.parametrize("prefix", [PREFIX, ""], ids=["left", "taken off"])
def test_prefix_of_a_proxy_may_be_taken_off_or_not(
    proxied: Proxied, golden: list[dict[str, Any]], prefix: str
) -> None:
    key = {"x-api-key": KEY}
    reply = proxied.ask("POST", f"{prefix}/predict", json=golden[0], headers=key)
    assert reply.status_code == 200
    assert reply.headers.get_list("x-request-id") == [reply.json()["request_id"]]
    assert proxied.ask("POST", f"{prefix}/predict", json=golden[0]).status_code == 401
    for path in ("/", "/docs", "/healthz", "/page/docs.js", "/v2/health/ready"):
        assert proxied.ask("GET", f"{prefix}{path}").status_code == 200, path
    refused = proxied.ask("GET", f"{prefix}/v2/models/none", headers=key)
    assert set(refused.json()) == {"error"}
    described = proxied.ask("GET", f"{prefix}/openapi.json", headers=key).json()
    assert described["servers"] == [{"url": PREFIX}]
    assert "/predict" in described["paths"]


@pytest.mark.parametrize("path", [f"{PREFIX}x/healthz", f"{PREFIX}{PREFIX}/healthz", "/models"])
def test_another_prefix_is_no_route(proxied: Proxied, path: str) -> None:
    assert proxied.ask("GET", path, headers={"x-api-key": KEY}).status_code == 404


def test_prefix_is_taken_off_once(runner: asyncio.Runner, bundle_folder: Path) -> None:
    """Below /page nothing asks for a key, and nothing else than the page is there."""
    app = Proxied(runner, bundle_folder, root_path="/page", api_key=KEY)
    for told in ("", "/page"):
        assert app.ask("GET", "/page/model", told).status_code == 401
        assert app.ask("GET", "/page/page/model", told).status_code == 404


def test_prefix_that_the_server_itself_is_told_of(
    runner: asyncio.Runner, bundle_folder: Path, golden: list[dict[str, Any]]
) -> None:
    app = Proxied(runner, bundle_folder)
    assert app.ask("POST", f"{PREFIX}/predict", told=PREFIX, json=golden[0]).status_code == 200


def test_other_origins_are_told_nothing(standing: Server) -> None:
    reply = standing.ask("GET", "/model", headers={"origin": "https://elsewhere.invalid"})
    assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": "wrong"},
        {"x-api-key": ""},
        {"authorization": f"Basic {KEY}"},
        {"authorization": KEY},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer {KEY}x"},
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/model", "/metrics", "/nowhere"])
def test_without_the_key_nothing_answers(
    path: str, headers: dict[str, str], locked: Server
) -> None:
    method = "POST" if path == "/predict" else "GET"
    reply = locked.ask(method, path, headers=headers)
    assert (reply.status, reply.headers["content-type"]) == (401, PROBLEM)
    assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("headers", [{"x-api-key": KEY}, {"authorization": f"bearer {KEY}"}])
def test_with_the_key_everything_does(
    headers: dict[str, str], locked: Server, golden: list[dict[str, Any]]
) -> None:
    assert locked.ask("POST", "/predict", json.dumps(golden[0]), headers).status == 200
    assert locked.ask("GET", "/model", headers=headers).status == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/v2/health/live"])
def test_health_and_the_empty_page_need_no_key(path: str, locked: Server) -> None:
    assert locked.ask("GET", path).status == 200


def test_documentation_can_be_left_out(locked: Server) -> None:
    for path in ("/docs", "/openapi.json", "/redoc"):
        assert locked.ask("GET", path, headers={"x-api-key": KEY}).status == 404


def test_client_that_leaves_is_no_failure_of_the_server(standing: Server) -> None:
    with socket.create_connection(("127.0.0.1", standing.port), 30) as opened:
        opened.sendall(b"POST /explain HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{")
    gone = b'mlops_requests_total{route="/explain",status="4xx"}'
    for _ in range(1000):
        metrics = standing.ask("GET", "/metrics").content
        if b'reason="client-gone"' in metrics and gone in metrics:
            break
    else:
        pytest.fail("not counted")
    assert b'mlops_requests_total{route="/explain",status="5xx"}' not in metrics


def test_what_is_answered_and_refused_is_counted_by_route(
    standing: Server, golden: list[dict[str, Any]]
) -> None:
    def count(line: str) -> float:
        metrics = standing.ask("GET", "/metrics").content.decode()
        return sum(float(m.rpartition(" ")[2]) for m in metrics.split("\n") if m.startswith(line))

    line = 'mlops_requests_total{route="/predict"'
    before = count(line)
    standing.ask("POST", "/predict", json.dumps(golden[0]))
    standing.ask("POST", "/predict", "[]")
    for _ in range(1000):  # an answer is counted in a later turn
        if count(line) == before + 2:
            break
    else:
        pytest.fail("not counted")
    assert count('mlops_rejected_total{reason="no-rows"}') >= 1
