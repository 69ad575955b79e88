"""What one more day costs: `dvc repro prepare` of 365 daily partitions, and after day 366.

    python benchmarks/partitions.py [--days N] [--rows N] [--views] [--check]

`--rows` are those of a day (100,000 by default; 36.5 million in all need some 4 GB of disk). Beside
the next day a late file for an old one comes, and nothing. `--check` compares the bytes with those
of everything prepared anew. With `--views` the rows are joined to a table of as many partitions,
with half as many events, of the customers of the next days. The peak is that of the largest
process so far.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import project

SOURCE = project.ROOT / "{{cookiecutter.project_slug}}"
sys.path[:0] = [str(SOURCE / "engine/src")]

from mlops.data.sample import write  # noqa: E402
from mlops.files import tree_sha256  # noqa: E402

COPIED = ("conf", "engine", "src", "requirements", "params.yaml", "dvc.yaml", "pyproject.toml")
FIRST = date(2025, 1, 1)
MONTHS = 12
CALLS = """
keys: [customer_id]
event_time: called_at
lag: 1 hour
tie_break: [ticket]
columns:
  customer_id: {type: text}
  called_at: {type: datetime}
  ticket: {type: integer}
  minutes: {type: number}
"""
SUPPORT = """
table: calls
entity: {customer_id: customer_id}
ttl: 7 days
features:
  last_minutes: {type: number, latest: minutes}
  calls: {type: integer, sql: count(*), default: 0}
  minutes: {type: number, sql: sum(minutes), window: 3 days, default: 0.0}
"""
AHEAD = 5  # days from an event to the label row of its customer, at most


def made(root: Path) -> None:
    """Write a project without an environment of its own: this Python's is used."""
    for name in COPIED:
        copy = shutil.copytree if (SOURCE / name).is_dir() else shutil.copy
        copy(SOURCE / name, root / name)
    command = root / "bin/mlops"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m mlops.cli "$@"\n')
    command.chmod(0o755)
    beside = [str(command.parent), str(Path(sys.executable).parent), os.environ["PATH"]]
    paths = [str(root / "engine/src"), str(root / "src")]
    project.ENVIRONMENT |= {"PATH": ":".join(beside), "PYTHONPATH": ":".join(paths)}
    for line in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run(line, cwd=root, env=project.ENVIRONMENT, check=True)


def declared(root: Path) -> None:
    """Declare a table and a view of it, and have the experiment use that."""
    written = {"conf/tables/calls.yaml": CALLS, "conf/feature_views/support.yaml": SUPPORT}
    for name, text in written.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    with (root / "conf/features/churn.yaml").open("a") as choice:
        choice.write("views: [support]\n")


def happen(root: Path, months: list[pa.Table], day: int) -> None:
    """Write the events of a day, of customers whose label rows are of one of the next days."""
    draw = np.random.default_rng(day)
    rows = months[day % MONTHS].num_rows // 2
    ahead = draw.integers(1, AHEAD + 1, rows)
    names = [months[(day + days) % MONTHS]["customer_id"] for days in range(AHEAD + 1)]
    at = draw.integers(0, months[0].num_rows // 2, rows)
    ids = [
        f"part{day + days}-{names[days][int(place)]}"
        for days, place in zip(ahead.tolist(), at, strict=True)
    ]
    moment = np.datetime64(FIRST + timedelta(days=day), "us")
    table = {
        "customer_id": ids,
        "called_at": moment + draw.integers(0, 20 * 3600, rows).astype("m8[s]"),
        "ticket": np.arange(rows),
        "minutes": draw.uniform(0, 60, rows),
    }
    path = root / f"data/tables/calls/date={FIRST + timedelta(days=day)}/part.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), path)


def put(root: Path, months: list[pa.Table], day: int, name: str = "part") -> None:
    """Write a day: the rows of some month, with a time and customers of its own."""
    rows = months[day % MONTHS]
    moment = FIRST + timedelta(days=day)
    place = rows.schema.get_field_index("month")
    moments = pa.array(np.full(rows.num_rows, np.datetime64(moment, "us")))
    rows = rows.set_column(place, "month", moments.cast(rows.schema.field("month").type))
    place = rows.schema.get_field_index("customer_id")
    ids = pc.binary_join_element_wise(rows["customer_id"], f"{name}{day}", "-")
    rows = rows.set_column(place, "customer_id", ids)
    path = root / f"data/raw/date={moment}/{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path)


class Cost(NamedTuple):
    """Seconds of wall clock and of processors, and the peak of the largest process in MiB."""

    wall: float
    processor: float
    peak: float


def repro(root: Path, what: str, first: Cost | None = None) -> Cost:
    """Run the stage, print what it took, and return that."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall, peak = project.measured("dvc", "repro", "--quiet", "prepare", folder=root)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    share = ""
    if first is not None:
        share = f", {wall / first.wall:.3f} and {used / first.processor:.3f} of the first"
    print(f"{what}: {wall:.1f} s, {used:.1f} of processors{share} ({peak:,.0f} MiB)", flush=True)
    return Cost(wall, used, peak)


def check(root: Path) -> None:
    """End with an error where everything prepared anew is otherwise."""
    kept = tree_sha256(root / "data/prepared")
    shutil.rmtree(root / "data/prepared")
    repro_all = project.measured("mlops", "prepare", folder=root)
    same = tree_sha256(root / "data/prepared") == kept
    print(f"everything anew: {repro_all.seconds:.1f} s, {'the same bytes' if same else 'OTHERS'}")
    if not same:
        sys.exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--views", action="store_true")
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="partitions-") as place:
        root = Path(place)
        made(root)
        files = write(root / "sample", rows=MONTHS * asked.rows, months=MONTHS)
        months = [pq.read_table(file) for file in files]
        if asked.views:
            declared(root)
        for day in range(asked.days):
            put(root, months, day)
            if asked.views:
                happen(root, months, day)
        print(f"{asked.days} days of {asked.rows:,} rows", flush=True)
        first = repro(root, "first")
        put(root, months, asked.days)
        if asked.views:
            happen(root, months, asked.days)
        repro(root, f"day {asked.days + 1}", first)
        put(root, months, 2, "late")
        repro(root, "a late file for day 3", first)
        repro(root, "nothing new", first)
        if asked.check:
            check(root)


if __name__ == "__main__":
    main()
