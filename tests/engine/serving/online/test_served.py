"""A server that looks features up, over HTTP, in a store of each engine."""

import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.cli import main
from mlops.config.views import View
from mlops.serving.recording.compaction import compact

# A name that no digest can hold by chance.
ROW = {"amount": 1.5, "customer": "lovelace", "branch": 7}
ADA = (12.5, 3, "shop", datetime(2026, 1, 5, 8, 30))
JSON = {"content-type": "application/json"}
Server = Any
Write = Callable[..., None]


@pytest.fixture(scope="module")
def filled(addresses: dict[str, str], views: Mapping[str, View], write: Write) -> dict[str, str]:
    """The stores, with one customer and one branch in each, known since a minute."""
    at = datetime.now(UTC) - timedelta(minutes=1)
    for url in addresses.values():
        write(url, views["spending"], {("lovelace",): ADA}, at)
        write(url, views["staff"], {(7,): (21,)}, at)
    return addresses


def ask(server: Server, body: Any, **headers: str) -> Any:
    return server.ask("POST", "/predict", json.dumps(body), JSON | headers)


@pytest.mark.parametrize("engine", ["sqlite", "redis", "postgresql"])
def test_a_request_with_keys_is_answered_and_logged_as_it_was_used(
    engine: str, filled: dict[str, str], server: Callable[..., Server], tmp_path: Path
) -> None:
    running = server(online=filled[engine], log_folder=tmp_path / "log", log_key="k" * 16)
    reply = ask(running, ROW)
    assert reply.status == 200, reply.content
    (answer,) = reply.content["predictions"]
    assert answer["features"]["spending"]["stale"] is False
    several = ask(running, [ROW, {**ROW, "customer": "nobody"}, {**ROW, "branch": None}])
    first, second, third = several.content["predictions"]
    assert first["probabilities"] == answer["probabilities"]
    assert second["probabilities"] != first["probabilities"]
    assert third["features"]["staff"]["stale"] is False
    refused = ask(running, {**ROW, "spent": 3.0})
    assert (refused.status, refused.content["field"]) == (422, "spent")
    assert "leave spent out" in refused.content["detail"]
    running.process.send_signal(signal.SIGTERM)
    running.process.wait(30)
    compact(*(tmp_path / "log/spool").glob("*"))
    (file,) = (tmp_path / "log/predictions").rglob("*.parquet")
    rows = pq.read_table(file).sort_by([("request_id", "ascending"), ("row", "ascending")])
    assert rows.num_rows == 4
    found = rows.to_pylist()
    used = [(one["spent"], one["payments"], one["channel"], one["last_paid"]) for one in found]
    assert used == [ADA, ADA, (0.0, 0, None, None), ADA]
    assert [one["staff"] for one in found] == [21, 21, 21, None]
    as_of = found[0]["features_as_of"]
    said = answer["features"]["spending"]["as_of"]
    assert as_of["spending"].isoformat() + "Z" == said
    # The customer is personal data, the branch is not.
    assert found[0]["features_of"]["staff"] == "[7]"
    whose = [one["features_of"]["spending"] for one in found]
    assert whose[0] == whose[1] != whose[2]
    assert b"lovelace" not in file.read_bytes()
    assert all("lovelace" not in value for value in whose)


@pytest.fixture(scope="module")
def running(filled: dict[str, str], server: Callable[..., Server]) -> Server:
    """A server on a file."""
    return server(online=filled["sqlite"])


def test_documentation_and_model_name_the_keys(running: Server) -> None:
    described = running.ask("GET", "/openapi.json").content["components"]["schemas"]
    assert set(described["Row"]["required"]) == {"amount", "customer", "branch"}
    item = described["Predictions"]["properties"]["predictions"]["items"]
    assert set(item["properties"]["features"]["required"]) == {"spending", "staff"}
    about = running.ask("GET", "/model").content
    assert [column["name"] for column in about["columns"]] == ["amount", "customer", "branch"]
    reply = ask(running, about["examples"][0])
    assert reply.status == 200, reply.content
    explained = running.ask("POST", "/explain", json.dumps(ROW), JSON)
    assert explained.status == 200, explained.content
    names = {one["feature"] for one in explained.content["explanations"][0]["contributions"]}
    assert {"spent", "staff"} <= names


def test_the_inference_protocol_takes_keys_too(running: Server) -> None:
    tensors = [
        {"name": "amount", "datatype": "FP64", "shape": [1], "data": [1.5]},
        {"name": "customer", "datatype": "BYTES", "shape": [1], "data": ["lovelace"]},
        {"name": "branch", "datatype": "INT64", "shape": [1], "data": [7]},
    ]
    asked = json.dumps({"inputs": tensors})
    reply = running.ask("POST", "/v2/models/loans/infer", asked, JSON)
    assert reply.status == 200, reply.content
    assert 59 < reply.content["parameters"]["features_age_seconds"] < 300
    plain = ask(running, ROW).content["predictions"][0]
    by_name = {one["name"]: one["data"] for one in reply.content["outputs"]}
    assert by_name["probability"] == list(plain["probabilities"].values())
    described = running.ask("GET", "/v2/models/loans").content["inputs"]
    assert [one["name"] for one in described] == ["amount", "customer", "branch"]


