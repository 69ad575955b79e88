"""What an online store holds is what the join says at that moment, of every entity."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from payments import VIEW, Payment, asked, expected, write

from mlops.config.views import Feature, View
from mlops.serving.online.stores import opened
from mlops.views.join import values_at
from mlops.views.materialise import encoded, materialise
from mlops.views.online import (
    OnlineError,
    Store,
    Values,
    definition,
    key,
    microseconds,
    same_bits,
    table_name,
)

START = datetime(2026, 3, 1)
HOUR = timedelta(hours=1)


def paid(customer: int, after: timedelta, known: timedelta, number: int, sum_: float) -> Payment:
    return Payment(customer, START + after, START + known, number, sum_, "app")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store in a file."""
    return opened(f"sqlite:///{tmp_path}/online.db", write=True)


def utc(after: timedelta) -> datetime:
    return (START + after).replace(tzinfo=UTC)


def held(store: Store, customers: list[int], view: View = VIEW) -> list[object]:
    """Return what the store has of customers: the defaults where it has nothing."""
    values = Values(view)
    found = store.read(table_name(view), [key((one,)) for one in customers])
    return [values.defaults if row is None else values.decode(row[1]) for row in found.rows]


def wanted(payments: list[Payment], customers: list[int], at: datetime) -> list[object]:
    """Return what a plain reading of the declaration says."""
    plain = at.replace(tzinfo=None)
    rows = [expected(VIEW, payments, one, plain) for one in customers]
    kinds = Values(VIEW)
    return [kinds.decode(kinds.encode([row[name] for name in VIEW.features])) for row in rows]


def test_the_store_has_what_was_known_then_and_no_more(tmp_path: Path, store: Store) -> None:
    payments = [
        paid(1, 1 * HOUR, 1 * HOUR, 1, 0.1),
        paid(1, 2 * HOUR, 2 * HOUR, 2, 0.2),
        paid(2, 2 * HOUR, 40 * HOUR, 3, 5.0),  # known late
        paid(3, 3 * HOUR, 3 * HOUR, 4, -0.0),
    ]
    write(tmp_path, "a.parquet", payments)
    at = utc(10 * HOUR)
    done = materialise(VIEW, store, at, tmp_path)
    assert (done.entities, done.written, done.gone) == (2, 2, 0)
    found = held(store, [1, 2, 3])
    assert found == wanted(payments, [1, 2, 3], at)
    for one, other in zip(found, wanted(payments, [1, 2, 3], at), strict=True):
        assert all(map(same_bits, one, other))  # type: ignore[arg-type]
    assert store.tables()[table_name(VIEW)].as_of == microseconds(at)


def test_an_increment_sees_late_rows_and_slid_windows(tmp_path: Path, store: Store) -> None:
    payments = [
        paid(1, 1 * HOUR, 1 * HOUR, 1, 1.0),
        paid(2, 2 * HOUR, 40 * HOUR, 2, 5.0),  # happened before the first run, known after it
        paid(4, 60 * HOUR, 60 * HOUR, 5, 7.0),
        paid(5, 60 * HOUR, 60 * HOUR, 6, 8.0),
    ]
    write(tmp_path, "a.parquet", payments[:2])
    materialise(VIEW, store, utc(10 * HOUR), tmp_path)
    late = paid(1, 5 * HOUR, 6 * HOUR, 3, 3.0)  # arrives days after it was known
    write(tmp_path, "b.parquet", [*payments[2:], late])
    everything, at = [*payments, late], utc(61 * HOUR)
    done = materialise(VIEW, store, at, tmp_path)
    assert (done.entities, done.written) == (4, 4)
    assert held(store, [1, 2, 4, 5]) == wanted(everything, [1, 2, 4, 5], at)
    # Nothing is new half a day later, but what windows have left behind.
    again = materialise(VIEW, store, utc(72.5 * HOUR), tmp_path)
    assert held(store, [1, 2, 4, 5]) == wanted(everything, [1, 2, 4, 5], utc(72.5 * HOUR))
    assert again.written == 2  # the means of 4 and 5, over twelve hours
    # All that is known of customer 1 and 2 is older than the ttl: they are gone.
    gone = materialise(VIEW, store, utc(100 * HOUR), tmp_path)
    assert gone.gone == 2
    assert sorted(store.keys(table_name(VIEW))) == sorted([key((4,)), key((5,))])
    with pytest.raises(OnlineError, match="of a later time, or is just given it"):
        materialise(VIEW, store, utc(99 * HOUR), tmp_path)


def test_a_person_who_is_forgotten_leaves_the_store(tmp_path: Path, store: Store) -> None:
    write(tmp_path, "a.parquet", [paid(n, HOUR, HOUR, n, 1.0) for n in (1, 2)])
    materialise(VIEW, store, utc(2 * HOUR), tmp_path)
    write(tmp_path, "a.parquet", [paid(1, HOUR, HOUR, 1, 1.0)])
    assert materialise(VIEW, store, utc(3 * HOUR), tmp_path).gone == 1
    write(tmp_path, "a.parquet", [])
    assert materialise(VIEW, store, utc(4 * HOUR), tmp_path).gone == 1
    assert not list(store.keys(table_name(VIEW)))


def test_definitions_stand_beside_each_other_until_pruned(tmp_path: Path, store: Store) -> None:
    write(tmp_path, "a.parquet", [paid(1, HOUR, HOUR, 1, 1.0)])
    other = replace(VIEW, ttl="2 days")
    said = replace(VIEW, description="what they spend", owner="sales", stale="refuse")
    assert definition(said) == definition(VIEW) != definition(other)
    materialise(VIEW, store, utc(2 * HOUR), tmp_path)
    materialise(other, store, utc(2 * HOUR), tmp_path)
    assert set(store.tables()) == {table_name(VIEW), table_name(other)}
    done = materialise(other, store, utc(3 * HOUR), tmp_path, prune=True)
    assert done.dropped == (table_name(VIEW),)
    assert set(store.tables()) == {table_name(other)}


