"""A shop whose orders come from elsewhere, in a folder of its own."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import chdir, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from mlops.config.views import Table
from mlops.ingestion.dataset import Dataset, of_table
from mlops.ingestion.ingest import ingest
from mlops.ingestion.outcome import Ingested

COLUMNS: dict[str, Any] = {
    "order_id": {"type": "integer", "role": "id"},
    "customer": {"type": "text", "role": "id"},
    "ordered_at": {"type": "datetime", "role": "time"},
    "updated_at": {"type": "datetime"},
    "amount": {"type": "number", "nullable": True},
    "paid": {"type": "boolean"},
    "channel": {"type": "category", "categories": ["app", "web"]},
}
KEYED: dict[str, Any] = {
    "by": "ordered_at",
    "key": ["order_id"],
    "version": "updated_at",
    "deleted": "is_deleted",
}
QUERY = "SELECT * FROM orders WHERE updated_at >= :since AND updated_at < :until"
Row = tuple[int, str, str | None, str, float | None, int, str, int]


def order(
    number: int,
    day: str | None,
    version: str = "",
    amount: float | None = 1.5,
    deleted: int = 0,
) -> Row:
    """Return an order of a day, changed at a version (at once, by default)."""
    at = day and f"{day} 10:00:00"
    return (number, f"c{number % 7}", at, version or str(at), amount, 1, "app", deleted)


@dataclass
class Shop:
    """A database of orders, and the table that they are ingested to."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "data/tables/orders"

    def sell(self, rows: Sequence[Row]) -> None:
        """Have the database hold these orders."""
        with closing(sqlite3.connect(self.root / "shop.db")) as base, base:
            base.execute("DROP TABLE IF EXISTS orders")
            names = ", ".join((*COLUMNS, "is_deleted"))
            base.execute(f"CREATE TABLE orders ({names})")
            base.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def table(self, **source: Any) -> Dataset:
        """Return the declared table, by default with the database as its origin."""
        whole = {
            "origin": {"kind": "sql", "url": f"sqlite:///{self.root}/shop.db", "query": QUERY},
            "partition": KEYED,
            **source,
        }
        declared = {
            "name": "orders",
            "keys": ["customer"],
            "event_time": "ordered_at",
            "known_time": "updated_at",
            "columns": COLUMNS,
            "source": {name: part for name, part in whole.items() if part is not None},
        }
        return of_table(msgspec.convert(declared, Table))

    def ingest(self, *window: Any, **source: Any) -> Ingested:
        """Ingest the table."""
        return ingest(self.table(**source), *window)

    def parts(self) -> dict[str, bytes]:
        """Return the content of every partition by its day."""
        return {
            path.parent.name.removeprefix("date="): path.read_bytes()
            for path in sorted(self.folder.glob("date=*/part.parquet"))
        }

    def rows(self) -> pd.DataFrame:
        """Return all rows."""
        frames = [pd.read_parquet(path) for path in sorted(self.folder.rglob("part.parquet"))]
        return pd.concat(frames, ignore_index=True)

    def amounts(self) -> dict[int, float]:
        """Return each order's amount."""
        return dict(zip(self.rows()["order_id"], self.rows()["amount"], strict=True))

    def state(self) -> dict[str, tuple[str, int]]:
        """Return every file with its digest and the time at which it was written."""
        return {
            path.relative_to(self.folder).as_posix(): (
                hashlib.sha256(path.read_bytes()).hexdigest(),
                path.stat().st_mtime_ns,
            )
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop with orders of three days."""
    with chdir(tmp_path):
        made = Shop(tmp_path)
        made.sell([order(n, f"2026-01-0{1 + n % 3}", amount=n / 4) for n in range(12)])
        yield made
