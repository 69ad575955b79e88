"""What features online cost: a SQLite store of many entities, and a server that looks them up.

    python benchmarks/online.py [ENTITIES [CHANGED [READS [ROUNDS [SECONDS]]]]]
                                            (default: 1000000 100000 50000 5 5)

Entities of 20 numbers are loaded, some are written anew, and read by key. Then two real servers
of one bundle on one core, with validation, metrics and prediction log, take turns under the load
of one client on another: one looks the 20 numbers up, to the other they are sent.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

SOURCE = Path(__file__).resolve().parents[1] / "{{cookiecutter.project_slug}}"
CODE = [str(SOURCE / "engine/src"), str(SOURCE / "src")]
sys.path[:0] = CODE

from traffic import Figures, loaded  # noqa: E402

from mlops.bundle.reading import load  # noqa: E402
from mlops.config.views import View  # noqa: E402
from mlops.serving.online.stores import opened  # noqa: E402
from mlops.views.online import (  # noqa: E402
    Entry,
    Values,
    about,
    key,
    microseconds,
    table_name,
)

PARTS = ("conf", "requirements", "engine", "src", "pyproject.toml")
FEATURES = [f"number_{place:02d}" for place in range(20)]
DECLARED = {
    "conf/data/loans.yaml": """
name: loans
task: binary
source: {format: csv}
columns:
  customer: {type: integer, role: id}
  asked_at: {type: datetime, role: time}
  amount: {type: number, min: 0}
  bad: {type: boolean, role: target}
""",
    "conf/tables/payments.yaml": """
keys: [customer]
event_time: at
lag: 0 days
columns: {customer: {type: integer}, at: {type: datetime}, sum: {type: number}}
""",
    "conf/feature_views/past.yaml": """
table: payments
entity: {customer: customer}
ttl: 30 days
online: true
freshness: 1 week
features:
"""
    + "".join(f"  {name}: {{type: number, sql: sum(sum)}}\n" for name in FEATURES),
    "conf/features/past.yaml": "views: [past]\n",
    "params.yaml": """
