"""Where DuckDB is not installed, all but SQL is joined to the same values."""

import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace
from payments import CHANNELS, TABLE, VIEW, Payment, asked, local, view, write, write_csv

from mlops.config.settings import ConfigError
from mlops.config.views import Feature, View
from mlops.data.errors import DataError
from mlops.features import aggregates
from mlops.features.aggregates import Aggregate, Groups
from mlops.features.functions import Floats
from mlops.views.join import values_at

START = datetime(2026, 3, 27)


def decayed(groups: Groups, values: Floats) -> Floats:
    return groups.sum(np.nan_to_num(values) / (1 + groups.ages))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> View:
    """The view of payments without its SQL, and with a function."""
    function = Aggregate("decayed", decayed, ("number",), "")
    monkeypatch.setattr(aggregates, "AGGREGATES", {"decayed": function})
    features: Mapping[str, Feature] = {
        **{name: one for name, one in VIEW.features.items() if one.sql is None},
        "recent": Feature("number", function="decayed", columns=["amount"], default=0.0),
        "paid_at": Feature("datetime", latest="paid_at"),
    }
    return view(features=features)


def drawn(rows: int = 900) -> list[Payment]:
    rng = np.random.default_rng(4)
    made = []
    for number in range(rows):
        paid = START + timedelta(hours=int(rng.integers(0, 90)))
        late = timedelta(hours=int(rng.choice([0, 0, 1, 30])))
        amount = None if rng.random() < 0.1 else float(rng.normal(0, 1e6))
        channel = CHANNELS[int(rng.integers(0, 3))]
        customer = int(rng.integers(0, 9))
        made.append(Payment(customer, paid, paid + late, number, amount, channel))
    return made


def both(
    root: Path, one: View, monkeypatch: pytest.MonkeyPatch, customers: list[int | None]
) -> tuple[pa.Table, pa.Table]:
    moments = [str(START + timedelta(minutes=17 * at)) for at in range(len(customers))]
    question = asked(customers, moments)
    with_it = values_at(one, *question, root=root)
    monkeypatch.setitem(sys.modules, "duckdb", None)  # as where it is not installed
    return with_it, values_at(one, *question, root=root)


def test_the_same_values(tmp_path: Path, plain: View, monkeypatch: pytest.MonkeyPatch) -> None:
    zone, rows = "Europe/Berlin", drawn()
    there = [
        row._replace(paid_at=local(row.paid_at, zone), booked_at=local(row.booked_at, zone))
        for row in rows
    ]
    write(tmp_path, "a.parquet", there[::2])
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in there[1::2]]
    write_csv(tmp_path, "b.csv", lines)
    table = replace(TABLE, time_zone=zone, source=replace(TABLE.source, format="csv"))
    customers = [None if at % 50 == 0 else at % 11 for at in range(400)]
    with_it, without = both(tmp_path, replace(plain, table=table), monkeypatch, customers)
    assert without.equals(with_it)
    assert with_it["recent"].to_pylist().count(0.0) < 200


def test_nobody_of_the_table(tmp_path: Path, plain: View, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.parquet", drawn(10))
    with_it, without = both(tmp_path, plain, monkeypatch, [77, None])
    assert without.equals(with_it)


def test_rows_in_the_folder_of_another_day_are_refused(
    tmp_path: Path, plain: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "date=2026-03-27/a.parquet", drawn())
    monkeypatch.setitem(sys.modules, "duckdb", None)
    for _ in range(2):
        with pytest.raises(DataError, match="rows that happened after its day"):
            values_at(plain, *asked([1], ["2026-03-28"]), root=tmp_path)


def test_sql_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.parquet", drawn(10))
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ConfigError, match="spent of paying is SQL, which DuckDB computes"):
        values_at(VIEW, *asked([1], ["2026-03-28"]), root=tmp_path)
