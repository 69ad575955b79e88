"""Logged requests computed again: what a server used is what the views said then, to the bit."""

import random
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from payments import CHANNELS, TABLE, VIEW, Payment, view, write

from mlops.config.views import Feature, View
from mlops.contract import Column, Contract
from mlops.views.join import values_at
from mlops.views.online import key, key_text
from mlops.views.replay import Replayed, ReplayError, replay

START = datetime(2026, 3, 20)
CUSTOMERS, ROWS = 40, 3000
DEFAULT = Feature("category", latest="channel", categories=CHANNELS, window="1 day", default="app")
CENTS = Feature("number", sql="sum(amount) * 100", default=0.0)


def contract(pii: bool = False, hidden: bool = False) -> Contract:
    features = {
        name: Column(one.type, nullable=True, categories=one.categories, view=VIEW.name)
        for name, one in VIEW.features.items()
    }
    if hidden:
        features["spent"] = replace(features["spent"], pii=True)
    columns = {"customer_id": Column("integer", role="id", pii=pii), **features}
    return Contract("loans", "binary", {**columns, "bad": Column("boolean", role="target")})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with ten days of payments, of which some are booked late."""
    draw, root = random.Random(5), tmp_path_factory.mktemp("shop")
    payments = []
    for number in range(2000):
        paid = START + timedelta(minutes=draw.randrange(14_400))
        booked = paid + timedelta(minutes=draw.choice([0, 0, 30, 2000]))
        amount = draw.choice([None, round(draw.uniform(1, 90), 2)])
        customer = draw.randrange(CUSTOMERS)
        payments.append(Payment(customer, paid, booked, number, amount, draw.choice(CHANNELS)))
    write(root, "all.parquet", payments)
    return root


def hashed(entity: bytes) -> str:
    return sha256(b"secret" + entity).hexdigest()[:16]


def log(
    root: Path, folder: Path, served: View, pii: bool = False, rows: int = ROWS
) -> tuple[Path, int]:
    """Write what a server logs that has the values of `served`; some rows used none of them."""
    random_ = np.random.default_rng(8)
    whose = random_.integers(0, CUSTOMERS + 5, rows)
    moments = np.datetime64(START, "us") + random_.integers(0, 11 * 1440, rows) * 60_000_000
    used = values_at(served, pa.table({"customer": whose}), moments, root).drop_columns(
        ["known_time"]
    )
    stale = random_.random(rows) < 0.1
    at = pa.array(moments, mask=stale)
    told = [hashed(key((int(n),))) if pii else key_text(key((int(n),))) for n in whose]
    table = pa.table(
        {
            "request_id": [f"r{n}" for n in range(rows)],
            "row": pa.array([0] * rows, pa.int32()),
            "features_as_of": pa.StructArray.from_arrays([at], names=[VIEW.name]),
            "features_of": pa.StructArray.from_arrays([pa.array(told)], names=[VIEW.name]),
            **{name: used.column(name) for name in used.column_names},
        }
    )
    path = folder / "part-0.parquet"
    pq.write_table(table, path)
    return path, int((~stale).sum())


def replayed(root: Path, path: Path, **changes: bool) -> Replayed:
    of = contract(**changes)
    return replay([path], of, {VIEW.name: VIEW}, hashed, root)


@pytest.mark.parametrize("pii", [False, True])
def test_an_honest_server_differs_in_no_bit(shop: Path, tmp_path: Path, pii: bool) -> None:
    path, used = log(shop, tmp_path, VIEW, pii)
    found = replayed(shop, path, pii=pii)
    assert {name: (one.rows, one.differing) for name, one in found.features.items()} == {
        name: (used, 0) for name in VIEW.features
    }
    assert (found.differing, found.unread) == ([], 0)


@pytest.mark.parametrize(
    ("served", "named"),
    [
        (view(table={"time_zone": "Asia/Tokyo"}), {"newest", "spent", "last_amount"}),
        (view(table={"known_time": None, "lag": "0 days"}), {"last_amount", "spent", "by_app"}),
        (replace(VIEW, features={**VIEW.features, "last_channel": DEFAULT}), {"last_channel"}),
        (replace(VIEW, features={**VIEW.features, "spent": CENTS}), {"spent"}),
    ],
    ids=["time zone", "lateness", "fill value", "unit"],
)
def test_another_meaning_is_named(
    shop: Path, tmp_path: Path, served: View, named: set[str]
) -> None:
    path, _ = log(shop, tmp_path, served)
    found = replayed(shop, path)
    assert named <= set(found.differing)
    if served.table == TABLE:
        assert set(found.differing) == named
    one = found.features[min(named)]
    assert one.example.startswith("request r")
    assert " was used, " in one.example


def test_one_bit_is_found(shop: Path, tmp_path: Path) -> None:
    path, _ = log(shop, tmp_path, VIEW)
    table = pq.read_table(path)
    spent = table.column("spent").to_numpy().copy()
    place = int(np.flatnonzero(table.column("features_as_of").combine_chunks().field(0))[7])
    spent[place] = np.nextafter(spent[place], np.inf)
    at = table.column_names.index("spent")
    pq.write_table(table.set_column(at, "spent", pa.array(spent, from_pandas=True)), path)
    found = replayed(shop, path)
    assert found.differing == ["spent"]
    assert found.features["spent"].differing == 1
    assert f"request r{place} row 0" in found.features["spent"].example


def test_whose_secret_is_not_known_is_counted_and_not_compared(shop: Path, tmp_path: Path) -> None:
    path, used = log(shop, tmp_path, VIEW, pii=True, rows=50)
    found = replay([path], contract(pii=True), {VIEW.name: VIEW}, None, shop)
    assert (found.unread, found.features) == (used, {})


def test_personal_data_are_not_in_the_log(shop: Path, tmp_path: Path) -> None:
    path, _ = log(shop, tmp_path, VIEW, rows=50)
    found = replayed(shop, path, hidden=True)
    assert found.unrecorded == ["spent"]
    assert "spent" not in found.features


def test_a_log_without_look_ups_is_refused(shop: Path, tmp_path: Path) -> None:
    path = tmp_path / "part-0.parquet"
    pq.write_table(pa.table({"request_id": ["r"], "row": [0]}), path)
    with pytest.raises(ReplayError, match="no logged request looked a feature up"):
        replayed(shop, path)