data: {use: loans}
features: {use: past}
evaluation: {resamples: 20, importance_rows: 50}
""",
}
LABELS = 4000
CHUNK = 200_000  # entities that are made bytes at a time, as `mlops materialise` does
BODIES = 5000  # requests, each of another customer, that are sent over and over
SERVER_CORE, CLIENT_CORE = 0, 1


def main(
    entities: int = 1_000_000,
    changed: int = 100_000,
    reads: int = 50_000,
    rounds: int = 5,
    seconds: int = 5,
) -> None:
    """Print a line for each step of the store, and one for each server."""
    with tempfile.TemporaryDirectory() as place:
        project = Path(place) / "project"
        made(project)
        view = load(project / "candidate").settings.features.views["past"]
        url = f"sqlite:///{project / 'online.db'}"
        draw = np.random.default_rng(0)
        matrix = draw.normal(50, 20, (entities, len(FEATURES)))
        stored(url, view, matrix, min(changed, entities), reads, draw)
        served(project, url, matrix, rounds, seconds, draw)


def made(project: Path) -> None:
    """Make a bundle that reads the view."""
    from mlops.bundle.assembly import bundle
    from mlops.config.compose import resolve
    from mlops.data.prepare import prepare
    from mlops.evaluation.evaluate import evaluate
    from mlops.training.fitting import train

    for name in PARTS:
        copy = shutil.copytree if (SOURCE / name).is_dir() else shutil.copy
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        copy(SOURCE / name, project / name)
    for name, text in DECLARED.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    draw = np.random.default_rng(1)
    table = pd.DataFrame(draw.normal(50, 20, (LABELS, len(FEATURES))), columns=FEATURES)
    noise = draw.normal(0, 20, LABELS)
    table = table.assign(
        customer=np.arange(LABELS),
        asked_at="2026-04-01",
        amount=draw.uniform(0, 10, LABELS),
        bad=np.where(table[FEATURES[0]] + noise > 50, "true", "false"),
    )
    (project / "data/raw").mkdir(parents=True)
    table.to_csv(project / "data/raw/loans.csv", index=False)
    with chdir(project):
        settings = resolve()
        prepare(settings.data, settings.split)
        train(settings)
        evaluate(settings)
        bundle(settings)


def stored(
    url: str,
    view: View,
    matrix: np.ndarray,
    changed: int,
    reads: int,
    draw: np.random.Generator,
) -> None:
    """Load a store, write some entities anew, and read by key; print what that took."""
    table, values = table_name(view), Values(view)
    before = microseconds(datetime.now(UTC) - timedelta(hours=1))
    now = microseconds(datetime.now(UTC))
    every = np.arange(len(matrix))
    print(f"{len(matrix):,} entities, {len(FEATURES)} features, SQLite")
    store = opened(url, write=True)
    begun = time.perf_counter()
    written = store.load(table, about(view), entries(values, every, matrix, before), before)
    said("load", written, time.perf_counter() - begun)
    chosen = np.sort(draw.choice(every, changed, replace=False))
    matrix[chosen] += 1
    begun = time.perf_counter()
    store.begin(table, about(view), now)
    written = store.upsert(table, entries(values, chosen, matrix, now))
    store.complete(table, now)
    said("upsert, all differ", written, time.perf_counter() - begun)
    assert written == changed
    store.close()
    size = sum(file.stat().st_size for file in Path(url[10:]).parent.glob("online.db*"))
    print(f"{'file':24}{size / 2**20:12,.0f} MiB")
    reader = opened(url)
    for rows in (1, 100):
        took = []
        for names in draw.integers(0, len(matrix), (reads // rows, rows)).tolist():
            keys = [key((name,)) for name in names]
            begun = time.perf_counter()
            found = reader.read(table, keys).rows
            decoded = [row and values.decode(row[1]) for row in found]
            took.append(time.perf_counter() - begun)
            assert decoded[0] == tuple(matrix[names[0]])
        p50, p99 = np.percentile(took, (50, 99)) * 1e6
        print(f"{f'read of {rows}':24}{p50:12,.0f} us p50{p99:12,.0f} us p99")
    reader.close()


def entries(values: Values, names: np.ndarray, matrix: np.ndarray, moment: int) -> Iterator[Entry]:
    """Yield the entry of each entity that is named."""
    for start in range(0, len(names), CHUNK):
        part = names[start : start + CHUNK]
        found = values.encoded([*matrix[part].T])
        for name, value in zip(part.tolist(), found, strict=True):
            yield key((name,)), moment, value


def said(what: str, rows: int, took: float) -> None:
    """Print a step that wrote rows."""
    print(f"{what:24}{took:12,.1f} s{rows:13,} rows{rows / took:13,.0f} rows/s")


def served(
    project: Path,
    url: str,
    matrix: np.ndarray,
    rounds: int,
    seconds: int,
    draw: np.random.Generator,
) -> None:
    """Load two servers in turns, and print the medians of their rounds."""
    rows = [
        (name, {"amount": round(amount, 3)})
        for name, amount in zip(
            draw.integers(0, len(matrix), BODIES).tolist(),
            draw.uniform(0, 10, BODIES).tolist(),
            strict=True,
        )
    ]
    by_key = [row | {"customer": name} for name, row in rows]
    by_value = [row | dict(zip(FEATURES, matrix[name].tolist(), strict=True)) for name, row in rows]
    asked = {"values sent": (by_value, None), "values looked up": (by_key, url)}
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {CLIENT_CORE})
    figures: dict[str, list[Figures]] = {name: [] for name in asked}
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(running(project, store)) for name, (_, store) in asked.items()
        }
        answers = [one_answer(servers[name][0], bodies[0]) for name, (bodies, _) in asked.items()]
        assert answers[0] == answers[1], answers
        for name, (bodies, _) in asked.items():
            loaded(*servers[name], bodies, 1)
        for turn in range(rounds):
            # Whoever is first in one round is second in the next.
            for name in list(asked)[:: 1 - 2 * (turn % 2)]:
                figures[name].append(loaded(*servers[name], asked[name][0], seconds))
    print(f"\n{'one row a request':24}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}")
    for name, found in figures.items():
        rate, p50, p99, cost = (median(column) for column in zip(*found, strict=True))
        print(f"{name:24}{rate:12,.0f}{p50:9.2f}{p99:9.2f}{cost:9.1f}")
    sent, looked = figures.values()
    pairs = list(zip(looked, sent, strict=True))
    for what, ratios in (
        ("requests/s", [one.rate / other.rate for one, other in pairs]),
        ("1 / CPU", [other.cost / one.cost for one, other in pairs]),
    ):
        told = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"looked up / sent, {what}: {told}")


@contextmanager
def running(project: Path, online: str | None) -> Iterator[tuple[int, int]]:
    """Yield the port of a started server, and its process."""
    command = [sys.executable, "-m", "mlops.cli", "serve", "--port", "0"]
    if (os.cpu_count() or 1) > 1:
        command[:0] = ["taskset", "-c", str(SERVER_CORE)]
    log = tempfile.mkdtemp(dir=project)
    own = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(CODE),
        "MLOPS_LOG_FOLDER": log,
        "OMP_NUM_THREADS": "1",
        **({"MLOPS_ONLINE": online} if online else {}),
    }
    with (Path(log) / "server.txt").open("w") as said:
        process = subprocess.Popen(
            command, cwd=project, env=own, stdout=subprocess.PIPE, stderr=said, text=True
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError((Path(log) / "server.txt").read_text())
        yield int(line.rpartition(":")[2]), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def one_answer(port: int, row: dict[str, float]) -> object:
    """Return the probabilities of a row."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/predict", json.dumps(row), {"content-type": "application/json"})
    content = json.loads(connection.getresponse().read())
    connection.close()
    return content["predictions"][0]["probabilities"]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
