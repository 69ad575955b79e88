"""A real Prometheus reads a real server, and its alert fires when rows go bad."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus import PATIENCE, Prometheus, prometheus, queries

from mlops.monitoring.grafana import dashboard
from mlops.monitoring.prometheus import rules

POLICY = {"min_rows": 100, "rules": {"missing": {"least": 0.01}, "unseen": {"least": 0.005}}}
MINUTES = re.compile(r"(\[|for: |offset )(\d+[mh])\b")


def short(long: re.Match[str]) -> str:
    """Return a window or wait of some minutes in seconds."""
    return long[1] + ("1s" if long[1] == "for: " else "6s")


def test_a_real_prometheus_fires_on_bad_rows_of_a_real_server(
    server: Callable[..., Any], bundle_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(MINUTES.sub(short, rules(POLICY)))
    model = server()
    row = json.loads((bundle_folder / "golden.json").read_text())[0]["row"]
    contract = model.ask("GET", "/model").content
    lacking = next(one["name"] for one in contract["columns"] if one["nullable"])
    broken = {**row, lacking: None}
    with prometheus(tmp_path, f"127.0.0.1:{model.port}") as made:
        until(made, model, [row], lambda: bool(value(made, "mlops:feature_rows:increase30m > 100")))
        assert not {"MlopsNotReady", "MlopsNoServer", "MlopsErrors"} & set(made.alerts())
        until(made, model, [broken], lambda: made.alerts().get("MlopsMissing") == "firing")
        [one] = value(
            made, f'ALERTS{{alertname="MlopsMissing", feature="{lacking}", alertstate="firing"}}'
        )
        assert one["metric"]["severity"] == "page"
        for query in queries(json.loads(dashboard())):
            made.ask("api/v1/query", query=query)


def value(made: Prometheus, query: str) -> list[Any]:
    return list(made.ask("api/v1/query", query=query)["result"])


def until(made: Prometheus, model: Any, rows: list[Any], done: Callable[[], bool]) -> None:
    """Send rows until something is so."""
    body = json.dumps(rows * 50)
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, made.alerts()
        reply = model.ask("POST", "/predict", body, {"Content-Type": "application/json"})
        assert reply.status == 200, reply.content
