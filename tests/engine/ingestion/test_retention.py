"""What is older than its declaration lets it be goes, is said, and nothing else goes."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from mlops.data.errors import DataError
from mlops.ingestion.ingest import ingest
from mlops.ingestion.outcome import Ingested
from mlops.ingestion.retention import first_kept

from .conftest import KEYED, Shop, order

NOW = datetime(2026, 1, 4, 12, tzinfo=UTC)
DAYS = ["2026-01-01", "2026-01-02", "2026-01-03"]


def run(shop: Shop, retention: str = "2 days", *window: Any, **asked: Any) -> Ingested:
    source = {name: asked.pop(name) for name in ("partition", "origin") if name in asked}
    dataset = replace(shop.table(**source), retention=retention)
    return ingest(dataset, *window, **{"now": NOW, **asked})


def test_a_day_goes_when_its_beginning_is_too_old(shop: Shop) -> None:
    assert first_kept(replace(shop.table(), retention="2 days"), NOW) == date(2026, 1, 3)
    tokyo = replace(shop.table(), retention="2 days", time_zone="Asia/Tokyo")
    assert first_kept(tokyo, NOW + timedelta(hours=3)) == date(2026, 1, 3)  # midnight there
    assert first_kept(tokyo, NOW + timedelta(hours=3, seconds=1)) == date(2026, 1, 4)
    assert first_kept(shop.table(), NOW) is None


def test_partitions_that_are_too_old_go_and_are_named(shop: Shop) -> None:
    shop.ingest()
    before = shop.state()
    done = run(shop)  # asks the origin for the newest day alone
    assert done.expired == done.removed == DAYS[:2]
    assert list(shop.parts()) == DAYS[2:]
    assert {n: one for n, one in before.items() if DAYS[2] in n} == shop.state()
    (note,) = done.notes()
    assert note == (
        "2 partitions are older than `retention` of conf/tables/orders.yaml, 2 days, and were "
        "removed: 2026-01-01, 2026-01-02"
    )
    again = run(shop, "2 days", date(2026, 1, 1))
    assert (again.changed, again.expired, again.too_old) == (False, [], 8)
    assert "8 rows of the answer are older" in next(again.notes())


def test_nothing_that_is_declared_keeps_all(shop: Shop) -> None:
    shop.ingest()
    before = shop.state()
    assert not run(shop, "").changed
    done = run(shop, "as long as the contract lasts")
    assert "is no span of time like `365 days`" in next(done.notes())
    assert shop.state() == before


def test_a_dry_run_says_it_and_changes_nothing(shop: Shop) -> None:
    shop.ingest()
    shop.sell([order(n, f"2026-01-0{1 + n % 4}", amount=n / 4) for n in range(16)])
    before = shop.state()
    done = run(shop, dry=True)
    assert str(done).startswith("would be: ")
    assert (done.written, done.expired) == ([DAYS[2], "2026-01-04"], DAYS[:2])
    assert "would be removed: 2026-01-01" in next(done.notes())
    assert shop.state() == before


def test_a_row_that_moved_to_a_day_that_is_gone_is_gone(shop: Shop) -> None:
    shop.ingest()
    shop.sell([order(2, "2026-01-01", "2026-02-01 00:00:00")])
    run(shop, "2 days", date(2026, 1, 3))
    assert 2 not in shop.amounts()
    assert list(shop.parts()) == DAYS[2:]


def test_not_everything_goes(shop: Shop) -> None:
    """A clock that is wrong would empty the table."""
    shop.ingest()
    before = shop.state()
    with pytest.raises(DataError, match="check the clock"):
        run(shop, now=NOW + timedelta(days=9000))
    assert shop.state() == before


def test_rows_of_one_file(shop: Shop) -> None:
    done = run(shop, partition=None)
    assert (done.rows, done.too_old) == (4, 8)
    assert len(pd.read_parquet(shop.folder / "ingested.parquet")) == 4
    before = shop.state()
    assert run(shop, dry=True, partition=None).rows == 4
    with pytest.raises(DataError, match="no rows that may be kept"):
        run(shop, now=NOW + timedelta(days=9), partition=None)
    assert shop.state() == before
    assert KEYED["by"] == shop.table().time
