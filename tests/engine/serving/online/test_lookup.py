"""Features that a server looks up: what a request may hold, and what stale ones are."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mlops.bundle.reading import Loaded
from mlops.config.views import View
from mlops.serving.coalescing import Coalescing
from mlops.serving.online.online import Found, Keys, Online
from mlops.serving.online.stores import opened
from mlops.serving.predictor import Predictor
from mlops.serving.problem import Problem
from mlops.views.online import About, OnlineError, Values, about, key, microseconds, table_name

ADA = (12.5, 3, "shop", datetime(2026, 1, 5, 8, 30))
NOBODY = (0.0, 0, None, None)  # the defaults of the view
Write = Callable[..., None]


@pytest.fixture
def store(tmp_path: Path, views: Mapping[str, View], write: Write) -> str:
    """A store in a file in which both views are known since a minute."""
    url = f"sqlite:///{tmp_path}/online.db"
    at = datetime.now(UTC) - timedelta(minutes=1)
    write(url, views["spending"], {("ada",): ADA, ("bob",): (None, 1, "app", None)}, at)
    write(url, views["staff"], {(7,): (21,)}, at)
    return url


@pytest.fixture
def answering(loaded: Loaded, store: str) -> Iterator[Predictor]:
    """The bundle, with that store."""
    online = Online(store, 1)
    yield Predictor(loaded, "d" * 64, online=online)
    online.close()


def record(predictor: Predictor, *rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return rows as the model sees them."""
    taken, _ = predictor.taken(json.dumps(rows).encode())
    return [predictor.schema.record(row) for row in taken]


def with_stale(loaded: Loaded, rule: str) -> Loaded:
    """Return the bundle as it is where a view says another thing of stale features."""
    views = loaded.settings.features.views
    changed = {n: msgspec.structs.replace(v, stale=rule) for n, v in views.items()}
    features = msgspec.structs.replace(loaded.settings.features, views=changed)
    settings = msgspec.structs.replace(loaded.settings, features=features)
    return msgspec.structs.replace(loaded, settings=settings)


def test_a_request_has_keys_and_its_own_fields_and_the_store_the_rest(
    answering: Predictor,
) -> None:
    assert answering.request.names == ("amount", "customer", "branch")
    rows = record(
        answering,
        {"amount": 1.5, "customer": " ada", "branch": 7},
        {"amount": 2.0, "customer": "bob", "branch": 8},
        {"amount": 3.0, "customer": None, "branch": None},
    )
    names = ("spent", "payments", "channel", "last_paid")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ADA,
        (None, 1, "app", None),
        NOBODY,
    ]
    assert [row["staff"] for row in rows] == [21, None, None]
    assert [row["amount"] for row in rows] == [1.5, 2.0, 3.0]


def test_the_answer_is_that_of_the_row_with_the_same_values(
    answering: Predictor, loaded: Loaded
) -> None:
    sent = {"amount": 1.5, "customer": "ada", "branch": 7}
    looked_up, looked = answering.taken(json.dumps(sent).encode())
    values = dict(zip(("spent", "payments", "channel", "last_paid"), ADA, strict=True))
    whole = {"amount": 1.5, **values, "last_paid": "2026-01-05T08:30:00", "staff": 21}
    given = Predictor(loaded, "d" * 64)
    assert given.request.names == loaded.encoder.inputs  # without a store, all is given
    rows, nothing = given.taken(json.dumps(whole).encode())
    assert nothing is None
    assert np.array_equal(given.answered(rows), answering.answered(looked_up))
    answer = json.loads(answering.answer(given.answered(rows), "r", looked_up, looked))
    (said,) = (one["features"] for one in answer["predictions"])
    assert said["spending"]["stale"] is said["staff"]["stale"] is False
    assert 59 < said["spending"]["age_seconds"] < 120
    as_of = datetime.fromisoformat(said["spending"]["as_of"])
    assert abs(datetime.now(UTC) - as_of) < timedelta(minutes=2)


def test_no_request_may_say_what_the_store_knows(answering: Predictor) -> None:
    sent = {"amount": 1.5, "customer": "ada", "branch": 7, "spent": 1e6}
    with pytest.raises(Problem, match="leave spent out: it is looked up") as problem:
        answering.taken(json.dumps(sent).encode())
    assert (problem.value.status, problem.value.slug) == (422, "unknown-field")
    del sent["spent"]
    assert record(answering, sent)[0]["spent"] == 12.5
    with pytest.raises(Problem, match="every field is required") as problem:
        answering.taken(b'{"amount": 1.5, "branch": 7}')
    assert problem.value.field == "customer"


