"""Ten million events, joined to a million labels by what was known then: time, memory, bytes.

    python benchmarks/views.py [--events 10000000] [--labels 1000000] [--threads 2 1 8]

Five features of one view, of 30 days and 7, with a tie-break and rows that are known late. Each
number of threads runs in a process of its own, whose peak memory is the whole process's.
"""

import argparse
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENGINE = Path(__file__).parents[1] / "{{cookiecutter.project_slug}}/engine/src"
sys.path.insert(0, str(ENGINE))

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from mlops.config.views import Feature, Table, View  # noqa: E402
from mlops.contract import Column  # noqa: E402
from mlops.views.join import Join  # noqa: E402

CUSTOMERS, FILES, DAYS = 100_000, 20, 365
DAY = np.timedelta64(1, "D").astype("m8[us]").astype(np.int64)
CHANNELS = ["app", "web", "shop"]
TABLE = Table(
    name="payments",
    keys=["customer"],
    event_time="paid_at",
    known_time="booked_at",
    tie_break=["number"],
    columns={
        "customer": Column("integer"),
        "paid_at": Column("datetime"),
        "booked_at": Column("datetime"),
        "number": Column("integer"),
        "amount": Column("number"),
        "channel": Column("category", categories=CHANNELS),
    },
)
VIEW = View(
    name="paying",
    table=TABLE,
    entity={"customer": "customer_id"},
    ttl="30 days",
    features={
        "last_amount": Feature("number", latest="amount"),
        "last_channel": Feature("category", latest="channel", categories=CHANNELS),
        "spent": Feature("number", sql="sum(amount)", default=0.0),
        "by_app": Feature("integer", sql="count(*) filter (where channel = 'app')", default=0.0),
        "largest": Feature("number", sql="max(amount)", window="7 days"),
    },
)


def main() -> None:
    reader = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    reader.add_argument("--events", type=int, default=10_000_000)
    reader.add_argument("--labels", type=int, default=1_000_000)
    reader.add_argument("--threads", type=int, nargs="+", default=[2, 1, 8])
    reader.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = reader.parse_args()
    if asked.folder is not None:
        join(asked.folder, asked.labels, asked.threads[0])
        return
    with tempfile.TemporaryDirectory() as place:
        early = write(Path(place), asked.events)
        print("| threads | seconds | cpu seconds | peak MiB | bytes |\n|---|---|---|---|---|")
        for threads in asked.threads:
            command = [sys.executable, __file__, "--folder", place, "--labels", str(asked.labels)]
            subprocess.run([*command, "--threads", str(threads)], check=True)
    print(f"{early:.0%} of the events are known at least a day after they happened")


def write(root: Path, events: int) -> float:
    """Write the events, and return the share of those known late."""
    draw = np.random.default_rng(0)
    rows = events // FILES
    late = 0
    (root / TABLE.folder).mkdir(parents=True)
    for file in range(FILES):
        paid = draw.integers(0, DAYS * DAY, rows)
        slow = draw.random(rows) < 0.1
        wait = np.where(slow, draw.integers(DAY, 5 * DAY, rows), draw.integers(0, DAY // 24, rows))
        late += int(slow.sum())
        columns = {
            "customer": draw.integers(0, CUSTOMERS, rows),
            "paid_at": pa.array(paid, pa.timestamp("us")),
            "booked_at": pa.array(paid + wait, pa.timestamp("us")),
            "number": np.arange(file * rows, (file + 1) * rows),
            "amount": np.round(draw.lognormal(3, 1, rows), 2),
            "channel": np.array(CHANNELS)[draw.integers(0, 3, rows)],
        }
        pq.write_table(pa.table(columns), root / TABLE.folder / f"{file:02}.parquet")
    return late / events


def join(root: Path, labels: int, threads: int) -> None:
    draw = np.random.default_rng(1)
    entities = pa.table({"customer": draw.integers(0, CUSTOMERS, labels)})
    at = draw.integers(30 * DAY, DAYS * DAY, labels).astype("datetime64[us]")
    start = time.perf_counter()
    with Join(root, threads) as opened:
        values = opened.values_at(VIEW, entities, at)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    digest = hashlib.sha256()
    for column in values.columns:
        for buffer in column.combine_chunks().buffers():
            digest.update(buffer or b"")
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    cells = (threads, f"{seconds:.1f}", f"{cpu:.1f}", f"{peak:,.0f}", digest.hexdigest()[:12])
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
