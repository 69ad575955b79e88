"""What ingestion costs: a year of daily files into partitions, then the newest day again.

    python benchmarks/ingestion.py [DAYS [ROWS]]      (default: 365 100000)

Each step runs in a process of its own: its peak is its own.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

STEP = """
import resource, sys
import msgspec
from mlops.config.views import Table
from mlops.ingestion.dataset import of_table
from mlops.ingestion.ingest import ingest

table = msgspec.convert(msgspec.json.decode(sys.argv[1]), Table)
print(ingest(of_table(table)), end="; ")
print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB", end="; ")
print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_utime:,.0f} s of CPU", end="; ")
"""
DECLARED = """{
  "name": "orders", "keys": ["customer"], "event_time": "at", "lag": "0 days",
  "columns": {
    "order": {"type": "integer", "role": "id"}, "customer": {"type": "text"},
    "at": {"type": "datetime"}, "changed": {"type": "datetime"}, "amount": {"type": "number"},
    "paid": {"type": "boolean"}, "channel": {"type": "category", "categories": ["app", "web"]}},
  "source": {
    "origin": {"kind": "files", "glob": "GLOB"},
    "partition": {"by": "at", "key": ["order"], "version": "changed"}}}
"""
ENGINE = Path(__file__).parents[1] / "{{cookiecutter.project_slug}}/engine/src"


def main() -> None:
    """Print a line for each step."""
    days, rows = [*map(int, sys.argv[1:]), *(365, 100_000)[len(sys.argv) - 1 :]]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        draw = np.random.default_rng(0)
        for day in range(days + 1):
            write(place / f"{day:04d}.parquet", day, rows, draw)
        (place / f"{days:04d}.parquet").rename(place / "next.parquet")
        print(f"{days} days of {rows:,} rows")
        step(place, "the year", "0*.parquet")
        step(place, "again", "0*.parquet")
        step(place, "the next day", "next.parquet")


def write(path: Path, day: int, rows: int, draw: np.random.Generator) -> None:
    """Write the orders of a day."""
    within = draw.integers(0, 86_400_000_000, rows).astype("timedelta64[us]")
    at = np.datetime64("2025-01-01", "us") + np.timedelta64(day, "D") + within
    columns = {
        "order": day * rows + draw.permutation(rows),
        "customer": [f"c{number}" for number in draw.integers(0, 50_000, rows)],
        "at": at,
        "changed": at,
        "amount": draw.gamma(2, 20, rows),
        "paid": draw.random(rows) < 0.9,
        "channel": draw.choice(["app", "web"], rows),
    }
    pd.DataFrame(columns).to_parquet(path, index=False)


def step(place: Path, name: str, glob: str) -> None:
    """Run one ingestion there, and print what it took."""
    declared = DECLARED.replace("GLOB", glob)
    command = [sys.executable, "-c", STEP, declared]
    own = {**os.environ, "PYTHONPATH": str(ENGINE)}
    begun = time.monotonic()
    print(name, end=": ", flush=True)
    subprocess.run(command, cwd=place, env=own, check=True, stderr=subprocess.DEVNULL)
    print(f"{time.monotonic() - begun:,.0f} s")


if __name__ == "__main__":
    main()
