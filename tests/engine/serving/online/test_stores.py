"""The online stores on real servers: what is newer wins, for each entity, and nothing is torn."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.serving.online.stores import opened, shown
from mlops.views.online import About, OnlineError, OutageError, Store, key

ABOUT = About("spending", "d" * 64, ["total"])
TABLE = "spending_dddddddddddd"
ONE, TWO, THREE = 1_000_000, 2_000_000, 3_000_000


@pytest.fixture(params=["sqlite", "redis", "postgresql"])
def store(request: pytest.FixtureRequest, addresses: dict[str, str]) -> Iterator[Store]:
    """An empty store that is written."""
    found = opened(addresses[request.param], 5, write=True)
    for name in found.tables():
        found.drop(name)
    yield found
    found.close()


@pytest.fixture
def reader(
    request: pytest.FixtureRequest, store: Store, addresses: dict[str, str]
) -> Iterator[Store]:
    """The same store as a server reads it."""
    store.load(TABLE, ABOUT, [(b"a", ONE, b"1"), (b"b", ONE, b"2")], ONE)
    name = request.node.callspec.params["store"]
    found = opened(addresses[name], 5)
    yield found
    found.close()


def test_what_was_loaded_is_read_in_one_call_in_the_order_of_the_keys(reader: Store) -> None:
    found = reader.read(TABLE, [b"b", b"nobody", b"a", b"b"])
    assert found.as_of == ONE
    assert found.rows == [(ONE, b"2"), None, (ONE, b"1"), (ONE, b"2")]
    assert reader.read(TABLE, [b"a"]).rows == [(ONE, b"1")]
    assert reader.read(TABLE, [b"nobody"]) == (ONE, [None])


def test_keys_of_every_kind_are_told_apart(store: Store, addresses: dict[str, str]) -> None:
    """What is short, and one large whole number, SQLite has as a row's number; the rest by name."""
    edges = [0, 1, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1]
    whole = [*edges, *(-n for n in edges if 0 < n <= 2**63)]
    texts = ["", "a", "abcde", "abcdef", "\0", "\0a", "0", "1", "x" * 40]
    pairs = [(1, 2), (1, 2**40), (1, "2"), ("1", 2), (12, 3), (1, 23)]
    keys = [key(one) for one in [*((n,) for n in whole), *((t,) for t in texts), *pairs]]
    random.Random(0).shuffle(keys)
    entries = [(one, ONE, b"%d" % at) for at, one in enumerate(keys)]
    assert store.load("kinds", ABOUT, entries[:20], ONE) == 20
    store.begin("kinds", ABOUT, TWO)
    assert store.upsert("kinds", [(one, TWO, value) for one, _, value in entries]) == len(keys) - 20
    store.complete("kinds", TWO)
    stored = [(ONE if at < 20 else TWO, value) for at, (_, _, value) in enumerate(entries)]
    assert sorted(store.keys("kinds")) == sorted(keys)
    assert store.read("kinds", keys) == (TWO, stored)
    assert [store.read("kinds", [one]).rows[0] for one in keys] == stored
    removed = keys[::2]
    assert store.remove("kinds", removed, TWO) == len(removed)
    assert store.read("kinds", keys).rows == [
        None if n % 2 == 0 else r for n, r in enumerate(stored)
    ]


def test_only_what_is_newer_and_differs_is_written(store: Store, reader: Store) -> None:
    store.begin(TABLE, ABOUT, TWO)
    entries = [(b"a", TWO, b"new"), (b"b", TWO, b"2"), (b"c", TWO, b"3")]
    assert store.upsert(TABLE, entries) == 2
    assert store.upsert(TABLE, entries) == 0
    assert reader.read(TABLE, [b"a", b"b", b"c"]).rows == [(TWO, b"new"), (ONE, b"2"), (TWO, b"3")]
    assert reader.read(TABLE, [b"a"]).as_of == ONE  # until it is complete
    store.complete(TABLE, TWO)
    assert reader.read(TABLE, [b"a"]).as_of == TWO


def test_what_is_late_is_let_in_nowhere(store: Store, reader: Store) -> None:
    store.begin(TABLE, ABOUT, THREE)
    # b has not changed since ONE, and is not written at THREE: nor may TWO write it.
    assert store.upsert(TABLE, [(b"a", TWO, b"late"), (b"b", TWO, b"late")]) == 0
    with pytest.raises(OnlineError, match="of a later time, or is just given it: leave out --at"):
        store.begin(TABLE, ABOUT, TWO)
    store.complete(TABLE, THREE)
    store.complete(TABLE, TWO)
    assert reader.read(TABLE, [b"a", b"b"]) == (THREE, [(ONE, b"1"), (ONE, b"2")])


def test_entities_are_listed_and_removed_and_tables_dropped(store: Store, reader: Store) -> None:
    other = About("spending", "e" * 64, ["total"])
    store.load("spending_e-*[x]", other, [(b"z", ONE, b"9")], ONE)
    assert sorted(store.keys(TABLE)) == [b"a", b"b"]
    assert store.remove(TABLE, [b"a", b"nobody"], ONE) == 1
    assert reader.read(TABLE, [b"a", b"b"]).rows == [None, (ONE, b"2")]
    assert {name: one.as_of for name, one in reader.tables().items()} == {
        TABLE: ONE,
        "spending_e-*[x]": ONE,
    }
    store.drop(TABLE)
    assert reader.read(TABLE, [b"b"]) == (None, [None])
    assert list(store.keys("spending_e-*[x]")) == [b"z"]
    assert list(reader.tables().values()) == [
        About("spending", "e" * 64, ["total"], ONE),
    ]


