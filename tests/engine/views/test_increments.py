"""Late, changed and deleted files of rows and tables: prepared is what all anew would be."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from payments import TABLE, Payment, view, write

from mlops.config.settings import Split
from mlops.contract import Column, Contract
from mlops.data.prepare import prepare
from mlops.views.joining import ViewJoins

DAYS, CUSTOMERS = 12, 8
VIEW = view(ttl="2 days", table={"lateness": "1 day"})
CONTRACT = Contract(
    name="leaving",
    task="binary",
    columns={
        "customer_id": Column("integer"),
        "at": Column("datetime", role="time"),
        "left": Column("boolean", role="target"),
        **{name: msgspec.convert(VIEW.column(name), Column) for name in VIEW.features},
    },
)
START = datetime(2026, 1, 1)


def prepared(root: Path, out: str) -> str:
    with ViewJoins(CONTRACT, {"paying": VIEW}, root) as joins:
        return prepare(CONTRACT, Split("hash"), root / "data/raw", root / out, joins)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rows(root: Path, day: int, draw: np.random.Generator) -> None:
    """Write the label rows of a day."""
    path = root / f"data/raw/date={START + timedelta(days=day):%Y-%m-%d}/rows.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    hours = [START + timedelta(days=day, hours=int(h)) for h in draw.integers(0, 24, 30)]
    columns = {
        "customer_id": draw.integers(0, CUSTOMERS, 30),
        "at": pa.array(hours, pa.timestamp("us")),
        "left": draw.random(30) < 0.5,
    }
    pq.write_table(pa.table(columns), path)


def events(root: Path, day: int, part: int, draw: np.random.Generator) -> None:
    """Write a file of payments of a day, some booked the day after."""
    made = []
    for number in range(20):
        paid = START + timedelta(days=day, minutes=int(draw.integers(0, 1440)))
        booked = paid + timedelta(hours=int(draw.choice([0, 1, 30])))
        amount, customer = float(draw.normal()), int(draw.integers(0, CUSTOMERS))
        place = (part * DAYS + day) * 1000 + number
        made.append(Payment(customer, paid, booked, place, amount, "app"))
    write(root, f"date={START + timedelta(days=day):%Y-%m-%d}/{part}.parquet", made)


@pytest.mark.parametrize("seed", range(2))
def test_every_step_is_what_all_anew_would_be(tmp_path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    for day in range(DAYS):
        rows(tmp_path, day, draw)
        events(tmp_path, day, 0, draw)
    prepared(tmp_path, "kept")
    for step in range(4):
        day = int(draw.integers(0, DAYS))
        match draw.integers(0, 4):
            case 0:
                events(tmp_path, day, step + 1, draw)  # late
            case 1:
                events(tmp_path, day, 0, draw)  # once more, otherwise
            case 2:
                folder = tmp_path / TABLE.folder / f"date={START + timedelta(days=day):%Y-%m-%d}"
                for file in folder.glob("*"):
                    file.unlink()
            case _:
                rows(tmp_path, day, draw)
        told = prepared(tmp_path, "kept")
        computed = int(re.search(r"(\d+) of 12 parts", told)[1])  # type: ignore[index]
        assert computed <= 4  # the day, two of ttl, and one of lateness
        prepared(tmp_path, f"anew{step}")
        assert contents(tmp_path / "kept") == contents(tmp_path / f"anew{step}")


def test_the_feature_is_of_the_type_that_it_declares(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for day in range(2):
        rows(tmp_path, day, draw)
        events(tmp_path, day, 0, draw)
    few = replace(VIEW.features["last_channel"], categories=["web"], default=None)
    one = replace(VIEW, features={**VIEW.features, "last_channel": few})
    columns = {
        **CONTRACT.columns,
        "last_channel": msgspec.convert(one.column("last_channel"), Column),
    }
    contract = replace(CONTRACT, columns=columns)
    with (
        ViewJoins(contract, {"paying": one}, tmp_path) as joins,
        pytest.raises(Exception, match="column last_channel: 'app' is not one of web"),
    ):
        prepare(contract, Split("hash"), tmp_path / "data/raw", tmp_path / "out", joins)
    assert not (tmp_path / "out").exists()
