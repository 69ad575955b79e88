"""Several processes of one server: what a client and Prometheus see is one."""

import hashlib
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

import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlops.bundle import manifest
from mlops.serving.recording.compaction import compact
from mlops.serving.settings import ServingSettings
from mlops.serving.sockets import ServerError
from mlops.serving.supervisor import Supervisor
from mlops.serving.worker import Worker

SECONDS = 30
JSON = {"content-type": "application/json"}
Start = Callable[..., Any]


@pytest.fixture
def folder(bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle to replace."""
    return Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))


@pytest.fixture
def start(server: Start, folder: Path) -> Start:
    """Start servers of two workers."""
    return lambda **settings: server(**{"bundle": folder, "workers": 2, **settings})


@pytest.fixture
def body(bundle_folder: Path) -> bytes:
    golden = json.loads((bundle_folder / "golden.json").read_text())
    return json.dumps(golden[0]["row"]).encode()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def workers(server: Any) -> set[int]:
    """Return the processes that a server has started."""
    path = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return set(map(int, path.read_text().split()))


def ask(server: Any, body: bytes) -> Any:
    reply = server.ask("POST", "/predict", body, JSON)
    assert reply.status == 200, reply.content
    return reply


def who(reply: Any) -> str:
    """Return which worker has answered: each names requests its own way."""
    return str(reply.headers["x-request-id"].partition("-")[0])


def asked_of_both(server: Any, body: bytes) -> dict[str, Any]:
    """Ask until both workers have answered; return the last answer of each."""
    replies: dict[str, Any] = {}

    def both() -> bool:
        reply = ask(server, body)
        replies[who(reply)] = reply.content
        return len(replies) == 2

    until(both)
    return replies


def counted(server: Any) -> dict[str, float]:
    """Return what /metrics has, of predictions, of workers and of their processes."""
    text = server.ask("GET", "/metrics").content.decode()
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("route", "/predict") == "/predict"
    }


def changed(folder: Path, out: Path) -> Path:
    """Make a good bundle of another digest."""
    shutil.copytree(folder, out)
    card = out / "card.md"
    card.write_text(card.read_text() + "\nanother\n")
    told = json.loads((out / "manifest.json").read_text())
    told["files"]["card.md"] = hashlib.sha256(card.read_bytes()).hexdigest()
    (out / "manifest.json").write_text(json.dumps(told))
    return out


def swap(folder: Path, new: Path) -> None:
    folder.rename(folder.with_name(f"old-{new.name}"))
    new.rename(folder)


def test_all_workers_answer_and_any_tells_what_all_counted(start: Start, body: bytes) -> None:
    server = start()
    assert len(workers(server)) == 2
    known = {who(ask(server, body)) for _ in range(20)}
    asked = 20
    while len(known) < 2:
        known.add(who(ask(server, body)))
        asked += 1
    # An answer is counted a moment after it was given.
    until(lambda: counted(server).get("mlops_requests_total") == asked)
    # Whoever is asked: no sum is less than one that was told before.
    seen = [counted(server) for _ in range(12)]
    assert {one["mlops_requests_total"] for one in seen} == {asked}
    assert {one["mlops_request_seconds_count"] for one in seen} == {asked}
    assert {one["mlops_rows_total"] for one in seen} == {asked}
    assert {one["mlops_in_flight"] for one in seen} == {0}
    assert {one["mlops_model_info"] for one in seen} == {1}


def test_a_worker_that_dies_is_started_anew_and_what_it_counted_stays(
    start: Start, body: bytes
) -> None:
    server = start()
    asked_of_both(server, body)
    until(lambda: counted(server).get("mlops_requests_total", 0) >= 2)
    before = counted(server)["mlops_requests_total"]
    victim = min(workers(server))
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(workers(server) - {victim}) == 2)
    until(lambda: counted(server).get("mlops_worker_restarts_total") == 1)
    assert counted(server)["mlops_requests_total"] >= before
    asked_of_both(server, body)


def test_all_workers_take_a_new_bundle_and_none_a_bad_one(
    start: Start, folder: Path, body: bytes, tmp_path: Path
) -> None:
    server = start()
    first = asked_of_both(server, body)
    old = manifest.bundle_digest(folder)
    assert {one["model"] for one in first.values()} == {old}
    swap(folder, changed(folder, tmp_path / "new"))
    new = manifest.bundle_digest(folder)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: ask(server, body).content["model"] == new)
    until(lambda: {one["model"] for one in asked_of_both(server, body).values()} == {new})
    bad = changed(folder, tmp_path / "bad")
    (bad / "card.md").write_text("torn")
    swap(folder, bad)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "card.md" in str(server.ask("GET", "/readyz").content["reason"]))
    assert {one["model"] for one in asked_of_both(server, body).values()} == {new}


def test_reload_is_of_all_and_answers_when_they_have(
    start: Start, folder: Path, body: bytes, tmp_path: Path
) -> None:
    server = start(api_key="k" * 16)
    key = {"x-api-key": "k" * 16}
    swap(folder, changed(folder, tmp_path / "new"))
    new = manifest.bundle_digest(folder)
    assert server.ask("POST", "/reload", None, key).content["model"] == new
    served = [server.ask("POST", "/predict", body, JSON | key) for _ in range(20)]
    assert {reply.content["model"] for reply in served} == {new}


def test_a_watched_folder_is_found_by_all(
    start: Start, folder: Path, body: bytes, tmp_path: Path
) -> None:
    server = start(watch_seconds=0.05)
    swap(folder, changed(folder, tmp_path / "new"))
    new = manifest.bundle_digest(folder)
    until(lambda: {one["model"] for one in asked_of_both(server, body).values()} == {new})


def test_all_finish_what_is_in_flight_and_leave(start: Start, body: bytes) -> None:
    server = start()
    head = b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    opened = [socket.create_connection(("127.0.0.1", server.port), SECONDS) for _ in range(8)]
    for connection in opened:
        connection.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body[:-1])
    until(lambda: len(server.ask("GET", "/metrics").content) > 0)
    mine = workers(server)
    server.process.terminate()
    until(lambda: server_refuses(server.port))
    for connection in opened:
        connection.sendall(body[-1:])
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        connection.close()
    assert server.process.wait(SECONDS) == 0
    assert not [pid for pid in mine if Path(f"/proc/{pid}").exists()]


def server_refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return True
    return False


def test_workers_leave_when_their_supervisor_is_gone(start: Start) -> None:
    server = start()
    mine = workers(server)
    server.process.kill()
    server.process.wait(SECONDS)
    until(lambda: not [pid for pid in mine if is_running(pid)])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_cannot_start_says_why_once(folder: Path, tmp_path: Path) -> None:
    (folder / "card.md").write_text("torn")
    command = [sys.executable, "-m", "mlops.cli", "serve", "--workers", "2", "--port", "0"]
    done = subprocess.run(
        [*command, "--bundle", str(folder)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 2
    assert done.stderr.count("mlops serve: ") == 1
    assert "card.md" in done.stderr
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        command[-1] = port
        done = subprocess.run(
            [*command, "--bundle", str(folder)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert (done.returncode, "cannot be used" in done.stderr) == (2, True)


def test_the_log_has_what_every_worker_answered(start: Start, body: bytes, tmp_path: Path) -> None:
    server = start(log_folder=tmp_path / "log")
    answered = {reply["request_id"] for reply in asked_of_both(server, body).values()}
    answered |= {ask(server, body).content["request_id"] for _ in range(10)}
    server.process.terminate()
    assert server.process.wait(SECONDS) == 0
    compact(*(tmp_path / "log/spool").glob("*"))
    files = [*(tmp_path / "log/predictions").rglob("*.parquet")]
    found = [one for file in files for one in pq.read_table(file)["request_id"].to_pylist()]
    assert answered <= set(found)
    assert len(found) == len(set(found))


def test_an_experiment_is_taken_back_by_all_where_one_has_seen_enough(
    start: Start, folder: Path, body: bytes, tmp_path: Path
) -> None:
    other = changed(folder, tmp_path / "other")
    path = tmp_path / "experiment.yaml"
    digests = [manifest.bundle_digest(one) for one in (folder, other)]
    content = {
        **{"format": 1, "champion": digests[0], "challenger": digests[1], "salt": "a"},
        **{"steps": [{"share": 0.99}], "since": "2026-12-01T00:00:00Z"},
        "primary": {"measure": "value"},
        "guardrails": {"slow": {"seconds": 0.0001, "at_most": 0.1}},
    }
    path.write_text(json.dumps(content))
    server = start(challenger=other, experiment=path)
    models: list[str] = []

    def stopped() -> bool:
        models.append(ask(server, body).content["model"])
        return counted(server)["mlops_experiment_stopped"] == 1

    until(stopped)
    assert digests[1] in models
    until(lambda: {one["model"] for one in asked_of_both(server, body).values()} == {digests[0]})
    assert {ask(server, body).content["model"] for _ in range(20)} == {digests[0]}
    # Nor does one give the share back that starts in the place of another.
    victim = min(workers(server))
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(workers(server) - {victim}) == 2)
    asked_of_both(server, body)
    until(lambda: {one["model"] for one in asked_of_both(server, body).values()} == {digests[0]})
    assert {ask(server, body).content["model"] for _ in range(20)} == {digests[0]}
    # Another salt begins anew, in all of them at once.
    path.write_text(json.dumps({**content, "salt": "b", "guardrails": {"errors": 0.01}}))
    server.process.send_signal(signal.SIGHUP)
    until(lambda: {one["model"] for one in asked_of_both(server, body).values()} == {digests[1]})


class Acting:
    """A worker that serves nothing, and loads what a file says for its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, settings: ServingSettings, worker: Worker) -> None:
        channel = worker._channel
        number = worker.joined._path.stem
        worker.say("loaded", bundles=["first"])
        if not channel.recv(1):
            return
        worker.say("serving")
        lines = channel.makefile("rb")
        for line in lines:
            told = json.loads(line)
            if told["do"] == "prepare":
                loaded = (self.folder / number).read_text()
                reason = "" if loaded != "first" else "no memory"
                worker.say("prepared", round=told["round"], bundles=[loaded], reason=reason)
            else:
                (self.folder / f"{number}-{told['round']}").write_text(told["reason"] or "taken")


