"""What it costs to find the outcome of each prediction of a log.

    python benchmarks/monitoring/join.py [--rows 10000000] [--log FOLDER]

Writes a log of twelve weeks and twenty input columns, every row reported upon within a month and
one in twenty twice, and reads it in processes of their own: all of it in batches, the columns that
a metric needs, and a day.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PROJECT = Path(__file__).resolve().parents[2] / "{{cookiecutter.project_slug}}"
FIRST, DAYS, COLUMNS, FILE, GROUP = date(2026, 3, 1), 84, 20, 100_000, 20_000
MODEL = "a" * 64
READ = {
    "everything": {},
    "what a metric needs": {"columns": ["row", "digest", "role", "prediction", "probabilities"]},
    "the last day": {"first_day": FIRST + timedelta(DAYS - 1), "model12": MODEL[:12]},
}


def write(path: Path, columns: dict[str, Any]) -> None:
    """Write one file as compaction does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns, metadata={"format": "2", "task": "binary"})
    named = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    pq.write_table(table, path, row_group_size=GROUP, compression="zstd", use_dictionary=named)


def constant(text: str, rows: int) -> pa.DictionaryArray:
    """Return a column that says the same in every row."""
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([text]))


def moments(day: int, generator: np.random.Generator, rows: int) -> np.ndarray:
    """Return moments of a day."""
    start = np.datetime64(FIRST + timedelta(day), "us")
    return np.sort(start + generator.integers(0, 86_400_000_000, rows).astype("timedelta64[us]"))


def predictions(log: Path, day: int, part: int, rows: int, generator: np.random.Generator) -> None:
    """Write a file of predictions."""
    probability = generator.random(rows)
    pairs = np.column_stack([1 - probability, probability]).ravel()
    plan = pa.array(["basic", "plus", "pro"])
    inputs: dict[str, Any] = {}
    for column in range(COLUMNS):
        values = generator.integers(0, 3, rows).astype(np.int32)
        is_label = column % 5 == 0
        inputs[f"x{column}"] = (
            pa.DictionaryArray.from_arrays(values, plan) if is_label else generator.random(rows)
        )
    decided = (probability > 0.5).astype(np.int32)
    columns = {
        "request_id": [f"5f2c9a10-{day}-{part}-{number:x}" for number in range(rows)],
        "row": np.zeros(rows, np.int32),
        "time": moments(day, generator, rows),
        "digest": constant(MODEL, rows),
        "role": constant("champion", rows),
        "unit": pa.array([f"{number:016x}" for number in generator.integers(0, 1 << 60, rows)]),
        "arm": constant("champion", rows),
        "propensity": np.ones(rows),
        **inputs,
        "prediction": pa.DictionaryArray.from_arrays(decided, pa.array(["false", "true"])),
        "probabilities": pa.ListArray.from_arrays(
            np.arange(0, 2 * rows + 1, 2, dtype=np.int32), pairs
        ),
    }
    folder = log / f"predictions/date={FIRST + timedelta(day)}/model={MODEL[:12]}"
    write(folder / f"part-{part:06d}.parquet", columns)


def feedback(log: Path, day: int, parts: list[int], generator: np.random.Generator) -> None:
    """Write what was reported of a day, on one of the days that follow."""
    for part, rows in enumerate(parts):
        numbers = np.append(np.arange(rows), generator.integers(0, rows, rows // 20))
        later = day + int(generator.integers(1, 30))
        columns = {
            "request_id": [f"5f2c9a10-{day}-{part}-{number:x}" for number in numbers],
            "row": np.zeros(len(numbers), np.int32),
            "time": moments(later, generator, len(numbers)),
            "outcome": np.where(generator.random(len(numbers)) < 0.3, "true", "false"),
            "value": pa.nulls(len(numbers), pa.float64()),
            "currency": pa.nulls(len(numbers), pa.string()),
            "action": pa.nulls(len(numbers), pa.string()),
        }
        folder = log / f"feedback/date={FIRST + timedelta(later)}"
        write(folder / f"part-{day:03d}-{part:06d}.parquet", columns)


def generate(log: Path, rows: int) -> None:
    """Write the log."""
    generator = np.random.default_rng(13)
    for day in range(DAYS):
        left = rows // DAYS + (day < rows % DAYS)
        parts = [FILE] * (left // FILE) + [left % FILE] * bool(left % FILE)
        for part, size in enumerate(parts):
            predictions(log, day, part, size, generator)
        feedback(log, day, parts, generator)


def read(log: Path, name: str) -> None:
    """Read the log in this process, and print what that cost."""
    from mlops.monitoring.outcomes import outcomes

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.perf_counter()
    rows = known = 0
    for batch in outcomes(log, **READ[name]):  # type: ignore[arg-type]
        rows += batch.num_rows
        known += batch.num_rows - batch["outcome"].null_count
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:20} {rows:>12,} rows {known:>12,} known {seconds:6.1f} s "
          f"{peak:6,.0f} MiB at most, {before:,.0f} before")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--log", type=Path, help="where to write it, and where it is kept")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.read:
        read(told.log, told.read)
        return
    with tempfile.TemporaryDirectory() as scratch:
        log = told.log or Path(scratch)
        if not (log / "predictions").is_dir():
            generate(log, told.rows)
        for name in READ:
            command = [sys.executable, __file__, "--log", str(log), "--read", name]
            subprocess.run(command, check=True, env={"PYTHONPATH": str(PROJECT / "engine/src")})


if __name__ == "__main__":
    main()
