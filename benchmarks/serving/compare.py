"""This project's server beside those that people know, and FastAPI as the tutorials have it.

    python benchmarks/serving/compare.py [ROUNDS] [SECONDS] [NAME …]

See README.md in this folder.
"""

import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1] / "{{cookiecutter.project_slug}}"
CODE = os.pathsep.join(str(PROJECT / name) for name in ("engine/src", "src"))
CACHE = Path(tempfile.gettempdir()) / "mlops-serving-benchmark"
SERVERS = HERE / "servers"
SERVER_CORE, CLIENT_CORE = "0", "1"
CONNECTIONS = 64
ROWS = 20_000
PACKAGES = {
    "mlflow": ["mlflow==3.17.2", "scikit-learn==1.9.1", "pandas"],
    "bentoml": ["bentoml", "scikit-learn==1.9.1", "pandas"],
    "mlserver": ["mlserver", "mlserver-sklearn", "scikit-learn==1.9.1", "pandas"],
    "litserve": ["litserve", "scikit-learn==1.9.1", "pandas"],
    "ray": ["ray[serve]", "scikit-learn==1.9.1", "pandas"],
    "triton": ["nvidia-pytriton", "scikit-learn==1.9.1", "pandas"],
    "fastapi": ["fastapi", "uvicorn", "uvloop", "httptools", "scikit-learn==1.9.1", "pandas"],
}
INFER = "/v2/models/boosting/infer"
POST = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[%s]==]
"""
UVICORN = "--loop uvloop --http httptools --no-access-log --log-level warning --no-server-header"


class Server(NamedTuple):
    """How a server starts, where it answers, and what it is asked."""

    environment: str
    command: str
    path: str
    body: str


class Figures(NamedTuple):
    """What one round measured: requests a second, the 99th percentile in ms, errors."""

    rate: float
    p99: float
    errors: int


def table(path: Path) -> dict[str, Any]:
    """Write the table and return its first row, as a client sends it."""
    import pandas as pd

    random = np.random.default_rng(0)
    columns: dict[str, Any] = {"id": np.arange(ROWS)}
    columns |= {f"number_{i}": random.normal(50, 20, ROWS).round(3) for i in range(5)}
    columns |= {f"count_{i}": random.poisson(5 + i, ROWS) for i in range(3)}
    for i, size in enumerate((3, 4, 6, 12)):
        labels = np.array([f"label_{code}" for code in range(size)])
        columns[f"category_{i}"] = labels[random.integers(0, size, ROWS)]
    columns["flag"] = random.random(ROWS) < 0.4
    columns["sparse"] = np.where(random.random(ROWS) < 0.2, np.nan, random.random(ROWS).round(4))
    score = (
        (columns["number_0"] - 50) / 20
        + (columns["count_0"] - 5) / 3
        + (columns["category_1"] == "label_2")
        + np.nan_to_num(columns["sparse"])
    )
    columns["y"] = np.where(random.random(ROWS) < 1 / (1 + np.exp(-score)), "yes", "no")
    frame = pd.DataFrame(columns)
    frame.to_csv(path, index=False)
    row = json.loads(frame.drop(columns=["id", "y"]).iloc[:1].to_json(orient="records"))[0]
    return dict(row)


def bundle(folder: Path, csv: Path) -> Path:
    """Train the default model of this project on the table, in a copy of the project."""
    project = folder / "project"
    kept = ("conf", "engine", "src", "requirements", "params.yaml", "dvc.yaml", "pyproject.toml")
    for name in (*kept, ".dvc", ".dvcignore", ".gitignore"):
        place = PROJECT / name
        if place.is_dir():
            ignored = shutil.ignore_patterns("cache", "tmp", "__pycache__", "config.local")
            shutil.copytree(place, project / name, ignore=ignored)
        elif place.is_file():
            shutil.copy(place, project / name)
    (project / "data/tables").mkdir(parents=True)
    (project / "reports").mkdir()
    # The stages call a command that only a project's own environment has.
    command = folder / "bin/mlops"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mlops.cli "$@"\n')
    command.chmod(0o755)
    paths = os.pathsep.join((str(command.parent), str(Path(sys.executable).parent)))
    environment = {
        **os.environ,
        "DVC_NO_ANALYTICS": "1",
        "PYTHONPATH": CODE,
        "PATH": f"{paths}{os.pathsep}{os.environ['PATH']}",
    }
    for told in (
        "git init -q -b main",
        "git add -A",
        "git -c user.name=b -c user.email=b@example.invalid commit -qm start",
        f"mlops adopt {csv} --target y --key id",
        "dvc repro bundle",
    ):
        subprocess.run(
            told.split(), cwd=project, env=environment, check=True, stdout=subprocess.DEVNULL
        )
    return project / "candidate"


def environment(name: str) -> Path:
    """Return the bin folder of a server's own environment, made the first time."""
    if name == "project":
        return Path(sys.executable).parent
    folder = CACHE / name
    if not (folder / ".complete").exists():
        subprocess.run(["uv", "venv", "-q", "--clear", str(folder)], check=True)
        python = str(folder / "bin/python")
        subprocess.run(
            ["uv", "pip", "install", "-q", "-p", python, "--compile-bytecode", *PACKAGES[name]],
            check=True,
        )
        (folder / ".complete").touch()
    return folder / "bin"


