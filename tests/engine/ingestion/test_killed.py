"""A run that is killed anywhere leaves every partition old or new, and the next completes it."""

import datetime
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from mlops.data.errors import DataError

from .conftest import Shop, order

FIRST = datetime.date(2026, 1, 1)

# Ends itself as kill -9 would, at the n-th time that a file is about to be put into place.
KILLED = """
import datetime, os, signal, sys
from pathlib import Path

sys.path[:0] = [sys.argv[2]]
from conftest import Shop
from mlops.ingestion import partitions

left, replace, unlink = int(sys.argv[1]), os.replace, Path.unlink

def counted(do):
    def step(*given, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return do(*given, **named)
    return step

os.replace, Path.unlink = counted(replace), counted(unlink)
Shop(Path.cwd()).ingest(datetime.date(2026, 1, 1))
"""


def killed(shop: Shop, steps: int) -> int:
    folder = os.path.dirname(__file__)
    command = [sys.executable, "-c", KILLED, str(steps), folder]
    return subprocess.run(command, cwd=shop.root, capture_output=True).returncode


@pytest.fixture
def changed(shop: Shop) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The bytes before and after a run that writes, moves and removes."""
    shop.sell([order(n, f"2026-01-0{1 + n % 4}") for n in range(12)])
    shop.ingest()
    old = shop.parts()
    late = "2026-02-01 00:00:00"
    shop.sell(
        [
            *(order(n, None, late, deleted=1) for n in (3, 7, 11)),  # all of the fourth day
            order(0, "2026-01-02", late, 9.0),
            order(20, "2026-01-05", late),
        ]
    )
    place = shop.root / "new"
    place.mkdir()
    other = Shop(place)
    subprocess.run(["cp", "-r", "data", "shop.db", "new"], check=True)
    os.chdir(place)
    other.ingest(FIRST)
    os.chdir(shop.root)
    return old, other.parts()


def test_killed_between_any_two_steps(
    shop: Shop, changed: tuple[dict[str, bytes], dict[str, bytes]]
) -> None:
    old, new = changed
    assert old.keys() - new.keys() == {"2026-01-04"}
    for steps in range(0, 12, 2):
        code = killed(shop, steps)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        for day, part in shop.parts().items():
            assert part in (old.get(day), new.get(day)), (steps, day)
    else:
        raise AssertionError("it never came to its end")
    assert shop.parts() == new
    assert not list(shop.folder.parent.glob(".*.tmp"))
    before = shop.state()
    assert not shop.ingest(FIRST).changed
    assert shop.state() == before


def test_a_run_that_is_killed_while_it_fetches_changes_nothing(shop: Shop) -> None:
    shop.ingest()
    before = shop.state()
    shop.sell([order(n, f"2026-01-{1 + n % 28:02d}") for n in range(100_000)])
    script = KILLED.replace("os.replace, Path.unlink =", "print(flush=True); _ =")
    command = [sys.executable, "-c", script, "0", os.path.dirname(__file__)]
    with subprocess.Popen(command, cwd=shop.root, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        run.stdout.readline()
        while run.poll() is None and not list(shop.folder.parent.glob(".orders.*.tmp")):
            time.sleep(0.01)
        run.kill()
    assert run.returncode == -signal.SIGKILL
    assert shop.state() == before
    assert shop.ingest(FIRST).rows == 100_000
    assert not list(shop.folder.parent.glob(".*.tmp"))


def test_a_partition_of_a_cut_off_run_has_its_lineage_again(shop: Shop) -> None:
    shop.ingest()
    part = shop.folder / "date=2026-01-02/part.parquet"
    pq.write_table(pq.ParquetFile(part).read().slice(1), part)  # newer than its lineage
    assert shop.ingest(FIRST).written == ["2026-01-02"]


def test_an_origin_that_fails_in_the_middle_changes_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.ingest()
    before = shop.state()
    shop.sell([order(n, f"2026-01-{1 + n % 28:02d}") for n in range(50_001)])
    query = "SELECT *, CASE WHEN order_id = 50000 THEN abs(-9223372036854775808) END FROM orders"
    origin = {"kind": "sql", "url": f"sqlite:///{shop.root}/shop.db", "query": query}
    with pytest.raises(DataError, match="integer overflow"):
        shop.ingest(origin=origin)
    assert shop.state() == before
    assert not list(shop.folder.parent.glob(".*.tmp"))