def test_no_extra_field_overrides_a_view_either(loaded: Loaded, store: str) -> None:
    lenient = Predictor(loaded, "d" * 64, extra="ignore", online=Online(store, 1))
    sent = {"amount": 1.5, "customer": "ada", "branch": 7, "bad": True, "spent": 1e6}
    with pytest.raises(Problem, match="it is looked up"):
        lenient.taken(json.dumps(sent).encode())
    del sent["spent"]
    rows, looked = lenient.taken(json.dumps([sent]).encode())
    (answer,) = json.loads(lenient.answer(lenient.answered(rows), "r", rows, looked))["predictions"]
    assert answer["ids"] == {"customer": "ada", "branch": 7}


@pytest.mark.parametrize(("rule", "expected"), [("null", (None,) * 4), ("default", NOBODY)])
def test_what_is_stale_follows_the_view(
    rule: str, expected: tuple[Any, ...], loaded: Loaded, store: str, write: Write
) -> None:
    changed = with_stale(loaded, rule)
    view = changed.settings.features.views["spending"]
    write(store, view, {("ada",): ADA}, datetime.now(UTC) - timedelta(days=2))
    predictor = Predictor(changed, "d" * 64, online=Online(store, 1))
    sent = {"amount": 1.5, "customer": "ada", "branch": 7}
    rows, looked = predictor.taken(json.dumps(sent).encode())
    row = predictor.schema.record(rows[0])
    assert tuple(row[name] for name in view.features) == expected
    assert row["staff"] == 21  # another view, without freshness
    assert looked is not None
    assert (looked.stale, looked.used[0][0]) == ([(True, False)], None)
    (answer,) = json.loads(predictor.answer(predictor.answered(rows), "r", rows, looked))[
        "predictions"
    ]
    assert answer["features"]["spending"]["stale"] is True
    assert answer["features"]["spending"]["age_seconds"] > 2 * 86_400 - 60


def test_stale_features_are_refused_where_the_view_says_so(
    loaded: Loaded, store: str, write: Write
) -> None:
    changed = with_stale(loaded, "refuse")
    view = changed.settings.features.views["spending"]
    write(store, view, {("ada",): ADA}, datetime.now(UTC) - timedelta(days=2))
    predictor = Predictor(changed, "d" * 64, online=Online(store, 1))
    sent = [{"amount": 1.5, "customer": "ada", "branch": 7}]
    with pytest.raises(Problem, match="spending: they are older than 1 day") as problem:
        predictor.taken(json.dumps(sent).encode())
    assert (problem.value.status, problem.value.slug) == (503, "stale-features")
    write(store, view, {("ada",): ADA}, datetime.now(UTC))
    assert record(predictor, *sent)[0]["spent"] == 12.5


@pytest.mark.parametrize("rule", ["null", "default", "refuse"])
@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
def test_an_outage_is_like_stale_features(rule: str, scheme: str, loaded: Loaded) -> None:
    predictor = Predictor(
        with_stale(loaded, rule), "d" * 64, online=Online(f"{scheme}://127.0.0.1:1/0", 0.2)
    )
    sent = {"amount": 1.5, "customer": "ada", "branch": 7}
    if rule == "refuse":
        with pytest.raises(Problem, match="the online store does not answer"):
            record(predictor, sent)
        return
    expected = (None, None, None) if rule == "null" else (0.0, 0, None)
    row = record(predictor, sent)[0]
    assert (row["spent"], row["payments"], row["staff"]) == expected


def test_a_store_of_another_definition_is_refused(
    loaded: Loaded, store: str, views: Mapping[str, View], write: Write
) -> None:
    features = {
        **views["spending"].features,
        "spent": msgspec.structs.replace(views["spending"].features["spent"], window="7 days"),
    }
    other = msgspec.structs.replace(views["spending"], features=features)
    holder = opened(store, write=True)
    for name, held in holder.tables().items():
        if held.view == "spending":
            holder.drop(name)
    holder.close()
    with pytest.raises(OnlineError, match="does not hold spending yet: run `mlops materialise"):
        Predictor(loaded, "d" * 64, online=Online(store, 1))
    write(store, other, {("ada",): ADA}, datetime.now(UTC))
    with pytest.raises(OnlineError, match="holds spending by another definition: run"):
        Predictor(loaded, "d" * 64, online=Online(store, 1))
    # What the sentence names mends it: both definitions stand beside each other.
    write(store, views["spending"], {("ada",): ADA}, datetime.now(UTC))
    Predictor(loaded, "d" * 64, online=Online(store, 1))


