"""A real bundle, what answers for it, and real servers of it."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st

from mlops.contract import MISSING, Column
from mlops.serving.loading import load
from mlops.serving.predictor import Predictor

SECONDS = 30


class Reply(NamedTuple):
    """What a server answered."""

    status: int
    headers: dict[str, str]
    content: Any


class Server:
    """A process of `mlops serve`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self.process = process
        self.line = process.stdout.readline()
        self.port = int(self.line.rpartition(":")[2])

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Ask once, on a connection of its own; an iterable body is sent in chunks."""
        with closing(self.connect()) as connection:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            content = response.read()
            named = {name.lower(): value for name, value in response.getheaders()}
            is_json = "json" in named.get("content-type", "")
            return Reply(response.status, named, json.loads(content) if is_json else content)


@pytest.fixture(scope="session")
def bundle_folder(trained: Path) -> Path:
    """A bundle of a binary task with columns of every type and derived features; not to change."""
    return trained / "candidate"


@pytest.fixture(scope="session")
def champion(bundle_folder: Path) -> Predictor:
    """What answers for the bundle."""
    return load(bundle_folder)


@pytest.fixture(scope="session")
def golden(bundle_folder: Path) -> list[dict[str, Any]]:
    """The golden rows of the bundle, as a client sends them."""
    found = json.loads((bundle_folder / "golden.json").read_text())
    return [one["row"] for one in found]


@pytest.fixture(scope="module")
def server(
    bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Server]]:
    """Start servers with these settings; they end with the module."""
    started: list[subprocess.Popen[str]] = []

    def start(**settings: Any) -> Server:
        told = {"bundle": bundle_folder, "port": 0, "drain_seconds": 0, "watch_seconds": 0}
        process = subprocess.Popen(
            [sys.executable, "-m", "mlops.cli", "serve"],
            env=os.environ | {f"MLOPS_{k.upper()}": str(v) for k, v in (told | settings).items()},
            cwd=tmp_path_factory.mktemp("server"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        server = Server(process)
        deadline = time.monotonic() + SECONDS
        while server.ask("GET", "/readyz").status != 200:
            assert time.monotonic() < deadline
        return server

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.communicate(timeout=SECONDS)


def rows_of(columns: Mapping[str, Column]) -> st.SearchStrategy[dict[str, Any]]:
    """Return rows as JSON holds them: everything that the contract lets a client send."""
    return st.fixed_dictionaries({name: _values(column) for name, column in columns.items()})


def _values(column: Column) -> st.SearchStrategy[Any]:
    found: st.SearchStrategy[Any]
    match column.type:
        case "number":
            ordinary = st.floats(column.min or 0, column.max or 1e6)
            found = ordinary | st.floats(allow_nan=False, allow_infinity=False) | st.integers()
        case "integer":
            ordinary = st.integers(int(column.min or 0), int(column.max or 1000))
            found = ordinary | st.integers(-(2**63), 2**63 - 1) | ordinary.map(float)
        case "boolean":
            found = st.booleans()
        case "category":
            unseen = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
            unseen = unseen.filter(lambda text: text.strip() not in MISSING)
            found = st.sampled_from(column.categories) | unseen
        case _:
            zones = st.none() | st.sampled_from([UTC, timezone(timedelta(hours=-3.5))])
            moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=zones)
            found = moments.map(datetime.isoformat) | st.dates(date(2, 1, 1)).map(date.isoformat)
    return st.none() | found if column.nullable else found


@pytest.fixture(scope="session")
def valid(champion: Predictor) -> st.SearchStrategy[dict[str, Any]]:
    """Rows that the bundle must answer for."""
    return rows_of(champion.schema.columns)