def test_who_is_overtaken_removes_nobody(store: Store, reader: Store) -> None:
    store.begin(TABLE, ABOUT, TWO)
    store.begin(TABLE, ABOUT, THREE)  # by somebody else, who finds a as it is, and b anew
    assert store.upsert(TABLE, [(b"a", THREE, b"1"), (b"b", THREE, b"new")]) == 1
    assert store.remove(TABLE, [b"a", b"b"], TWO) == 0
    assert reader.read(TABLE, [b"a", b"b"]).rows == [(ONE, b"1"), (THREE, b"new")]
    assert store.remove(TABLE, [b"b"], THREE) == 1


def test_a_table_that_is_begun_and_not_complete_answers_nobody(store: Store, reader: Store) -> None:
    store.begin("new", ABOUT, ONE)
    store.upsert("new", [(b"a", ONE, b"1")])
    assert reader.read("new", [b"a"]).as_of is None
    assert reader.tables()["new"].as_of is None


def test_who_is_overtaken_says_nothing_of_the_whole(store: Store, reader: Store) -> None:
    """What has begun since kept its values out: they are not known for its time."""
    store.load("late", ABOUT, [(b"a", ONE, b"1")], ONE)
    store.begin("late", ABOUT, ONE + 1)
    store.begin("late", ABOUT, ONE + 2)
    assert store.upsert("late", [(b"a", ONE + 1, b"2")]) == 0
    store.complete("late", ONE + 1)
    assert reader.read("late", [b"a"]) == (ONE, [(ONE, b"1")])
    assert store.upsert("late", [(b"a", ONE + 2, b"3")]) == 1
    store.complete("late", ONE + 2)
    assert reader.read("late", [b"a"]) == (ONE + 2, [(ONE + 2, b"3")])


def test_readers_see_one_moment_while_two_writers_race(store: Store, reader: Store) -> None:
    entities = [key((f"c{n}",)) for n in range(50)]
    store.load("race", ABOUT, [(one, ONE, b"%d" % ONE) for one in entities], ONE)
    times = [ONE + n for n in range(1, 21)]
    random.Random(0).shuffle(times)
    torn: list[object] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            whole, rows = reader.read("race", entities[:2])
            for row in rows:
                assert row is not None
                assert whole is not None
                if int(row[1]) != row[0] or row[0] < whole:
                    torn.append((whole, row))

    def write(mine: list[int]) -> None:
        for at in mine:
            try:
                store.begin("race", ABOUT, at)
            except OnlineError:
                continue
            store.upsert("race", [(one, at, b"%d" % at) for one in entities])
            store.complete("race", at)

    reading = threading.Thread(target=read)
    writing = [threading.Thread(target=write, args=(times[n::2],)) for n in range(2)]
    for thread in (reading, *writing):
        thread.start()
    for thread in writing:
        thread.join()
    stop.set()
    reading.join()
    found = reader.read("race", entities)
    assert found.as_of == max(times)
    assert {row and int(row[1]) for row in found.rows} == {max(times)}
    assert not torn


def test_a_load_that_fails_leaves_nothing_of_it(tmp_path: Path) -> None:
    store = opened(f"sqlite:///{tmp_path}/online.db", write=True)

    def entries() -> Iterator[tuple[bytes, int, bytes]]:
        yield b"a", ONE, b"1"
        raise RuntimeError("cut short")

    with pytest.raises(RuntimeError):
        store.load(TABLE, ABOUT, entries(), ONE)
    assert not list(tmp_path.iterdir())
    store.load(TABLE, ABOUT, [(b"a", ONE, b"1")], ONE)
    with pytest.raises(RuntimeError):
        store.load("other", ABOUT, entries(), ONE)
    assert list(store.tables()) == [TABLE]


@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
def test_a_store_that_is_down_is_an_outage_to_readers_and_a_sentence_to_writers(
    scheme: str,
) -> None:
    url = f"{scheme}://someone:hidden@127.0.0.1:1/0"
    with pytest.raises(OutageError) as outage:
        opened(url, 0.2).read(TABLE, [b"a"])
    with pytest.raises(OnlineError, match=r"does not answer \(\w+\): start it") as e:
        opened(url, 0.2, write=True).tables()
    assert "hidden" not in str(e.value) + str(outage.value)


def test_an_address_says_what_is_wrong_and_no_password() -> None:
    with pytest.raises(OnlineError, match="is no online store: name one like sqlite:///") as error:
        opened("mysql://root:hidden@host/x")
    assert "hidden" not in str(error.value)
    assert shown("redis://:hidden@host:6379/0") == "redis://host:6379/0"
    with pytest.raises(OnlineError, match=r"there is no online store .*: run `mlops materialise"):
        opened("sqlite:///nowhere/online.db")
