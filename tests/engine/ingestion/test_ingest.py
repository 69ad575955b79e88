"""Whole partitions, whatever came late, twice, reordered or was deleted."""

import datetime
import json
import random
from pathlib import Path

import pytest
from sweeps import some

from mlops.data.errors import DataError
from mlops.data.sources import raw_files
from mlops.ingestion import moves, spool
from mlops.ingestion.partitions import Partitions

from .conftest import KEYED, Row, Shop, order

DAY = datetime.date.fromisoformat


def test_a_day_is_a_partition_and_a_second_run_touches_nothing(shop: Shop) -> None:
    done = shop.ingest()
    assert done.rows == 12
    assert list(shop.parts()) == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert shop.rows()["amount"].sum() == sum(n / 4 for n in range(12))
    assert shop.rows()["paid"].dtype == bool
    before = shop.state()
    again = shop.ingest(DAY("2026-01-01"))
    assert (again.same, again.changed) == (3, False)
    assert shop.state() == before


def test_only_parts_are_tables_and_lineage_says_what_they_are_from(shop: Shop) -> None:
    shop.ingest(DAY("2026-01-02"), DAY("2026-01-03"))
    assert [path.name for path in raw_files(shop.folder)] == ["part.parquet"]
    told = json.loads((shop.folder / "date=2026-01-02/.lineage.json").read_text())
    assert told["origin"]["kind"] == "sql"
    assert told["origin"]["url"].endswith("/shop.db")
    assert len(told["origin"]["query"]) == len(told["sha256"]) == 64
    assert (told["since"], told["until"], told["rows"]) == ("2026-01-02", "2026-01-03", 4)


def test_by_default_the_newest_day_is_asked_for_again(shop: Shop) -> None:
    shop.ingest()
    rows = [order(n, f"2026-01-0{1 + n % 3}", amount=n / 4) for n in range(12)]
    shop.sell([*rows, order(20, "2026-01-03"), order(21, "2026-01-04"), order(22, "2026-01-01")])
    done = shop.ingest()
    assert done.written == ["2026-01-03", "2026-01-04"]
    done = shop.ingest(partition={**KEYED, "lookback_days": 5})
    assert done.written == ["2026-01-01"]


def test_a_late_row_changes_its_day_alone(shop: Shop) -> None:
    shop.ingest()
    before = shop.state()
    shop.sell([order(99, "2026-01-01", "2026-02-01 00:00:00", 7.0)])
    done = shop.ingest(DAY("2026-02-01"))
    assert done.written == ["2026-01-01"]
    assert {name for name, one in shop.state().items() if before[name] != one} == {
        "date=2026-01-01/.lineage.json",
        "date=2026-01-01/part.parquet",
    }
    assert shop.amounts()[99] == 7.0
    assert len(shop.rows()) == 13


def test_the_highest_version_stands_whenever_it_comes(shop: Shop) -> None:
    shop.ingest()
    shop.sell([order(1, "2026-01-02", "2026-03-01 00:00:00", 50.0)])
    shop.ingest(DAY("2026-01-01"))
    assert shop.amounts()[1] == 50.0
    shop.sell([order(1, "2026-01-02", "2026-02-01 00:00:00", 40.0)])
    assert not shop.ingest(DAY("2026-01-01")).changed
    assert shop.amounts()[1] == 50.0


def test_a_row_that_moves_to_another_day_leaves_its_old_one(shop: Shop) -> None:
    shop.ingest()
    shop.sell([order(1, "2026-01-05", "2026-03-01 00:00:00", 50.0)])
    done = shop.ingest(DAY("2026-01-01"))
    assert done.written == ["2026-01-02", "2026-01-05"]
    assert (shop.rows()["order_id"] == 1).sum() == 1
    assert shop.amounts()[1] == 50.0


@pytest.mark.parametrize("day", ["2026-01-02", "2026-01-09", None])
def test_a_deletion_removes_a_row_wherever_it_is_and_no_old_version_revives_it(
    shop: Shop, day: str | None
) -> None:
    shop.ingest()
    shop.sell([order(1, day, "2026-03-01 00:00:00", deleted=1)])
    done = shop.ingest(DAY("2026-01-01"))
    assert done.written == ["2026-01-02"]
    assert 1 not in shop.amounts()
    shop.sell([order(1, "2026-01-02", "2026-02-01 00:00:00")])
    assert not shop.ingest(DAY("2026-01-01")).changed
    shop.sell([order(1, "2026-01-02", "2026-04-01 00:00:00")])
    assert shop.ingest(DAY("2026-01-01")).changed
    assert 1 in shop.amounts()


