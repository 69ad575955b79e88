"""A real server process: how it starts, stops, swaps, and treats those who are slow."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from mlops.bundle import manifest
from mlops.serving.loading import load
from mlops.serving.sockets import ServerError, _has_v6, bind
from mlops.training.compilation import convert

SECONDS = 30
START = b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"

Start = Callable[..., Any]


@pytest.fixture
def start(server: Start, folder: Path) -> Start:
    """Start servers of the bundle `folder`."""
    return lambda **settings: server(**{"bundle": folder, **settings})


@pytest.fixture
def folder(bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle to replace."""
    return Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))


@pytest.fixture
def body(bundle_folder: Path) -> bytes:
    """A request of one golden row."""
    golden = json.loads((bundle_folder / "golden.json").read_text())
    return json.dumps(golden[0]["row"]).encode()


def get(server: Any, path: str) -> tuple[int, Any]:
    reply = server.ask("GET", path)
    return reply.status, reply.content


def send(server: Any, sent: bytes) -> socket.socket:
    """Open a connection and send what is given."""
    opened = socket.create_connection(("127.0.0.1", server.port), SECONDS)
    opened.sendall(sent)
    return opened


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stop(server: Any) -> int:
    """Have a server end, and return its exit code."""
    server.process.terminate()
    return int(server.process.wait(SECONDS))


def other_model(bundle_folder: Path, out: Path) -> Path:
    """Make a bundle whose model answers otherwise."""
    shutil.copytree(bundle_folder, out)
    predictor = load(bundle_folder)
    golden = json.loads((out / "golden.json").read_text())
    rows = predictor.decode(json.dumps([one["row"] for one in golden]).encode())
    matrix = predictor.matrix(rows)
    fitted = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2)
    fitted.fit(matrix, np.arange(len(matrix)) % 3 == 0)
    (out / "model.onnx").write_bytes(convert(fitted, "binary", matrix.shape[1]))
    for one, prediction in zip(golden, fitted.predict_proba(matrix)[:, 1], strict=True):
        one["prediction"] = float(prediction)
    (out / "golden.json").write_text(json.dumps(golden))
    (out / "edges.json").unlink()
    content = manifest.read(out)
    del content["files"]
    manifest.write(out, content)
    return out