def columns(row: dict[str, Any]) -> str:
    """Return a row as the Open Inference Protocol has it, a tensor a column."""
    inputs = []
    for name, value in row.items():
        kind, read = ("BYTES", "str") if isinstance(value, str) else ("FP64", "np")
        given = value if kind == "BYTES" else float(value)
        told = {"content_type": read}
        inputs.append(
            {"name": name, "shape": [1, 1], "datatype": kind, "data": [given], "parameters": told}
        )
    return json.dumps({"parameters": {"content_type": "pd"}, "inputs": inputs})


def bytewise(row: dict[str, Any]) -> str:
    """Return a row as `columns` does, each text as 16 bytes with zeros behind."""
    told = json.loads(columns(row))
    for one in told["inputs"]:
        if one["datatype"] == "BYTES":
            text = one["data"][0].encode().ljust(16, b"\0")
            one |= {"shape": [1, 16], "datatype": "UINT8", "data": [*text]}
    return json.dumps(told)


def servers(candidate: Path, row: dict[str, Any], folder: Path, csv: Path) -> dict[str, Server]:
    """Return every server by name; the others' models are fitted here."""
    one = json.dumps(row)
    for name in PACKAGES:
        kind = "mlflow" if name == "mlflow" else "joblib"
        model = folder / f"{name}-model"
        python = str(environment(name) / "python")
        command = [python, str(SERVERS / "pipeline.py"), kind, str(csv), str(model)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    app = f"python -m uvicorn {UVICORN} --app-dir {SERVERS} --port PORT"
    script = f"python {SERVERS}/{{}}.py PORT"
    ours = f"python -m mlops.cli serve --bundle {candidate} --port PORT"
    return {
        "empty ASGI": Server("project", f"{app} empty_asgi:app", "/predict", one),
        "mlops serve": Server("project", ours, "/predict", one),
        "mlops serve, 100 rows": Server("project", ours, "/predict", json.dumps([row] * 100)),
        "empty FastAPI": Server("project", f"{app} empty_fastapi:app", "/predict", one),
        "FastAPI, pandas": Server("fastapi", f"{app} plain:app", "/predict", one),
        "BentoML, batching": Server(
            "bentoml",
            f"bentoml serve bento:Boosting --working-dir {SERVERS} --port PORT",
            "/predict",
            json.dumps({"rows": [row]}),
        ),
        "LitServe, batching": Server("litserve", script.format("lit"), "/predict", one),
        "Ray Serve, batching": Server("ray", script.format("ray_serve"), "/predict", one),
        "MLServer, batching": Server("mlserver", script.format("mlserver"), INFER, columns(row)),
        "Triton, batching": Server("triton", script.format("triton"), INFER, bytewise(row)),
        "mlflow": Server(
            "mlflow",
            f"mlflow models serve -m {folder}/mlflow-model --env-manager local -p PORT -w 1",
            "/invocations",
            json.dumps({"dataframe_records": [row]}),
        ),
    }


@contextmanager
def running(server: Server, folder: Path) -> Iterator[tuple[str, float, int]]:
    """Yield the address of a started server, the seconds to its first answer, its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binaries = environment(server.environment)
    command = ["taskset", "-c", SERVER_CORE, *server.command.replace("PORT", str(port)).split()]
    command[3] = str(binaries / command[3])
    log = folder / "predictions"
    shutil.rmtree(log, ignore_errors=True)
    variables = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "BENTOML_DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": "1",
        # Triton starts Python by its library, which must be that of the modules it then finds.
        "LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR")),
        "MODEL": str(folder / f"{server.environment}-model"),
        "MLOPS_LOG_FOLDER": str(log),
        "PYTHONPATH": CODE if server.environment == "project" else "",
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
    }
    started = time.perf_counter()
    with (folder / "server.txt").open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}{server.path}"
    try:
        while not _answers(url, server.body):
            if process.poll() is not None or time.perf_counter() - started > 120:
                raise RuntimeError((folder / "server.txt").read_text()[-3000:])
            time.sleep(0.005)
        yield url, time.perf_counter() - started, process.pid
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(url: str, body: str) -> bool:
    request = urllib.request.Request(
        url, body.encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        if error.code in (404, 502, 503):
            return False
        raise RuntimeError(f"{url}: {error.code} {error.read()[:2000]!r}") from error
    except OSError:
        return False


def load(url: str, body: str, seconds: int, folder: Path) -> Figures:
    """Load a server from the other core and return what it did."""
    script = folder / "post.lua"
    script.write_text(POST % body)
    command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
    command += ["--latency", "--timeout", "30s", "-s", str(script), url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", text)[1])  # type: ignore[index]
    number, unit = re.search(r"99%\s*([\d.]+)(us|ms|s|m)\b", text).groups()  # type: ignore[union-attr]
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[unit]
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failed = re.search(r"Socket errors: (.*)", text)
    errors = int(wrong[1]) if wrong else 0
    errors += sum(map(int, re.findall(r"\d+", failed[1]))) if failed else 0
    return Figures(rate, float(number) * scale, errors)


def memory(leader: int) -> float:
    """Return the MB of memory that a server's processes share or have, by proportion."""
    total = 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(path.name)) == leader:
                text = (path / "smaps_rollup").read_text()
                total += int(re.search(r"^Pss:\s*(\d+)", text, re.MULTILINE)[1])  # type: ignore[index]
        except (OSError, TypeError, ValueError):
            continue
    return total / 1024