def acted(folder: Path, *loads: str) -> list[str]:
    """Return what each worker is told once these are what they load."""
    for number, one in enumerate(loads, 1):
        (folder / f"worker-{number}").write_text(one)
    (folder / "bundle").mkdir()
    told = [folder / f"worker-{number}-1" for number in range(1, len(loads) + 1)]
    settings = ServingSettings(
        bundle=folder / "bundle", port=0, workers=len(loads), watch_seconds=0.02
    )

    def watched() -> None:
        until(lambda: (folder / "serving").exists())
        (folder / "bundle/new").touch()
        until(lambda: all(path.exists() and path.read_text() for path in told))
        os.kill(os.getpid(), signal.SIGTERM)

    supervisor = Supervisor(settings, Acting(folder))
    threading.Timer(0.3, (folder / "serving").touch).start()
    thread = threading.Thread(target=watched)
    thread.start()
    supervisor.run()
    thread.join()
    return [path.read_text() for path in told]


def test_where_one_worker_cannot_load_a_bundle_none_takes_it(tmp_path: Path) -> None:
    assert acted(tmp_path, "second", "first", "second") == ["no memory"] * 3


def test_where_all_have_loaded_it_all_take_it(tmp_path: Path) -> None:
    assert acted(tmp_path, "second", "second") == ["taken"] * 2


def test_a_worker_that_only_dies_ends_the_start(tmp_path: Path) -> None:
    def work(settings: ServingSettings, worker: Worker) -> None:
        os._exit(3)

    settings = ServingSettings(bundle=tmp_path, port=0, workers=2)
    with pytest.raises(ServerError, match="a worker ended while it started"):
        Supervisor(settings, work).run()