def test_the_last_row_of_a_day_takes_the_partition_along(shop: Shop) -> None:
    shop.sell([order(1, "2026-01-01"), order(2, "2026-01-02")])
    shop.ingest()
    shop.sell([order(1, None, "2026-03-01 00:00:00", deleted=1)])
    assert shop.ingest(DAY("2026-01-01")).removed == ["2026-01-01"]
    assert [path.name for path in shop.folder.glob("date=*")] == ["date=2026-01-02"]


def test_a_day_without_rows_stays_unless_the_answer_is_complete(shop: Shop) -> None:
    shop.ingest()
    shop.sell([order(1, "2026-01-02")])
    done = shop.ingest(DAY("2026-01-01"))
    assert done.silent == ["2026-01-01", "2026-01-03"]
    assert any("declare `partition.complete`" in note for note in done.notes())
    assert len(shop.parts()) == 3
    whole = {**KEYED, "complete": True}
    done = shop.ingest(DAY("2026-01-02"), partition=whole)  # the remedy
    assert done.removed == ["2026-01-03"]
    assert list(shop.parts()) == ["2026-01-01", "2026-01-02"]
    assert len(shop.rows()) == 5  # what is gone from the second day is gone here


def test_without_a_key_a_day_is_replaced_whole(shop: Shop) -> None:
    plain = {"by": "ordered_at"}
    query = QUERY_BY_DAY
    origin = {"kind": "sql", "url": f"sqlite:///{shop.root}/shop.db", "query": query}
    shop.ingest(partition=plain, origin=origin)
    shop.sell([order(1, "2026-01-02"), order(1, "2026-01-02")])
    done = shop.ingest(DAY("2026-01-02"), partition=plain, origin=origin)
    assert done.written == ["2026-01-02"]
    assert len(shop.rows()) == 4 + 2 + 4


QUERY_BY_DAY = "SELECT * FROM orders WHERE ordered_at >= :since AND ordered_at < :until"


def test_a_late_row_without_a_key_would_replace_its_day_and_is_refused(shop: Shop) -> None:
    plain = {"by": "ordered_at"}
    shop.ingest(partition=plain)
    before = shop.state()
    shop.sell([order(99, "2026-01-01", "2026-02-01 00:00:00")])
    with pytest.raises(DataError, match=r"a row of 2026-01-01.*or name `partition\.key`"):
        shop.ingest(DAY("2026-02-01"), partition=plain)
    assert shop.state() == before
    shop.ingest(DAY("2026-02-01"))  # the remedy
    assert 99 in shop.amounts()


def test_two_rows_of_a_key_need_a_version(shop: Shop) -> None:
    bare = {"by": "ordered_at", "key": ["order_id"]}
    shop.sell([order(1, "2026-01-01", amount=1.0), order(1, "2026-01-01", amount=2.0)])
    with pytest.raises(DataError, match=r"`partition\.version`"):
        shop.ingest(partition=bare)
    assert shop.parts() == {}
    done = shop.ingest()  # with a version that is the same: by content, and said
    assert done.ties == 1
    assert any("the last by content stands" in note for note in done.notes())
    assert shop.amounts() == {1: 2.0}
    shop.sell([order(1, "2026-01-01", amount=3.0), order(1, "2026-01-01", amount=3.0)])
    shop.ingest(DAY("2026-01-01"), partition=bare)  # alike: one
    assert shop.amounts() == {1: 3.0}  # of the newer answer


def test_a_broken_cell_is_kept_as_text_until_it_is_mended(shop: Shop) -> None:
    shop.ingest()
    whole = shop.parts()
    good = order(1, "2026-01-02", amount=0.25)
    broken = (*good[:4], "much", *good[5:])
    late = (*broken[:3], "2026-02-01 00:00:00", *broken[4:])
    shop.sell([late])  # type: ignore[list-item]
    shop.ingest(DAY("2026-01-01"))
    amounts = {str(key): str(value) for key, value in shop.amounts().items()}
    assert (amounts["1"], amounts["4"]) == ("much", "1")
    shop.sell([(*good[:3], "2026-03-01 00:00:00", *good[4:])])
    shop.ingest(DAY("2026-01-01"))
    assert shop.amounts()[1] == 0.25
    assert shop.parts().keys() == whole.keys()