def test_a_server_without_a_store_takes_the_values_themselves(
    server: Callable[..., Server],
) -> None:
    golden = server().ask("GET", "/model").content["examples"][0]
    assert {"amount", "spent", "staff"} <= set(golden)


@contextmanager
def silent() -> Iterator[int]:
    """Yield the port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        for one in held:
            one.close()


@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
def test_a_store_that_hangs_holds_nobody_up(scheme: str, server: Callable[..., Server]) -> None:
    with silent() as port:
        running = server(online=f"{scheme}://me:hidden@127.0.0.1:{port}/0", online_seconds=0.05)
        begun = time.monotonic()
        replies = [ask(running, ROW) for _ in range(20)]
        assert time.monotonic() - begun < 3
        assert {reply.status for reply in replies} == {200}
        (answer,) = replies[-1].content["predictions"]
        assert answer["features"]["spending"] == {
            "as_of": None,
            "age_seconds": None,
            "stale": True,
        }
        said = running.ask("GET", "/metrics").content.decode()
        (line,) = (one for one in said.splitlines() if one.startswith("mlops_online_outages_total"))
        assert float(line.split()[1]) > 0


def test_a_server_starts_on_no_store_that_lacks_a_view(bundle_folder: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    def started(url: str) -> str:
        told = {"MLOPS_ONLINE": url, "MLOPS_BUNDLE": str(bundle_folder), "MLOPS_PORT": "0"}
        done = subprocess.run(
            [sys.executable, "-m", "mlops.cli", "serve"],
            env=os.environ | told,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2
        return done.stderr

    assert "run `mlops materialise --store sqlite:///nothing.db`" in started("sqlite:///nothing.db")
    wrong = started("mysql://me:hidden@host/x")
    assert "is no online store: name one like" in wrong
    assert "hidden" not in wrong


def skew(folder: Path) -> dict[str, str]:
    """Return what the monitor's rule says of each feature that differs."""
    report = json.loads((folder / "monitor.json").read_text())
    (rule,) = (one for one in report["rules"] if one["name"] == "skew")
    return {one["part"]: one["verdict"] for one in rule["findings"] if one["verdict"] != "quiet"}


def test_what_a_server_used_is_computed_again(
    server: Callable[..., Server],
    past: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From a table to the store, a request and the log, and back; then the table is another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLOPS_LOG_KEY", "k" * 16)
    at = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=1)
    payments = {
        "customer": ["lovelace"],
        "at": [at],
        "number": [1],
        "sum": [7.25],
        "channel": ["app"],
    }
    branches = {"branch": [7], "at": [at], "staff": [21]}
    for name, columns in (("payments", payments), ("branches", branches)):
        (tmp_path / "data/tables" / name).mkdir(parents=True)
        pq.write_table(pa.table(columns), tmp_path / f"data/tables/{name}/all.parquet")
    bundle, store = str(past / "candidate"), f"sqlite:///{tmp_path / 'online.db'}"
    assert main(["materialise", "--bundle", bundle, "--store", store]) == 0
    running = server(online=store, log_folder=tmp_path / "log", log_key="k" * 16)
    reply = ask(running, [ROW, {**ROW, "customer": "nobody"}])
    assert reply.status == 200, reply.content
    running.process.send_signal(signal.SIGTERM)
    running.process.wait(30)
    compact(*(tmp_path / "log/spool").glob("*"))
    told = ["features", "replay", "--log", "log", "--bundle", bundle]
    capsys.readouterr()
    assert main(told) == 0
    said = capsys.readouterr().out.splitlines()
    assert "spent: 0 of 2 values differ" in said
    assert "staff: 0 of 2 values differ" in said
    shutil.copytree(past / "conf", tmp_path / "conf")
    shutil.copy(past / "params.yaml", tmp_path)
    monitored = ["monitor", "--log", "log", "--bundle", bundle, "--at", f"{datetime.now(UTC):%F}"]
    main([*monitored, "--out", "before"])
    assert skew(tmp_path / "before") == {}
    with monkeypatch.context() as without:
        without.delenv("MLOPS_LOG_KEY")
        main([*monitored, "--out", "without"])
    assert skew(tmp_path / "without") == {"": "not judged"}
    pq.write_table(
        pa.table({**payments, "sum": [725.0]}), tmp_path / "data/tables/payments/all.parquet"
    )
    main([*monitored, "--out", "after"])
    assert skew(tmp_path / "after") == {"spent": "alert"}
    assert main(told) == 1
    assert "spent: 1 of 2 values differ; request " in capsys.readouterr().out
    assert main([*told[:3], "elsewhere", *told[4:]]) == 2
    assert "has no predictions of the bundle" in capsys.readouterr().err