def test_line_that_says_where_comes_when_it_is_ready(start: Start, folder: Path) -> None:
    server = start()
    assert server.line.startswith(f"serving {folder} at http://127.0.0.1:")
    status, ready = get(server, "/readyz")
    assert status == 200
    assert ready == {
        "ready": True,
        "reason": "",
        "model": manifest.bundle_digest(folder),
        "challenger": None,
    }
    assert stop(server) == 0
    assert server.process.stdout is not None
    assert server.process.stdout.read() == ""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bundle": "absent"}, "absent is no bundle"),
        ({"host": "192.0.2.1"}, "192.0.2.1 port 0 cannot be used"),
        ({"host": "nowhere.invalid"}, "no address nowhere.invalid"),
        ({"port": "http"}, "setting port"),
    ],
)
def test_what_cannot_start_says_why(
    settings: dict[str, Any], said: str, tmp_path: Path, folder: Path
) -> None:
    told = {"bundle": folder, "port": 0, **settings}
    done = subprocess.run(
        [sys.executable, "-m", "mlops.cli", "serve"],
        env=os.environ | {f"MLOPS_{name.upper()}": str(told[name]) for name in told},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_corrupt_bundle_does_not_start_and_a_port_is_used_once(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    server = start()
    command = [sys.executable, "-m", "mlops.cli", "serve", "--bundle", str(folder), "--port"]
    taken = subprocess.run([*command, str(server.port)], capture_output=True, text=True)
    assert taken.returncode == 2
    assert f"port {server.port} cannot be used" in taken.stderr
    (folder / "model.onnx").write_bytes(b"")
    corrupt = subprocess.run([*command, "0"], capture_output=True, text=True)
    assert corrupt.returncode == 2
    assert "not what its manifest says (model.onnx)" in corrupt.stderr


def reached(server: Any, host: str) -> bool:
    """Say whether a server answers at an address of this machine."""
    try:
        with closing(http.client.HTTPConnection(host, server.port, timeout=SECONDS)) as connection:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
    except OSError:
        return False


V6 = _has_v6()
RESOLVE = socket.getaddrinfo


def test_every_address_is_of_both_kinds(start: Start) -> None:
    """As in the image: a cluster may have addresses of one kind only."""
    server = start(host="::")
    assert reached(server, "127.0.0.1")
    assert reached(server, "::1") == V6
    assert stop(server) == 0


def bound(host: str, port: int = 0) -> list[tuple[str, int]]:
    """Bind, and return where; nothing stays bound."""
    sockets = bind(host, port)
    try:
        return [one.getsockname()[:2] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def names(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Have a name stand for these addresses."""

    def resolved(host: str, port: int, **options: Any) -> list[Any]:
        return [found for one in hosts for found in RESOLVE(one, port, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


@pytest.mark.skipif(not V6, reason="this machine has no IPv6")
def test_a_name_is_bound_at_each_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "::1", "127.0.0.1", "127.0.0.1")
    (first, port), second = bound("both")
    assert (first, second) == ("::1", ("127.0.0.1", port))
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ServerError, match="in use"):
        bind("both", port)
    with socket.create_server(("::1", port), family=socket.AF_INET6):
        pass  # nothing was left bound


@pytest.mark.parametrize("absent", ["::2", "192.0.2.1"])
def test_an_address_that_is_not_there_is_done_without(
    monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    names(monkeypatch, absent, "127.0.0.1")
    assert [host for host, _ in bound("name")] == ["127.0.0.1"]
    names(monkeypatch, absent, absent)
    with pytest.raises(ServerError, match="cannot be used"):
        bind("name", 0)


def test_without_the_newer_kind_every_address_is_of_the_older(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlops.serving.sockets._has_v6", lambda: False)
    assert [host for host, _ in bound("::")] == ["0.0.0.0"]


def test_ready_goes_first_and_everything_else_goes_on(start: Start, body: bytes) -> None:
    server = start(drain_seconds=600)
    server.process.send_signal(signal.SIGTERM)
    until(lambda: get(server, "/readyz")[0] == 503)
    assert get(server, "/readyz")[1]["reason"] == "the server is stopping"
    assert get(server, "/healthz")[0] == 200
    assert server.ask("POST", "/predict", body).status == 200
    assert stop(server) == 0


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """Read one response up to its end, and the close of the connection."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    found = response.status, response.read()
    connection.close()
    return found


def test_requests_in_flight_are_finished(start: Start, body: bytes) -> None:
    server = start()
    half = len(body) // 2
    head = START + b"content-length: %d\r\n\r\n" % len(body)
    sent = [send(server, head + body[:half]) for _ in range(100)]
    get(server, "/healthz")  # answered after those before it were read
    server.process.send_signal(signal.SIGTERM)
    until(lambda: refused(server.port))
    assert server.process.poll() is None
    for connection in sent:
        connection.sendall(body[half:])
    assert [answer(connection)[0] for connection in sent] == [200] * 100
    assert server.process.wait(SECONDS) == 0


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False


def test_slow_clients_are_closed_and_others_served(start: Start, body: bytes) -> None:
    server = start(slow_seconds=2)
    whole = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
    kinds = [
        b"",
        b"GET /heal",
        START,
        START + b"content-length: 9000\r\n\r\n{",
        whole + b"GET /he",
        START + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
    ]
    patient = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
    patient.connect()
    kept = patient.sock
    slow = [send(server, kind) for kind in kinds for _ in range(10)]
    for connection in slow:
        connection.setblocking(False)
    began = time.monotonic()
    open_ = set(slow)
    while open_:
        assert time.monotonic() < began + SECONDS
        patient.request("POST", "/predict", body, {"content-type": "application/json"})
        response = patient.getresponse()
        response.read()
        assert response.status == 200
        open_ = {one for one in open_ if not closed(one)}
    assert patient.sock is kept
    patient.close()
    assert stop(server) == 0


def closed(connection: socket.socket) -> bool:
    try:
        while connection.recv(10_000):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    connection.close()
    return True


def test_bad_swap_keeps_the_old_bundle_and_hangup_takes_a_good_one(
    start: Start, folder: Path, bundle_folder: Path, tmp_path: Path, body: bytes
) -> None:
    server = start(watch_seconds=0.02)
    old = get(server, "/readyz")[1]["model"]
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"churn"', '"other"'))
    (folder / "model.onnx").write_bytes(b"")
    until(lambda: "model.onnx" in get(server, "/readyz")[1]["reason"])
    status, ready = get(server, "/readyz")
    assert (status, ready["ready"], ready["model"]) == (200, True, old)
    assert server.ask("POST", "/predict", body).content["model"] == old
    stop(server)

    server = start(bundle=swap(folder, other_model(bundle_folder, tmp_path / "new")))
    new = get(server, "/readyz")[1]["model"]
    swap(folder, Path(shutil.copytree(bundle_folder, tmp_path / "again")))
    assert get(server, "/readyz")[1]["model"] == new
    server.process.send_signal(signal.SIGHUP)
    until(lambda: bool(get(server, "/readyz")[1]["model"] == old))
    assert stop(server) == 0


def swap(folder: Path, new: Path) -> Path:
    """Put another bundle in the place of one."""
    gone = folder.with_name(f"gone-{time.monotonic_ns()}")
    folder.rename(gone)
    new.rename(folder)
    shutil.rmtree(gone)
    return folder


def test_every_answer_under_swaps_is_of_one_whole_bundle(
    start: Start, folder: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    golden = json.loads((bundle_folder / "golden.json").read_text())
    other = other_model(bundle_folder, tmp_path / "other")
    others = json.loads((other / "golden.json").read_text())
    body = json.dumps(golden[0]["row"]).encode()
    expected = {
        manifest.bundle_digest(bundle_folder): golden[0]["prediction"],
        manifest.bundle_digest(other): others[0]["prediction"],
    }
    assert abs(np.subtract(*expected.values())) > 1e-3
    label = load(bundle_folder).loaded.contract.labels[1]
    server = start(watch_seconds=0.02)
    answers: list[tuple[int, dict[str, Any]]] = []
    done = threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
        while not done.is_set():
            connection.request("POST", "/predict", body, {"content-type": "application/json"})
            response = connection.getresponse()
            answers.append((response.status, json.loads(response.read())))
        connection.close()

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        for number in range(5):
            source = other if number % 2 == 0 else bundle_folder
            swap(folder, Path(shutil.copytree(source, tmp_path / f"swap{number}")))
            digest = manifest.bundle_digest(source)
            until(lambda digest=digest: get(server, "/readyz")[1]["model"] == digest)  # type: ignore[misc]
    finally:
        done.set()
        for client in clients:
            client.join()
    assert {status for status, _ in answers} == {200}
    assert {content["model"] for _, content in answers} == set(expected)
    for _, content in answers:
        found = content["predictions"][0]["probabilities"][label]
        assert found == pytest.approx(expected[content["model"]], abs=1e-5)
    assert stop(server) == 0