def test_a_day_is_one_of_the_time_zone(shop: Shop) -> None:
    row = order(1, "2026-01-01")
    shop.sell([(*row[:2], "2026-01-01T23:30:00+00:00", *row[3:])])
    shop.ingest(partition={**KEYED, "time_zone": "Europe/Berlin"})
    assert list(shop.parts()) == ["2026-01-02"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (order(1, None), "1 fetched rows have no ordered_at"),
        ((None, *order(1, "2026-01-01")[1:]), "have no order_id"),
        (("x", *order(1, "2026-01-01")[1:]), "order_id of 1 fetched rows is not a whole number"),
        ((*order(1, "2026-01-01")[:2], "soon", *order(1, "2026-01-01")[3:]), "not a date or time"),
    ],
)
def test_a_row_without_day_or_key_is_refused(shop: Shop, row: Row, said: str) -> None:
    shop.ingest()
    before = shop.state()
    late = (*row[:3], "2026-02-01 00:00:00", *row[4:])
    shop.sell([order(50, "2026-01-01"), late])
    with pytest.raises(DataError, match=said):
        shop.ingest(DAY("2026-01-01"))
    assert shop.state() == before
    assert not [path for path in shop.folder.parent.iterdir() if path != shop.folder]


def test_an_origin_without_rows_leaves_everything(shop: Shop) -> None:
    shop.sell([])
    with pytest.raises(DataError, match="has no rows at its origin"):
        shop.ingest()
    shop.sell([order(1, "2026-01-01")])
    shop.ingest()
    shop.sell([])
    with pytest.raises(DataError, match="remove partitions by hand"):
        shop.ingest(partition={**KEYED, "complete": True})
    assert not shop.ingest().changed


def test_files_of_somebody_else_are_not_taken_for_partitions(shop: Shop) -> None:
    shop.folder.mkdir(parents=True)
    (shop.folder / "mine.csv").write_text("a\n")
    with pytest.raises(DataError, match=r"mine\.csv is in no partition"):
        shop.ingest()
    (shop.folder / "mine.csv").rename(shop.root / "mine.csv")  # the remedy
    assert shop.ingest().changed


def test_an_unreadable_partition_is_named(shop: Shop) -> None:
    shop.ingest()
    (shop.folder / "date=2026-01-02/part.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"2026-01-02/part\.parquet cannot be read.*ingest that"):
        shop.ingest(DAY("2026-01-01"))
    (shop.folder / "date=2026-01-02/part.parquet").unlink()  # the remedy
    assert shop.ingest(DAY("2026-01-02"), DAY("2026-01-03")).written == ["2026-01-02"]


def test_a_partition_without_a_key_of_the_answer_is_not_read(shop: Shop) -> None:
    shop.ingest()
    place = Partitions(shop.folder)
    (ids,) = place.read("2026-01-02", ["order_id"]).columns
    low, high = min(ids.to_pylist()), max(ids.to_pylist())
    assert place.may_hold("2026-01-02", "order_id", high, high + 5)
    assert not place.may_hold("2026-01-02", "order_id", high + 1, high + 5)
    assert not place.may_hold("2026-01-02", "order_id", low - 5, low - 1)
    assert place.may_hold("2026-01-02", "order_id", "a", "b")  # of another type: looked at
    (shop.folder / "date=2026-01-02/part.parquet").write_bytes(b"PAR1")
    assert place.may_hold("2026-01-02", "order_id", high + 1, high + 5)


def test_an_empty_window_is_refused(shop: Shop) -> None:
    with pytest.raises(DataError, match="give a later --until"):
        shop.ingest(DAY("2026-01-02"), DAY("2026-01-02"))


@pytest.mark.parametrize("seed", some(range(100), 12))
def test_any_sequence_of_answers_comes_to_the_bytes_of_a_full_one(
    shop: Shop, seed: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(spool, "BUFFERED", 7)
    monkeypatch.setattr(moves, "BUFFERED", 5)
    draw = random.Random(seed)
    events: list[Row] = []
    for version in range(60):
        number = draw.randrange(15)
        day = f"2026-01-0{1 + (number if draw.random() < 0.8 else version) % 5}"
        at = f"2026-02-{1 + version // 4:02d} 00:00:{version:02d}"
        amount = None if draw.random() < 0.1 else version / 8
        events.append(order(number, day, at, amount, int(draw.random() < 0.15)))
    answers = [draw.sample(events, draw.randrange(1, 25)) for _ in range(5)]
    for answer in (*answers, events):
        shop.sell(answer)
        try:
            shop.ingest(DAY("2026-01-01"))
        except DataError as error:
            assert "no rows" in str(error)  # noqa: PT017 (all of a first answer were deletions)
    full = Shop(tmp_path / "full")
    full.root.mkdir()
    draw.shuffle(events)
    full.sell(events)
    full.folder.parent.mkdir(parents=True)
    monkeypatch.chdir(full.root)
    full.ingest()
    assert full.parts() == shop.parts()
    newest = {row[0]: row for row in sorted(events, key=lambda row: row[3])}
    assert set(full.amounts()) == {number for number, row in newest.items() if not row[-1]}