def main(rounds: int = 3, seconds: int = 5, *names: str) -> None:
    """Print a line for each server: medians over the rounds. Who does not start has no figures."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        row = table(folder / "table.csv")
        candidate = bundle(folder, folder / "table.csv")
        every = servers(candidate, row, folder, folder / "table.csv")
        if unknown := set(names) - set(every):
            sys.exit(f"no server {', '.join(sorted(unknown))}: name some of {', '.join(every)}")
        chosen = {n: s for n, s in every.items() if not names or n in names}
        figures: dict[str, list[Figures]] = {name: [] for name in chosen}
        ready: dict[str, list[float]] = {name: [] for name in chosen}
        used: dict[str, list[float]] = {name: [] for name in chosen}
        for turn in range(rounds):
            for name, server in chosen.items():
                print(f"round {turn + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
                try:
                    with running(server, folder) as (url, taken, process):
                        load(url, server.body, 1, folder)
                        figures[name].append(load(url, server.body, seconds, folder))
                        ready[name].append(taken)
                        used[name].append(memory(process))
                except RuntimeError as error:
                    print(f"{name} did not answer: {error}", file=sys.stderr, flush=True)
    median = statistics.median
    base = median(f.rate for f in figures["empty ASGI"]) if figures.get("empty ASGI") else 0
    print(f"{'':24}{'requests/s':>11}{'of empty':>10}{'p99 ms':>8}{'ready s':>9}{'MB':>6}  errors")
    for name, found in figures.items():
        if not found:
            print(f"{name:24}{'did not answer':>19}")
            continue
        rate = median(f.rate for f in found)
        share = f"{rate / base:.1%}" if base else ""
        print(
            f"{name:24}{rate:11,.0f}{share:>10}{median(f.p99 for f in found):8.1f}"
            f"{median(ready[name]):9.2f}{median(used[name]):6.0f}  {sum(f.errors for f in found)}"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]), *sys.argv[3:])
