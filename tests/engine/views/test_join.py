"""The point-in-time join: as a plain reading of the declaration has it, whatever the machine."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace
from payments import (
    CHANNELS,
    TABLE,
    VIEW,
    Payment,
    asked,
    expected,
    local,
    view,
    write,
    write_csv,
)

from mlops.config.settings import ConfigError
from mlops.config.views import Feature, Table, View
from mlops.contract import Column
from mlops.data.errors import DataError
from mlops.views import history, join
from mlops.views.join import Join, values_at

START = datetime(2026, 3, 27)  # Europe sets its clocks forward on the 29th
ONE = [Payment(1, datetime(2026, 1, 2), datetime(2026, 1, 3), 1, 5.0, "app")]


def drawn(seed: int, rows: int = 300) -> list[Payment]:
    """Return payments of few customers in few hours, many at the same time, some known late."""
    rng = np.random.default_rng(seed)
    made = []
    for number in rng.permutation(rows):
        paid = START + timedelta(hours=int(rng.integers(0, 120)))
        late = timedelta(hours=int(rng.choice([0, 0, 1, 5, 30, 100])))
        amount = None if rng.random() < 0.1 else float(rng.normal(0, 10 ** rng.integers(0, 9)))
        channel = CHANNELS[int(rng.integers(0, 3))]
        customer = int(rng.integers(0, 6))
        made.append(Payment(customer, paid, paid + late, int(number), amount, channel))
    return made


def said(table: pa.Table) -> list[dict[str, Any]]:
    return list(table.to_pylist())


def check(root: Path, one: View, payments: list[Payment], seed: int) -> None:
    """Ask for many customers at many moments, and compare each answer."""
    rng = np.random.default_rng(seed)
    customers = [None if i % 40 == 0 else int(rng.integers(0, 7)) for i in range(200)]
    moments = [START + timedelta(minutes=30 * int(rng.integers(0, 400))) for _ in customers]
    table = values_at(one, *asked(customers, [str(at) for at in moments]), root=root)
    wanted = [
        expected(one, payments, customer, at)
        for customer, at in zip(customers, moments, strict=True)
    ]
    assert said(table) == wanted


@pytest.mark.parametrize("seed", range(4))
def test_every_value_is_that_of_the_rows_known_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(join, "ROWS", 40)  # so that few rows come in many pieces
    monkeypatch.setattr(history, "PAIRS", 25)
    monkeypatch.setattr(history, "STEPS", seed % 3)
    payments = drawn(seed)
    for part in range(3):
        write(tmp_path, f"{part}.parquet", payments[part::3])
    check(tmp_path, VIEW, payments, seed)
    check(tmp_path, view(ttl="12 hours", features={
        name: replace(feature, window=None) for name, feature in VIEW.features.items()
    }), payments, seed)  # fmt: skip


def test_a_lag_in_place_of_a_known_time(tmp_path: Path) -> None:
    payments = drawn(1)
    write(tmp_path, "a.parquet", payments)
    check(tmp_path, view(table={"known_time": None, "lag": "7 hours"}), payments, 1)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_the_clocks_of_a_zone(tmp_path: Path, zone: str) -> None:
    """Text and Parquet are read alike, also where a clock is set forward."""
    payments = drawn(2)
    there = [
        row._replace(paid_at=local(row.paid_at, zone), booked_at=local(row.booked_at, zone))
        for row in payments
    ]
    write(tmp_path, "a.parquet", there[::2])
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in there[1::2]]
    write_csv(tmp_path, "b.csv", lines)
    source = replace(TABLE.source, format="csv")
    check(tmp_path, view(table={"time_zone": zone, "source": source}), payments, 2)


def test_the_same_bytes_on_one_thread_and_on_eight(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    payments = [
        Payment(
            int(rng.integers(0, 50)),
            START + timedelta(seconds=int(rng.integers(0, 300_000))),
            START + timedelta(seconds=int(rng.integers(0, 400_000))),
            number,
            float(rng.normal(0, 1e6) ** 3),
            "app",
        )
        for number in range(20_000)
    ]
    write(tmp_path, "a.parquet", payments)
    customers = rng.integers(0, 50, 3000)
    moments = START + np.array([timedelta(minutes=int(m)) for m in rng.integers(0, 6000, 3000)])
    question = asked(customers.tolist(), [str(at) for at in moments])
    tables = []
    for threads in (1, 8):
        with Join(tmp_path, threads) as opened:
            tables.append(opened.values_at(VIEW, *question))
    assert tables[0].equals(tables[1])
    alone = values_at(VIEW, question[0].slice(7, 1), question[1][7:8], tmp_path)
    assert said(alone) == said(tables[0].slice(7, 1))  # whatever else was asked


def test_two_keys_and_texts(tmp_path: Path) -> None:
    columns = {
        "shop": Column("text"),
        "product": Column("integer"),
        "at": Column("datetime"),
        "price": Column("number"),
    }
    table = Table("prices", ["shop", "product"], "at", columns, lag="0 days")
    prices = View(
        "prices", table, {"shop": "shop", "product": "p"}, "30 days",
        {"price": Feature("number", latest="price")},
    )  # fmt: skip
    path = tmp_path / table.folder / "a.csv"
    path.parent.mkdir(parents=True)
    path.write_text("shop,product,at,price\nx,1,2026-01-01,5\n x ,2,2026-01-01,6\ny,1,2026-01-01,7")
    table = replace(table, source=replace(table.source, format="csv"))
    entities = pa.table({"shop": ["y", "x", "x", "z", None], "product": [1, 2, 1, 1, 1]})
    at = np.full(5, "2026-01-02", "M8[us]")
    values = values_at(replace(prices, table=table), entities, at, tmp_path)
    assert values["price"].to_pylist() == [7.0, 6.0, 5.0, None, None]


def test_a_moment_includes_what_is_known_at_it_and_not_what_is_as_old_as_the_window(
    tmp_path: Path,
) -> None:
    write(tmp_path, "a.parquet", ONE)
    moments = ["2026-01-02T23:59:59.999999", "2026-01-03", "2026-01-04T23:59:59", "2026-01-05"]
    values = values_at(VIEW, *asked([1] * 4, moments), root=tmp_path)
    assert values["last_amount"].to_pylist() == [None, 5.0, 5.0, None]
    assert values["spent"].to_pylist() == [0.0, 5.0, 5.0, 0.0]


def test_rows_of_one_time_that_nothing_orders_are_refused(tmp_path: Path) -> None:
    twice = [*ONE, ONE[0]._replace(amount=6.0)]
    write(tmp_path, "a.parquet", twice)
    with pytest.raises(DataError, match=r"payments .* customer 1 at 2026-01-02.*`tie_break`"):
        values_at(VIEW, *asked([1], ["2026-01-04"]), root=tmp_path)
    write(tmp_path, "a.parquet", [*ONE, ONE[0]._replace(number=2, amount=6.0)])  # the remedy
    values = values_at(VIEW, *asked([1], ["2026-01-04"]), root=tmp_path)
    assert values["last_amount"].to_pylist() == [6.0]


def test_sums_need_no_tie_break(tmp_path: Path) -> None:
    sums = {"spent": Feature("number", sql="sum(amount)")}
    one = view(features=sums, table={"tie_break": []})
    write(tmp_path, "a.parquet", [*ONE, ONE[0]._replace(amount=6.0)])
    assert values_at(one, *asked([1], ["2026-01-04"]), root=tmp_path)["spent"].to_pylist() == [11]


def test_rows_are_counted_where_no_column_is_read(tmp_path: Path) -> None:
    one = view(features={"n": Feature("integer", sql="count(*)")})
    write(tmp_path, "a.parquet", ONE)
    assert values_at(one, *asked([1], ["2026-01-04"]), root=tmp_path)["n"].to_pylist() == [1]


def test_a_cell_of_another_type_is_refused_with_its_row(tmp_path: Path) -> None:
    lines = ["1,2026-01-02,2026-01-03,1,5,app", "1,2026-01-02,2026-01-03,2,much,app"]
    write_csv(tmp_path, "a.csv", lines)
    one = view(table={"source": replace(TABLE.source, format="csv")})
    with pytest.raises(DataError, match=r"conf/tables/payments.yaml\n.*row 2.*amount.*'much'"):
        values_at(one, *asked([1], ["2026-01-04"]), root=tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"channel": "fax"}, "is not one of app, web, shop"),
        ({"amount": float("inf")}, "is not a number"),
        ({"number": None}, "is missing, and the column is not nullable"),
    ],
)
def test_parquet_is_held_to_the_declaration(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    write(tmp_path, "a.parquet", [ONE[0]._replace(**change)])
    with pytest.raises(DataError, match=told):
        values_at(VIEW, *asked([1], ["2026-01-04"]), root=tmp_path)


def test_a_column_too_many_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.parquet", ONE)
    columns = {name: column for name, column in TABLE.columns.items() if name != "channel"}
    one = view(table={"columns": columns}, features={"n": Feature("integer", sql="count(*)")})
    with pytest.raises(DataError, match="undeclared channel"):
        values_at(one, *asked([1], ["2026-01-04"]), root=tmp_path)


def test_keys_of_another_type_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.parquet", ONE)
    with pytest.raises(ConfigError, match="customer_id is string and customer of payments is int"):
        values_at(VIEW, pa.table({"customer": ["x"]}), np.array(["2026-01-04"], "M8[us]"), tmp_path)


def test_a_table_without_files_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mlops ingest --table payments"):
        values_at(VIEW, *asked([1], ["2026-01-04"]), root=tmp_path)


def test_every_entity_that_is_known(tmp_path: Path) -> None:
    write(tmp_path, "a.parquet", [*ONE, ONE[0]._replace(customer=2, number=2)])
    write(tmp_path, "b.parquet", [ONE[0]._replace(customer=3, booked_at=datetime(2026, 1, 5))])
    with Join(tmp_path) as opened:
        known = opened.entities(VIEW, np.datetime64("2026-01-04", "us"))
    assert known.to_pydict() == {"customer": [1, 2]}


def test_rows_that_tie_show_no_key_of_a_person(tmp_path: Path) -> None:
    write(tmp_path, "a.parquet", [ONE[0], ONE[0]._replace(amount=6.0)])
    for pii, shown in ((False, "rows of customer 1 at"), (True, r"rows of customer \(not shown\)")):
        columns = {**TABLE.columns, "customer": Column("integer", pii=pii)}
        one = view(table={"columns": columns, "tie_break": []})
        with pytest.raises(DataError, match=shown):
            values_at(one, *asked([1], ["2026-01-04"]), root=tmp_path)