@pytest.mark.parametrize(
    "change",
    [
        {"ttl": "2 days"},
        {"table": replace(VIEW.table, time_zone="Europe/Berlin")},
        {"table": replace(VIEW.table, known_time=None, lag="1 hour")},
        {"features": {**VIEW.features, "spent": replace(VIEW.features["spent"], default=1.0)}},
    ],
)
def test_what_changes_values_is_another_definition(change: dict[str, object]) -> None:
    assert definition(replace(VIEW, **change)) != definition(VIEW)


def test_nothing_known_is_said(tmp_path: Path, store: Store) -> None:
    write(tmp_path, "a.parquet", [paid(1, 5 * HOUR, 5 * HOUR, 1, 1.0)])
    with pytest.raises(OnlineError, match="is known at 2026-03-01T01:00:00Z: fetch it with"):
        materialise(VIEW, store, utc(HOUR), tmp_path)
    materialise(VIEW, store, utc(6 * HOUR), tmp_path)  # another --at, as the sentence says


def test_bytes_restore_every_bit(tmp_path: Path) -> None:
    odd = [5e-324, -0.0, 0.1 + 0.2, 1e308, float(2**53), None]
    write(tmp_path, "a.parquet", [paid(n, HOUR, HOUR, n, one) for n, one in enumerate(odd)])  # type: ignore[arg-type]
    table = values_at(VIEW, *asked(range(len(odd)), ["2026-03-01T02"] * len(odd)), root=tmp_path)
    values = Values(VIEW)
    for row, stored in zip(
        table.to_pylist(), encoded(values, table.drop(["known_time"])), strict=True
    ):
        restored = dict(zip(VIEW.features, values.decode(stored), strict=True))
        assert all(
            same_bits(restored[n], row[n]) for n in ("last_amount", "spent", "mean", "newest")
        )
        assert restored["last_channel"] == row["last_channel"]


def test_the_verb_fills_the_store_that_servers_are_told_of(tmp_path: Path) -> None:
    written = {
        "conf/tables/payments.yaml": "keys: [customer]\nevent_time: at\nlag: 0 days\n"
        "columns: {customer: {type: text}, at: {type: datetime}, sum: {type: number}}\n"
        "source: {format: csv}\n",
        "conf/feature_views/spending.yaml": "table: payments\nentity: {customer: customer}\n"
        "ttl: 30 days\nonline: true\nfeatures: {spent: {type: number, sql: sum(sum)}}\n",
        "data/tables/payments/a.csv": "customer,at,sum\nada,2026-01-01,2.5\nada,2026-01-02,1\n",
    }
    for name, content in written.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)

    def run(*given: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["python", "-m", "mlops.cli", "materialise", *given],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    lacking = run()
    assert lacking.returncode == 2
    assert "set MLOPS_ONLINE, or give --store URL" in lacking.stderr
    done = run("--store", "sqlite:///data/online.db", "--at", "2026-01-03")
    assert done.returncode == 0, done.stderr
    assert "spending: 1 entities as of 2026-01-03T00:00:00Z, 1 written, 0 gone" in done.stdout
    store = opened(f"sqlite:///{tmp_path}/data/online.db")
    (table,) = store.tables()
    (row,) = store.read(table, [key(("ada",))]).rows
    assert row is not None
    assert row[1] == b"\x91\xcb@\x0c\x00\x00\x00\x00\x00\x00"


def test_a_run_that_is_overtaken_removes_nobody_whom_the_newer_one_wrote(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.parquet", [paid(n, HOUR, HOUR, n, 1.0) for n in (1, 2)])
    materialise(VIEW, store, utc(2 * HOUR), tmp_path)
    everybody = store.keys

    def meanwhile(table: str) -> list[bytes]:
        """Another run begins and ends, of a table in which customer 2 has paid again."""
        found = [*everybody(table)]
        monkeypatch.undo()
        write(tmp_path, "a.parquet", [paid(n, 50 * HOUR, 50 * HOUR, n, 7.0) for n in (1, 2)])
        materialise(VIEW, store, utc(60 * HOUR), tmp_path)
        return found

    write(tmp_path, "a.parquet", [paid(1, HOUR, HOUR, 1, 1.0)])
    monkeypatch.setattr(store, "keys", meanwhile)
    assert materialise(VIEW, store, utc(3 * HOUR), tmp_path).gone == 0
    assert sorted(everybody(table_name(VIEW))) == sorted([key((1,)), key((2,))])
    assert store.tables()[table_name(VIEW)].as_of == microseconds(utc(60 * HOUR))


@pytest.mark.parametrize("width", [1, 15, 16, 20])
def test_numbers_are_stored_at_once_as_they_are_one_by_one(width: int) -> None:
    feature = Feature("number", sql="sum(sum)")
    values = Values(replace(VIEW, features={f"f{place}": feature for place in range(width)}))
    drawn = np.random.default_rng(width).normal(size=(50, width))
    drawn[3:9, 0] = [-0.0, 0.0, np.inf, -np.inf, 5e-324, 1.0]
    one_by_one = [values.encode(row) for row in drawn.tolist()]
    assert [*values.encoded([*drawn.T])] == one_by_one
    assert [*values.encoded([*drawn[:0].T])] == []
    missing = [drawn[:, 0].tolist(), *drawn[:, 1:].T]
    missing[0][7] = None
    one_by_one[7] = values.encode([None, *drawn[7, 1:].tolist()])
    assert [*values.encoded(missing)] == one_by_one
