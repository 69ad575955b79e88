"""A row's role depends on what the row says, and on nothing else."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.config.settings import Split
from mlops.contract import Column, Contract
from mlops.data.hashing import folds, row_hash
from mlops.data.splitting import SplitError, is_holdout, keys, moved, moved_cutoff

HASH = Split(method="hash")


def contract(**columns: Column) -> Contract:
    target = {"y": Column("boolean", role="target")}
    return Contract(name="t", task="binary", columns={**columns, **target})


def table(rows: int, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=rows)
    return pa.table(
        {
            "n": pa.array(numbers, mask=rng.random(rows) < 0.1),
            "b": pa.array(rng.random(rows) < 0.5, mask=rng.random(rows) < 0.1),
            "c": pa.array(rng.choice(["x", "y", None], rows).tolist()).dictionary_encode(),
            "t": pa.array(rng.integers(0, 10**15, rows), pa.timestamp("us")),
            "s": pa.array([f"id-{i}" for i in rng.integers(0, 10**9, rows)]),
        }
    )


# What the hash gave when it was written: a change would move rows between the sides.
PINNED = [
    "fe12a3f507baab9a",
    "25d6171d2fbb8288",
    "05188000c8c56b7f",
    "05188000c8c56b7f",
]
ROWS = table(4000)
NAMES = tuple(ROWS.column_names)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(200)), st.permutations(NAMES))
def test_neither_row_nor_column_order_matters(rows: list[int], names: list[str]) -> None:
    part = ROWS.slice(0, 200)
    expected = row_hash(part, NAMES, "s")[rows]
    assert (row_hash(part.take(pa.array(rows)), names, "s") == expected).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3999))
def test_appending_moves_no_row(count: int) -> None:
    whole = row_hash(ROWS, NAMES, "s")
    assert (row_hash(ROWS.slice(0, count), NAMES, "s") == whole[:count]).all()


def test_hash_is_the_same_everywhere_and_for_ever() -> None:
    rows = pa.table({"a": [1.0, None, -0.0, 0.0], "b": ["x", "y", None, None]})
    assert (
        row_hash(rows, ["a", "b"], "holdout").tolist()[2:]
        == [row_hash(rows, ["b", "a"], "holdout").tolist()[3]] * 2
    )
    assert [f"{h:016x}" for h in row_hash(rows, ["a", "b"], "holdout").tolist()] == PINNED


def test_every_column_counts() -> None:
    base = pa.table({"a": [1.0], "b": ["x"], "c": [True]})
    changed = [
        base.set_column(0, "a", pa.array([2.0])),
        base.set_column(1, "b", pa.array(["z"])),
        base.set_column(2, "c", pa.array([False])),
        base.rename_columns(["a2", "b", "c"]),
    ]
    hashes = {int(row_hash(t, t.column_names, "s")[0]) for t in [base, *changed]}
    assert len(hashes) == 5


def test_share_of_the_holdout_is_near_what_was_asked() -> None:
    hashes = row_hash(ROWS, NAMES, "s")
    share = is_holdout(ROWS, hashes, contract(n=Column("number")), HASH).mean()
    assert abs(share - 0.2) < 4 * np.sqrt(0.2 * 0.8 / len(hashes))


def test_another_salt_draws_another_holdout() -> None:
    one, two = (row_hash(ROWS, NAMES, salt) < 2**62 for salt in "ab")
    assert 0.2 < (one == two).mean() < 0.9


def test_folds_are_even_and_independent_of_the_holdout() -> None:
    hashes = row_hash(ROWS, NAMES, "s")
    training = hashes[hashes >= np.uint64(0.2 * 2**64)]
    counts = np.bincount(folds(training, 5), minlength=5)
    assert counts.min() > 0.85 * len(training) / 5


def test_keys_are_groups_ids_or_content() -> None:
    plain = {"n": Column("number"), "x": Column("text", role="ignored")}
    ids = {"i": Column("text", role="id")}
    groups = {"g": Column("text", role="group")}
    assert keys(contract(**plain), HASH) == ("n",)
    assert keys(contract(**plain, **ids), HASH) == ("i",)
    assert keys(contract(**plain, **ids, **groups), Split(method="group")) == ("g",)


@pytest.mark.parametrize(
    ("columns", "split", "said"),
    [
        ({"n": Column("number")}, Split(method="group"), "no column of role group"),
        ({"n": Column("number")}, Split(method="time", cutoff="2025-01-01"), "no column of role"),
        (
            {"n": Column("number"), "t": Column("datetime", role="time", nullable=True)},
            Split(method="time", cutoff="2025-01-01"),
            "cannot be nullable",
        ),
    ],
)
def test_split_that_the_contract_cannot_give(
    columns: dict[str, Column], split: Split, said: str
) -> None:
    with pytest.raises(SplitError, match=said):
        keys(contract(**columns), split)


def test_time_split_takes_the_cutoff_into_the_holdout() -> None:
    moments = np.array(["2024-12-31", "2025-01-01", "2025-01-02"], "datetime64[us]")
    rows = pa.table({"t": moments})
    columns = contract(n=Column("number"), t=Column("datetime", role="time"))
    held = is_holdout(
        rows, np.zeros(3, np.uint64), columns, Split(method="time", cutoff="2025-01-01")
    )
    assert held.tolist() == [False, True, True]


def test_unreadable_cutoff() -> None:
    columns = contract(n=Column("number"), t=Column("datetime", role="time"))
    rows = pa.table({"t": np.array(["2025-01-01"], "datetime64[us]")})
    with pytest.raises(SplitError, match="write a date"):
        is_holdout(rows, np.zeros(1, np.uint64), columns, Split(method="time", cutoff="spring"))


def test_the_columns_that_a_split_names_decide_whatever_else_comes_and_goes() -> None:
    split = Split(method="hash", columns=["n", "c"])
    wide = contract(n=Column("number"), c=Column("text"), b=Column("boolean"))
    narrow = contract(n=Column("number"), c=Column("text", role="ignored"), d=Column("number"))
    assert keys(wide, split) == keys(narrow, split) == ("n", "c")
    assert moved((wide, split), (narrow, split)) is None


@pytest.mark.parametrize(("name", "said"), [("gone", "does not have"), ("y", "is the target")])
def test_a_split_by_what_the_contract_lacks_is_refused(name: str, said: str) -> None:
    with pytest.raises(SplitError, match=f"split.columns names {name}, which .*{said}"):
        keys(contract(n=Column("number")), Split(method="hash", columns=[name]))


def test_columns_belong_to_the_split_by_hash() -> None:
    with pytest.raises(ValueError, match="belongs to method hash"):
        Split(method="group", columns=["n"])


N, OTHER = Column("number"), Column("boolean")


@pytest.mark.parametrize(
    ("columns", "split", "said"),
    [
        ({"n": N, "b": OTHER}, HASH, None),
        ({"n": Column("integer"), "b": OTHER}, HASH, None),  # hashed as the same number
        ({"n": Column("number", min=0), "b": OTHER}, HASH, None),
        ({"n": N}, HASH, "it hung on n, b, now on n"),
        ({"n": N, "b": Column("boolean", role="ignored")}, HASH, "it hung on n, b, now on n"),
        ({"n": Column("text"), "b": OTHER}, HASH, "n was of type number, now text"),
        ({"n": N, "b": OTHER}, Split("hash", salt="x"), "salt was holdout, now it is x"),
        ({"n": N, "b": OTHER}, Split("hash", columns=["n"]), "it hung on n, b, now on n"),
    ],
)
def test_says_what_makes_rows_change_sides(
    columns: dict[str, Column], split: Split, said: str | None
) -> None:
    assert moved((contract(n=N, b=OTHER), HASH), (contract(**columns), split)) == said


def test_whole_numbers_are_hashed_as_floats_are_and_never_two_as_one() -> None:
    small = pa.table({"i": pa.array([0, 1, -7, 2**52, None])})
    floats = small.cast(pa.schema([("i", pa.float64())]))
    assert (row_hash(small, ["i"], "s") == row_hash(floats, ["i"], "s")).all()
    large = pa.table({"i": pa.array([2**62 + i for i in range(1000)])})
    assert len(set(row_hash(large, ["i"], "s"))) == 1000


@pytest.mark.parametrize(
    ("days", "newest", "cutoff"),
    [
        (None, "2026-06-30T23:59:59", "2026-01-01"),
        (90, "2026-06-30T23:59:59.999999", "2026-04-01"),
        (90, "2026-06-30", "2026-04-01"),
        (90, "2026-04-01T05:00", "2026-01-01"),
        (90, "2025-06-30", "2026-01-01"),
    ],
)
def test_a_cutoff_moves_to_the_start_of_a_day_and_never_back(
    days: int | None, newest: str, cutoff: str
) -> None:
    split = Split(method="time", cutoff="2026-01-01", holdout_days=days)
    assert moved_cutoff(split, np.datetime64(newest, "us")) == cutoff
