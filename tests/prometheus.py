"""Debian's Prometheus and its promtool, for tests."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

REQUIRED = "PROMETHEUS_REQUIRED"  # set where a missing Prometheus is a failure
PATIENCE = 120.0
CONFIGURATION = """\
global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: model
    static_configs: [{targets: ["%s"]}]
"""


def tool(name: str) -> str:
    """Return where a program of Prometheus is; skip the test where it is not there."""
    found = shutil.which(name)
    if found is None and REQUIRED not in os.environ:
        pytest.skip(f"no {name} on this machine: `apt-get install prometheus` brings it")
    assert found is not None, f"{name} is not installed, and ${REQUIRED} is set"
    return found


def check(rules: Path) -> str:
    """Return what promtool has against a file of rules."""
    done = subprocess.run(
        [tool("promtool"), "check", "rules", rules], capture_output=True, text=True
    )
    return done.stdout + done.stderr if done.returncode else ""


def unit_tests(file: Path) -> str:
    """Return what promtool has against rules in a file of unit tests."""
    told = [tool("promtool"), "test", "rules", file.name]
    done = subprocess.run(told, cwd=file.parent, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


def queries(dashboard: dict[str, Any]) -> Iterator[str]:
    """Yield every query of a dashboard as Grafana would send it."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__rate_interval", "1m")
            yield re.sub(r"\$(job|model|feature)", ".*", query)


class Prometheus:
    """A process that scrapes one address and evaluates the rules in its folder."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, path: str, **query: str) -> Any:
        """Return what its API answers."""
        asked = f"{self.address}/{path}?{urllib.parse.urlencode(query)}"
        return json.loads(self.opener.open(asked, timeout=PATIENCE).read())["data"]

    def alerts(self) -> dict[str, str]:
        """Return alerts with the state of each: pending or firing."""
        found = self.ask("api/v1/alerts")["alerts"]
        return {one["labels"]["alertname"]: one["state"] for one in found}


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """Run one with the `rules.yaml` of a folder over a server's /metrics."""
    (folder / "prometheus.yml").write_text(CONFIGURATION % target)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = [tool("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    told += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with subprocess.Popen(told, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            made = Prometheus(port)
            _wait(made, process)
            yield made
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def _wait(made: Prometheus, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            made.opener.open(f"{made.address}/-/ready", timeout=PATIENCE).close()
            return
        except OSError:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.02)
