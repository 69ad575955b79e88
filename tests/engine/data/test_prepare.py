"""Raw files become validated, typed rows on two sides, or nothing at all."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mlops.config.settings import Split
from mlops.contract import Column, Contract, Intervals, Source
from mlops.data import prepared
from mlops.data.prepare import prepare
from mlops.data.sources import DataError
from mlops.data.splitting import SplitError

CONTRACT = Contract(
    name="t",
    task="binary",
    source=Source(format="csv", separator=";"),
    columns={
        "id": Column("text", role="id", unique=True),
        "n": Column("number", nullable=True),
        "c": Column("category", categories=["x", "y"], nullable=True),
        "at": Column("datetime", role="time"),
        "y": Column("boolean", role="target"),
    },
)
HASH = Split(method="hash")


def raw(folder: Path, name: str, first: int, rows: int) -> Path:
    path = folder / "raw" / name
    path.parent.mkdir(exist_ok=True)
    lines = ["id;n;c;at;y"]
    lines += [
        f"r{i};{i / 7 if i % 5 else ''};{'x' if i % 3 else '?'};2025-01-{i % 28 + 1:02};{i % 2}"
        for i in range(first, first + rows)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def sides(folder: Path, split: Split = HASH) -> dict[str, set[str]]:
    prepare(CONTRACT, split, folder / "raw", folder / "out")
    return {
        role: set(pq.read_table(folder / "out" / role)["id"].to_pylist())
        for role in ("train", "holdout")
    }


def test_every_row_is_on_one_side(tmp_path: Path) -> None:
    raw(tmp_path, "a.csv", 0, 500)
    found = sides(tmp_path)
    assert found["train"] | found["holdout"] == {f"r{i}" for i in range(500)}
    assert not found["train"] & found["holdout"]


def test_appended_file_moves_no_row(tmp_path: Path) -> None:
    raw(tmp_path, "b.csv", 0, 300)
    before = sides(tmp_path)
    raw(tmp_path, "a.csv", 300, 300)
    after = sides(tmp_path)
    assert before["train"] < after["train"]
    assert before["holdout"] < after["holdout"]


def test_frames_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw(tmp_path, "a.csv", 0, 300)
    prepare(CONTRACT, HASH, tmp_path / "raw", tmp_path / "whole")
    monkeypatch.setattr("mlops.data.sources.frames.__defaults__", (17,))
    prepare(CONTRACT, HASH, tmp_path / "raw", tmp_path / "parts")
    for role in ("train", "holdout"):
        whole, parts = (pq.read_table(tmp_path / name / role) for name in ("whole", "parts"))
        assert whole.equals(parts)


def test_rows_keep_their_types_and_order(tmp_path: Path) -> None:
    raw(tmp_path, "a.csv", 0, 60)
    prepare(CONTRACT, HASH, tmp_path / "raw", tmp_path / "out")
    columns = prepared.read(tmp_path / "out" / "train", CONTRACT)
    numbers = np.array([int(i[1:]) for i in columns["id"]])
    assert (np.diff(numbers) > 0).all()
    np.testing.assert_array_equal(np.isnan(columns["n"]), numbers % 5 == 0)
    np.testing.assert_array_equal(np.isnan(columns["c"]), numbers % 3 == 0)
    assert columns["at"].dtype == np.dtype("datetime64[us]")
    assert prepared.target(columns, CONTRACT).tolist() == (numbers % 2).tolist()


def test_summary_names_files_rows_and_digests(tmp_path: Path) -> None:
    raw(tmp_path, "a.csv", 0, 100)
    said = prepare(CONTRACT, HASH, tmp_path / "raw", tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert sum(summary["rows"].values()) == summary["files"][0]["rows"] == 100
    assert len(summary["files"][0]["sha256"]) == 64
    assert f"{summary['rows']['train']} rows train" in said


def test_time_split(tmp_path: Path) -> None:
    raw(tmp_path, "a.csv", 0, 56)
    found = sides(tmp_path, Split(method="time", cutoff="2025-01-21"))
    assert found["holdout"] == {f"r{i}" for i in range(56) if i % 28 + 1 >= 21}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id;n;c;at;y\nr1;abc;x;2025-01-01;1\n", "row 1, column n: 'abc' is not a number"),
        ("id;n;c;at\nr1;1;x;2025-01-01\n", "lacks y"),
        ("id;n;c;at;y;z\nr1;1;x;2025-01-01;1;5\n", "undeclared z"),
        ("id;n;c;at;y\nr1;1;x;2025-01-01;1;5;6\n", "row 1 has 7 cells and there are 5 columns"),
        ("id;n;c;at;y\nr1;1;x;2025-01-01;1\nr1;1;x;2025-01-01;1\n", "id must be unique"),
        ("", "is empty: it needs a header and rows"),
    ],
)
def test_bad_file_is_refused_and_nothing_is_written(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        prepare(CONTRACT, HASH, tmp_path / "raw", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["raw"]


def test_rows_without_a_target_are_refused_or_set_aside(tmp_path: Path) -> None:
    path = raw(tmp_path, "a.csv", 0, 100)
    path.write_text(path.read_text() + "r100;?;z;never;\n")
    with pytest.raises(DataError, match="row 101, column y: the cell is missing"):
        prepare(CONTRACT, HASH, tmp_path / "raw", tmp_path / "out")
    dropping = msgspec.structs.replace(
        CONTRACT, source=msgspec.structs.replace(CONTRACT.source, unlabelled="drop")
    )
    said = prepare(dropping, HASH, tmp_path / "raw", tmp_path / "out")
    assert "1 without a target are set aside" in said
    assert json.loads((tmp_path / "out/summary.json").read_text())["unlabelled"] == 1


def test_no_file_says_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    with pytest.raises(DataError, match="mlops adopt"):
        prepare(CONTRACT, HASH, tmp_path / "raw", tmp_path / "out")


def test_empty_side_is_refused(tmp_path: Path) -> None:
    raw(tmp_path, "a.csv", 0, 10)
    with pytest.raises(SplitError, match=r"no row falls to holdout.*cutoff"):
        sides(tmp_path, Split(method="time", cutoff="2030-01-01"))
    assert not (tmp_path / "out").exists()


def test_a_column_that_is_ignored_later_moves_no_row_where_the_split_names_it(
    tmp_path: Path,
) -> None:
    raw(tmp_path, "a.csv", 0, 400)
    split = Split(method="hash", columns=["id", "n"])
    before = sides(tmp_path, split)
    columns = dict(CONTRACT.columns)
    columns["id"] = Column("text", role="ignored")
    columns["at"] = Column("datetime", role="ignored")
    later = msgspec.structs.replace(CONTRACT, columns=columns)
    prepare(later, split, tmp_path / "raw", tmp_path / "out")
    for role, ids in before.items():
        rows = pq.read_table(tmp_path / "out" / role)
        assert set(rows["id"].to_pylist()) == ids
        assert rows.column_names == ["n", "c", "y", "id", "row_hash"]


def test_an_integer_id_is_kept_exactly(tmp_path: Path) -> None:
    ids = [2**62 + i for i in range(300)]
    columns = {**CONTRACT.columns, "id": Column("integer", role="id", unique=True)}
    contract = msgspec.structs.replace(CONTRACT, columns=columns)
    lines = [f"{i};1;x;2025-01-01;{i % 2}" for i in ids]
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.csv").write_text("\n".join(["id;n;c;at;y", *lines]))
    prepare(contract, HASH, tmp_path / "raw", tmp_path / "out")
    found: set[int] = set()
    for role in ("train", "holdout"):
        table = pq.read_table(tmp_path / "out" / role, columns=["id"])
        found |= set(table["id"].to_pylist())
        as_array = prepared.read(tmp_path / "out" / role, contract, ["id"])["id"]
        assert as_array.dtype == np.int64
    assert found == set(ids)


REPEATING = {n: c for n, c in CONTRACT.columns.items() if n != "id"}


@pytest.mark.parametrize("form", ["copy", "reversed", "parquet", "spaced"])
def test_the_same_rows_in_two_files_are_refused(tmp_path: Path, form: str) -> None:
    contract = msgspec.structs.replace(CONTRACT, columns=REPEATING)
    lines = [f"{i / 7:.3f};x;2025-01-{i % 28 + 1:02};{i % 2}" for i in range(100)]
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.csv").write_text("\n".join(["n;c;at;y", *lines]))
    other = tmp_path / "raw" / "b.csv"
    match form:
        case "copy":
            other.write_bytes((tmp_path / "raw" / "a.csv").read_bytes())
        case "reversed":
            other.write_text("\n".join(["n;c;at;y", *reversed(lines)]))
        case "spaced":
            other.write_text("\n".join(["n;c;at;y", *(f"{line} " for line in lines)]))
        case "parquet":
            pd.read_csv(tmp_path / "raw" / "a.csv", sep=";").to_parquet(other, index=False)
    with pytest.raises(DataError, match=r"b.csv holds the same rows as .*a.csv.*: delete one"):
        prepare(contract, HASH, tmp_path / "raw", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_that_share_some_rows_are_taken(tmp_path: Path) -> None:
    contract = msgspec.structs.replace(CONTRACT, columns=REPEATING)
    (tmp_path / "raw").mkdir()
    for name, count in (("a.csv", 100), ("b.csv", 101)):
        lines = [f"{i};x;2025-01-{i % 28 + 1:02};{i % 2}" for i in range(count)]
        (tmp_path / "raw" / name).write_text("\n".join(["n;c;at;y", *lines]))
    assert "rows train" in prepare(contract, HASH, tmp_path / "raw", tmp_path / "out")


def test_rows_that_calibrate_are_neither_trained_on_nor_held_out(tmp_path: Path) -> None:
    raw(tmp_path, "b.csv", 0, 900)
    promising = msgspec.structs.replace(CONTRACT, intervals=Intervals(0.9))
    plain = sides(tmp_path)

    def roles() -> dict[str, set[str]]:
        said = prepare(promising, HASH, tmp_path / "raw", tmp_path / "out")
        assert "calibrate intervals" in said
        summary = json.loads((tmp_path / "out/summary.json").read_text())
        found = {
            role: set(pq.read_table(tmp_path / "out" / role)["id"].to_pylist())
            for role in ("train", "holdout", "calibration")
        }
        assert summary["rows"] == {role: len(ids) for role, ids in found.items()}
        return found

    before = roles()
    assert before["holdout"] == plain["holdout"]
    assert before["train"] | before["calibration"] == plain["train"]
    assert not before["train"] & before["calibration"]
    assert 0.15 < len(before["calibration"]) / len(plain["train"]) < 0.25
    raw(tmp_path, "a.csv", 900, 300)
    assert all(before[role] < ids for role, ids in roles().items())
    by_time = Split("time", cutoff="2025-01-20")
    prepare(promising, by_time, tmp_path / "raw", tmp_path / "time")
    moments = pq.read_table(tmp_path / "time/calibration")["at"].to_numpy()
    assert moments.max() < np.datetime64("2025-01-20")
    with pytest.raises(SplitError, match=r"no row falls to calibration: .*split\.calibration"):
        tiny = Split("hash", calibration=1e-9)
        prepare(promising, tiny, tmp_path / "raw", tmp_path / "none")
