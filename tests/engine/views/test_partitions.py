"""Which files label rows depend on, and the parts of prepared rows that a file computes again."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from payments import TABLE, VIEW, Payment, asked, view, write

from mlops.config.settings import ConfigError
from mlops.config.views import Feature
from mlops.contract import Column, Contract
from mlops.data.errors import DataError
from mlops.data.joins import Part
from mlops.views.join import values_at
from mlops.views.joining import ViewJoins
from mlops.views.partitions import needed, partitions

CONTRACT = Contract(
    name="leaving",
    task="binary",
    columns={
        "customer_id": Column("integer", role="id"),
        "at": Column("datetime", role="time"),
        "n": Column("number"),
        "left": Column("boolean", role="target"),
    },
)


def on(day: int, **changes: Any) -> Payment:
    paid = datetime(2026, 1, day, 12)
    return Payment(1, paid, paid, day, float(day), "app")._replace(**changes)


def days(root: Path, *given: int) -> None:
    for day in given:
        write(root, f"date=2026-01-{day:02}/part.parquet", [on(day)])


def at(text: str) -> np.datetime64:
    return np.datetime64(text, "us")


def chosen(root: Path, first: str, last: str, **changes: Any) -> list[int]:
    one = view(**changes)
    files = needed(partitions(one.table, root), one, at(first), at(last))
    return [file.day.day if file.day else 0 for file in files]


def test_files_within_window_and_lateness(tmp_path: Path) -> None:
    days(tmp_path, *range(1, 11))
    write(tmp_path, "older.parquet", [])
    assert chosen(tmp_path, "2026-01-06", "2026-01-06T10:00") == [3, 4, 5, 6, 0]
    late = {"lateness": "2 days"}
    assert chosen(tmp_path, "2026-01-06", "2026-01-06", table=late) == [3, 4, 5, 6, 7, 8, 0]


def test_days_are_those_of_the_zone(tmp_path: Path) -> None:
    days(tmp_path, 5, 6)
    zone = {"time_zone": "America/New_York"}
    assert chosen(tmp_path, "2026-01-06", "2026-01-06T04:59", table=zone) == [5]
    assert chosen(tmp_path, "2026-01-06", "2026-01-06T05:00", table=zone) == [5, 6]


@pytest.mark.parametrize(
    "payment",
    [
        on(5, paid_at=datetime(2026, 1, 6), booked_at=datetime(2026, 1, 6)),
        on(5, paid_at=datetime(2026, 1, 1), booked_at=datetime(2026, 1, 3)),
    ],
)
def test_a_row_in_the_folder_of_another_day_is_refused(tmp_path: Path, payment: Payment) -> None:
    write(tmp_path, "date=2026-01-05/part.parquet", [payment])
    question = asked([1], ["2026-01-05T20:00"])
    with pytest.raises(DataError, match=r"date=2026-01-05/part.parquet .*longer `lateness`"):
        values_at(VIEW, *question, root=tmp_path)
    if payment.paid_at.day == 1:  # one of the remedies
        values_at(view(table={"lateness": "3 days"}), *question, root=tmp_path)


def test_a_folder_that_names_no_day_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "date=2026-02-30/part.parquet", [])
    with pytest.raises(DataError, match="date=2026-01-31"):
        partitions(TABLE, tmp_path)


def keys(root: Path, **changes: Any) -> list[str]:
    """Return the key of the part of each of ten days."""
    with ViewJoins(CONTRACT, {"paying": view(**changes)}, root) as joins:
        moments = [at(f"2026-01-{day:02}") for day in range(1, 11)]
        return [joins.key(Part("", "", one, one + np.timedelta64(23, "h"))) for one in moments]


def changed(one: list[str], other: list[str]) -> list[int]:
    return [day for day, pair in enumerate(zip(one, other, strict=True), 1) if pair[0] != pair[1]]


def test_a_late_file_changes_the_keys_within_its_window_alone(tmp_path: Path) -> None:
    days(tmp_path, *range(1, 11))
    before = keys(tmp_path)
    write(tmp_path, "date=2026-01-04/late.parquet", [on(4, number=99)])
    assert changed(before, keys(tmp_path)) == [4, 5, 6, 7]  # three days of ttl, to the day's end
    (tmp_path / TABLE.folder / "date=2026-01-04/late.parquet").unlink()
    assert keys(tmp_path) == before


def test_what_a_view_means_is_in_the_key_and_what_is_said_of_it_is_not(tmp_path: Path) -> None:
    days(tmp_path, 1, 2)
    before = keys(tmp_path)
    assert keys(tmp_path, description="Payments", owner="billing", online=True) == before
    assert changed(before, keys(tmp_path, ttl="4 days")) == list(range(1, 11))
    other = {**VIEW.features, "spent": Feature("number", sql="sum(amount) + 0")}
    assert changed(before, keys(tmp_path, features=other)) == list(range(1, 11))
    assert changed(before, keys(tmp_path, table={"lag": "0 days", "known_time": None}))


def test_values_do_not_depend_on_files_that_are_not_needed(tmp_path: Path) -> None:
    days(tmp_path, *range(1, 11))
    question = asked([1], ["2026-01-06T13:00"])
    one = values_at(VIEW, *question, root=tmp_path)
    for day in (1, 2, 9):
        for file in (tmp_path / TABLE.folder / f"date=2026-01-{day:02}").iterdir():
            file.unlink()
    assert one.equals(values_at(VIEW, *question, root=tmp_path))


def test_rows_without_a_time_have_no_past(tmp_path: Path) -> None:
    columns = {name: column for name, column in CONTRACT.columns.items() if name != "at"}
    with pytest.raises(ConfigError, match="no column of role time"):
        ViewJoins(replace(CONTRACT, columns=columns), {"paying": VIEW}, tmp_path)


def test_a_part_gets_its_columns_and_the_bundle_its_files(tmp_path: Path) -> None:
    import pyarrow as pa

    days(tmp_path, 5)
    with ViewJoins(CONTRACT, {"paying": VIEW}, tmp_path) as joins:
        assert joins.reads == ["customer_id", "at"]
        moments = pa.array([at("2026-01-06"), None], pa.timestamp("us"))
        rows = pa.table({"customer_id": [1, 1], "at": moments})
        found = joins.columns(rows)
        assert list(found) == list(VIEW.features)
        assert found["spent"].to_pylist() == [5.0, 0.0]
        (file,) = joins.files
        assert file["name"] == "data/tables/payments/date=2026-01-05/part.parquet"