def test_a_key_of_another_type_is_refused(loaded: Loaded, store: str) -> None:
    columns = dict(loaded.contract.columns)
    columns["branch"] = msgspec.structs.replace(columns["branch"], type="text")
    contract = msgspec.structs.replace(loaded.contract, columns=columns)
    other = msgspec.structs.replace(loaded, contract=contract)
    with pytest.raises(
        OnlineError, match="branch is of type text in the contract, and integer in the"
    ):
        Predictor(other, "d" * 64, online=Online(store, 1))


class Counting(Online):
    """A store that notes how many keys each read has."""

    def __init__(self, url: str) -> None:
        super().__init__(url, 1)
        self.reads: list[list[int]] = []

    def read(self, keys: Keys) -> Found:
        self.reads.append([len(of_table) for _, of_table in keys])
        return super().read(keys)


async def together(predictor: Predictor, *requests: list[Any]) -> list[Any]:
    """Return what requests of one turn of the loop are answered, or the exception."""
    coalescing = Coalescing()
    asked = [predictor.request.decode(json.dumps(rows).encode()) for rows in requests]
    futures = [coalescing.look_up(predictor, rows) for rows in asked]
    return await asyncio.gather(*futures, return_exceptions=True)


def test_one_turn_of_the_loop_is_one_read_and_each_gets_its_own(loaded: Loaded, store: str) -> None:
    online = Counting(store)
    predictor = Predictor(loaded, "d" * 64, online=online)
    rows = [
        {"amount": float(place), "customer": ("ada", "bob", "x")[place % 3], "branch": 7}
        for place in range(30)
    ]
    requests = [rows[:1], rows[1:4], rows[4:30]]
    found = asyncio.run(together(predictor, *requests))
    assert online.reads == [[30, 30]]
    for sent, (got, (matrix, predictions), looked) in zip(requests, found, strict=True):
        alone, of_alone = predictor.taken(json.dumps(sent).encode())
        assert [*map(predictor.schema.record, got)] == [*map(predictor.schema.record, alone)]
        np.testing.assert_array_equal(matrix, predictor.matrix(alone))
        np.testing.assert_allclose(predictions, predictor.answered(alone), atol=1e-7)
        assert of_alone is not None
        assert looked[1:] == of_alone[1:]
    online.close()


def test_who_is_refused_stale_features_is_refused_alone(loaded: Loaded, store: str) -> None:
    """The view is known for two days ago, and one customer for now."""
    changed = with_stale(loaded, "refuse")
    view = changed.settings.features.views["spending"]
    holder, table = opened(store, write=True), table_name(view)
    holder.drop(table)
    now = microseconds(datetime.now(UTC))
    values = Values(view).encode(ADA)
    holder.load(table, about(view), [(key(("ada",)), now, values)], now - 2 * 86_400_000_000)
    holder.close()
    predictor = Predictor(changed, "d" * 64, online=Online(store, 1))
    known, unknown = (
        [{"amount": 1.5, "customer": name, "branch": 7}] for name in ("ada", "nobody")
    )
    first, refused, last = asyncio.run(together(predictor, known, unknown, known))
    assert isinstance(refused, Problem)
    assert (refused.slug, refused.row) == ("stale-features", 0)
    assert np.array_equal(first[1][1], last[1][1])


@pytest.mark.parametrize("count", [2, 3, 8, 9, 100, 257, 9000])
def test_any_number_of_keys_is_read(count: int, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/online.db"
    holder = opened(url, write=True)
    entries = [(b"%d" % place, 5, b"%d" % -place) for place in range(0, 2 * count, 2)]
    holder.load("of", About("of", "d", []), entries, 5)
    found = holder.read("of", [b"%d" % place for place in range(count)])
    holder.close()
    expected = [None if place % 2 else (5, b"%d" % -place) for place in range(count)]
    assert found == (5, expected)
