"""What `mlops features check` finds, one planted fault at a time, and what it leaves alone."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from payments import CHANNELS, Payment, write

from mlops.views.checks import check

NOW = np.datetime64("2026-01-10", "us")
PAID = datetime(2026, 1, 5)
ROWS = [
    Payment(1, PAID + timedelta(hours=n), PAID + timedelta(hours=n), n, 1.0, "app")
    for n in range(4)
]
TABLE = {
    "keys": ["customer"],
    "event_time": "paid_at",
    "known_time": "booked_at",
    "tie_break": ["number"],
    "columns": {
        "customer": {"type": "integer"},
        "paid_at": {"type": "datetime"},
        "booked_at": {"type": "datetime"},
        "number": {"type": "integer"},
        "amount": {"type": "number", "nullable": True},
        "channel": {"type": "category", "categories": CHANNELS},
    },
}
VIEW = {
    "table": "payments",
    "entity": {"customer": "customer_id"},
    "ttl": "30 days",
    "features": {"spent": {"type": "number", "sql": "sum(amount)"}},
}


def found(root: Path, rows: list[Payment], view: dict[str, Any] | None = None, **table: Any) -> str:
    for part, content in (
        ("tables/payments", TABLE | table),
        ("feature_views/paying", view or VIEW),
    ):
        path = root / f"conf/{part}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
    write(root, "a.parquet", rows)
    return "\n".join(map(str, check(root / "conf", root, NOW)))


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    assert found(tmp_path, ROWS, {**VIEW, "freshness": "7 days"}) == ""


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([*ROWS, ROWS[0]], "1 rows repeat another in every column"),
        ([*ROWS, ROWS[0]._replace(amount=2.0)], "1 rows happened to the same entity"),
        ([ROWS[0]._replace(booked_at=PAID - timedelta(days=1))], "1 rows were known before"),
        ([ROWS[0]._replace(paid_at=datetime(2027, 1, 1))], "1 rows have yet to happen"),
        ([ROWS[0]._replace(customer=None)], "customer: the cell is missing"),  # type: ignore[arg-type]
    ],
)
def test_rows_that_a_join_would_misread(tmp_path: Path, rows: list[Payment], told: str) -> None:
    assert told in found(tmp_path, rows)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"features": {"f": {"type": "number", "sql": "sum(price)"}}}, "price is no column"),
        ({"features": {"f": {"type": "number", "sql": "sum("}}}, "it is no expression"),
        ({"features": {"f": {"type": "number", "latest": "price"}}}, "reads 'price', no column"),
        (
            {"features": {"f": {"type": "number", "function": "no", "columns": ["amount"]}}},
            "names the function 'no'",
        ),
        ({"ttl": "a month"}, "is no span of time"),
        ({"table": "refunds"}, "refunds.yaml is missing: write it, or choose from payments"),
        ({"freshness": "3 days"}, "nothing is known of payments since 2026-01-05T03:00:00"),
    ],
)
def test_definitions(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    assert told in found(tmp_path, ROWS, {**VIEW, **change})


def test_a_table_without_files(tmp_path: Path) -> None:
    found(tmp_path, ROWS)
    (tmp_path / "data/tables/payments/a.parquet").unlink()
    (one,) = check(tmp_path / "conf", tmp_path, NOW)
    assert "mlops ingest --table payments" in str(one)


@pytest.mark.parametrize("fault", ["lateness", "key"])
def test_declarations_of_a_table(tmp_path: Path, fault: str) -> None:
    if fault == "key":
        columns = {**TABLE["columns"], "customer": {"type": "integer", "nullable": True}}  # type: ignore[dict-item]
        assert "'customer' is never missing" in found(tmp_path, ROWS, columns=columns)
        return
    write(tmp_path, "date=2026-01-09/b.parquet", [ROWS[0]._replace(number=9)])
    assert "more than `lateness`, 0 days, before it" in found(tmp_path, ROWS)
    assert found(tmp_path, ROWS, lateness="5 days") == ""
