"""What it costs to count the days of a log, with their outcomes, and then one day more.

    python benchmarks/monitoring/days.py [--rows 10000000] [--log FOLDER]

The log is that of join.py: twelve weeks, twenty input columns, four of them labels by which rows
are counted apart, every row reported on. Each run is a process of its own.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import join

import traffic  # isort: skip  # finds the engine
import msgspec
import numpy as np

from mlops.bundle.cells import Cells, Layout
from mlops.config.settings import Monitoring
from mlops.contract import Contract
from mlops.monitoring.log import Source, days

PLANS = ("basic", "plus", "pro")


def source(log: Path) -> Source:
    """Return the log as that of a bundle of its columns."""
    columns = {
        f"x{at}": {"type": "category", "categories": PLANS} if at % 5 == 0 else {"type": "number"}
        for at in range(join.COLUMNS)
    }
    content = {**columns, "y": {"type": "boolean", "role": "target"}}
    declared = msgspec.convert({"name": "log", "task": "binary", "columns": content}, Contract)
    edges = np.linspace(0, 1, 22).astype(np.float32)
    nothing = np.empty(0, np.float32)
    features = tuple(
        Cells(name, nothing, PLANS) if about["type"] == "category" else Cells(name, edges)
        for name, about in columns.items()
    )
    sliced = {f"x{at}": (*PLANS, "(not declared)", "(missing)") for at in (0, 5, 10, 15)}
    layout = Layout(features, (Cells("", edges),), sliced, 0.5)
    return Source(log, traffic.bundle(declared), join.MODEL, layout, Monitoring())


def count(log: Path, at: date) -> None:
    """Count the days up to one, and print what that cost."""
    of = source(log)
    began = time.perf_counter()
    known = days(of, at)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = sum(about.counts.rows for about in known.values())
    outcomes = sum(about.known for about in known.values())
    print(f"{len(known)} days, {rows:,} rows, {outcomes:,} outcomes: {seconds:.1f} s, "
          f"{peak:,.0f} MiB at most", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--log", type=Path, help="where to write it, and where it is kept")
    parser.add_argument("--at", type=date.fromisoformat, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.at:
        count(told.log, told.at)
        return
    with tempfile.TemporaryDirectory() as scratch:
        log = told.log or Path(scratch)
        if not (log / "predictions").is_dir():
            join.generate(log, told.rows)
        shutil.rmtree(log / "counts", ignore_errors=True)
        last = join.FIRST + timedelta(join.DAYS - 1)
        for at in (last - timedelta(1), last, last + timedelta(30)):
            command = [sys.executable, __file__, "--log", str(log), "--at", at.isoformat()]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
