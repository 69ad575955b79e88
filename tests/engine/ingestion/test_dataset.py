"""What can be ingested, and partitions that make no sense."""

import sys
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mlops.contract import Contract
from mlops.data.errors import DataError
from mlops.ingestion.dataset import of_contract, of_table, tables

from .conftest import COLUMNS, KEYED, Shop

ORIGIN = {"kind": "files", "glob": "*.csv"}


def contract(partition: dict[str, Any], **columns: Any) -> Contract:
    declared = {
        "name": "churn",
        "task": "binary",
        "columns": {
            "at": {"type": "datetime", "role": "time"},
            "size": {"type": "number"},
            "past": {"type": "number", "nullable": True, "view": "orders_of"},
            "left": {"type": "boolean", "role": "target"},
            **columns,
        },
        "source": {"origin": ORIGIN, "partition": partition},
    }
    return msgspec.convert(declared, Contract)


def test_labelled_rows_have_no_columns_of_views() -> None:
    made = of_contract(contract({"by": "at"}))
    assert (made.folder, list(made.columns)) == (Path("data/raw"), ["at", "size", "left"])
    assert made.time_zone == "UTC"


@pytest.mark.parametrize(
    ("partition", "said"),
    [
        ({"by": "day"}, "`partition` of conf/data/churn.yaml names 'day', which is no column"),
        ({"by": "at", "key": ["past"]}, "names 'past', which is no column"),
        ({"by": "size"}, "is 'size', which is no datetime"),
        ({"by": "at", "key": ["size"], "version": "left"}, "'left', whose values have no order"),
    ],
)
def test_a_partition_by_what_is_none_is_refused(partition: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        of_contract(contract(partition))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": []}, "name `key`"),
        ({"lookback_days": -1}, "0 or more"),
        ({"time_zone": "Mars"}, "'Mars' is no time zone"),
    ],
)
def test_a_partition_that_contradicts_itself_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        contract({**KEYED, "by": "at", **changes})


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No time zones, as in an image that has no database of them."""
    for name in ["tzdata", *(name for name in sys.modules if name.startswith("tzdata."))]:
        monkeypatch.setitem(sys.modules, name, None)
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()


@pytest.mark.usefixtures("bare")
def test_a_server_reads_the_contract_where_no_time_zone_is_known() -> None:
    with pytest.raises(zoneinfo.ZoneInfoNotFoundError):
        zoneinfo.ZoneInfo("Europe/Berlin")
    partition = contract({**KEYED, "by": "at", "time_zone": "Europe/Berlin"}).source.partition
    assert partition is not None
    assert partition.time_zone == "Europe/Berlin"


def test_tables_stand_in_conf(tmp_path: Path, shop: Shop) -> None:
    folder = tmp_path / "conf/tables"
    folder.mkdir(parents=True)
    for name in ("orders", "calls"):
        told = {
            "keys": ["customer"],
            "event_time": "ordered_at",
            "lag": "0 days",
            "columns": COLUMNS,
            "time_zone": "Europe/Berlin",
        }
        (folder / f"{name}.yaml").write_bytes(msgspec.json.encode(told))
    assert [one.name for one in tables(tmp_path / "conf")] == ["calls", "orders"]
    made = of_table(tables(tmp_path / "conf")[1])
    assert (made.folder, made.time_zone) == (Path("data/tables/orders"), "Europe/Berlin")
    assert not made.source.is_fetched
    assert shop.table().key == ["order_id"]
