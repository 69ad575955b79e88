"""A table of payments, views of it, and a plain reading of what they mean."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace

from mlops.config.views import Feature, Table, View, seconds
from mlops.contract import Column

CHANNELS = ["app", "web", "shop"]
COLUMNS = {
    "customer": Column("integer"),
    "paid_at": Column("datetime"),
    "booked_at": Column("datetime"),
    "number": Column("integer"),
    "amount": Column("number", nullable=True),
    "channel": Column("category", categories=CHANNELS),
}
TABLE = Table(
    name="payments",
    keys=["customer"],
    event_time="paid_at",
    known_time="booked_at",
    tie_break=["number"],
    columns=COLUMNS,
)
VIEW = View(
    name="paying",
    table=TABLE,
    entity={"customer": "customer_id"},
    ttl="3 days",
    features={
        "last_amount": Feature("number", latest="amount"),
        "last_channel": Feature(
            "category", latest="channel", categories=CHANNELS, window="1 day", default="shop"
        ),
        "spent": Feature("number", sql="sum(amount)", default=0.0),
        "by_app": Feature("integer", sql="count(*) filter (where channel = 'app')", default=0.0),
        "mean": Feature("number", sql="sum(amount) / nullif(count(amount), 0)", window="12 hours"),
        "newest": Feature("datetime", sql="max(paid_at)"),
    },
)


class Payment(NamedTuple):
    """One row, its moments in UTC without a zone."""

    customer: int
    paid_at: datetime
    booked_at: datetime
    number: int
    amount: float | None
    channel: str


def view(**changes: Any) -> View:
    """Return the view with a table or attributes of its own."""
    table = changes.pop("table", {})
    return replace(VIEW, table=replace(TABLE, **table), **changes)


def write(root: Path, name: str, payments: Iterable[Payment], table: Table = TABLE) -> Path:
    """Write payments as Parquet."""
    path = root / table.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(zip(*payments, strict=True)) or [[]] * len(COLUMNS)
    kinds = [pa.int64(), pa.timestamp("us"), pa.timestamp("us"), pa.int64(), pa.float64(), None]
    arrays = [pa.array(list(c), kind) for c, kind in zip(columns, kinds, strict=True)]
    pq.write_table(pa.table(dict(zip(COLUMNS, arrays, strict=True))), path)
    return path


def write_csv(root: Path, name: str, lines: Sequence[str], table: Table = TABLE) -> Path:
    """Write lines below a header."""
    path = root / table.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    return path


def asked(customers: Sequence[int | None], moments: Sequence[str]) -> tuple[pa.Table, np.ndarray]:
    """Return entities and moments as a join takes them."""
    return pa.table({"customer": pa.array(customers, pa.int64())}), np.array(moments, "M8[us]")


def expected(
    view: View, payments: Sequence[Payment], customer: int | None, at: datetime
) -> Mapping[str, Any]:
    """Return what the view should say, row by row in plain Python."""
    lag = timedelta(seconds=seconds(view.table.lag or "0 days"))
    used: list[datetime] = []
    said: dict[str, Any] = {}
    for name, feature in view.features.items():
        window = timedelta(seconds=seconds(feature.window or view.ttl))
        rows = [
            (row, max(row.paid_at, row.booked_at) if view.table.known_time else row.paid_at + lag)
            for row in payments
            if row.customer == customer and at - window < row.paid_at
        ]
        rows = sorted(
            (pair for pair in rows if pair[1] <= at), key=lambda p: (p[0].paid_at, p[0].number)
        )
        if not rows:
            said[name] = feature.default
            continue
        used += [rows[-1][1]] if feature.latest else [known for _, known in rows]
        said[name] = _value(name, [row for row, _ in rows])
    return {**said, "known_time": max(used, default=None)}


def _value(name: str, rows: list[Payment]) -> Any:
    amounts = [row.amount for row in rows if row.amount is not None]
    total = 0.0
    for amount in amounts:  # in order, which `sum` of Python 3.12 is not
        total += amount
    return {
        "last_amount": rows[-1].amount,
        "last_channel": rows[-1].channel,
        "spent": total if amounts else None,
        "by_app": float(sum(row.channel == "app" for row in rows)),
        "mean": total / len(amounts) if amounts else None,
        "newest": max(row.paid_at for row in rows),
    }[name]


def local(moment: datetime, zone: str) -> datetime:
    """Return what a clock of the zone reads."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
