"""A build that keeps parts writes, to the byte, what a build of everything writes."""

import random
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sweeps import some

from mlops.config.settings import Split
from mlops.contract import Column, Contract, Source
from mlops.data import index, prepared
from mlops.data.index import part_names
from mlops.data.joins import Part
from mlops.data.prepare import prepare
from mlops.data.sources import DataError
from mlops.files import sha256

COLUMNS = {
    "id": Column("integer", role="id", unique=True),
    "n": Column("number", nullable=True),
    "c": Column("category", categories=["x", "y", "z"], nullable=True),
    "at": Column("datetime", role="time"),
    "y": Column("boolean", role="target"),
}
CONTRACT = Contract(name="t", task="binary", source=Source(format="csv"), columns=COLUMNS)
REPEATING = msgspec.structs.replace(
    CONTRACT, columns={n: c for n, c in COLUMNS.items() if n != "id"}
)
HASH, TIME = Split("hash", holdout=0.4), Split("time", cutoff="2026-01-12")
KEPT = (2, 25)  # days that stay, so that a split by time has both sides
ROWS = 25


def rows(day: int, seed: int = 0, count: int = ROWS) -> pd.DataFrame:
    drawn = np.random.default_rng([day, seed])
    return pd.DataFrame(
        {
            "id": day * 1000 + np.arange(count),
            "n": drawn.normal(size=count).round(3),
            "c": drawn.choice(["x", "y", "z"][: 1 + day % 3], count),
            "at": f"2026-01-{day % 28 + 1:02}",
            "y": drawn.integers(0, 2, count),
        }
    )


def put(raw: Path, name: str, frame: pd.DataFrame, contract: Contract = CONTRACT) -> Path:
    path = raw / name
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = frame[list(contract.columns)]
    frame.to_parquet(path, index=False) if path.suffix == ".parquet" else frame.to_csv(
        path, index=False
    )
    return path


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def inodes(folder: Path, role: str = "train") -> dict[int, str]:
    files = (folder / role).rglob("*.parquet") if folder.exists() else []
    return {path.stat().st_ino: path.relative_to(folder / role).as_posix() for path in files}


class World:
    """A folder of raw files that changes a step at a time, and what was prepared of it."""

    def __init__(self, folder: Path, contract: Contract, split: Split, seed: int) -> None:
        self.raw, self.out, self.fresh = folder / "raw", folder / "out", folder / "fresh"
        self.contract, self.split = contract, split
        self._random, self._day, self._edits = random.Random(seed), 10, 0
        self._files: dict[str, int] = {}
        for day in (*KEPT, 9):
            self._write(f"date=2026-01-{day:02}/part.parquet", day)
        self.build({*self._files})

    def _write(self, name: str, day: int, seed: int = 0) -> None:
        put(self.raw, name, rows(day, seed), self.contract)
        self._files[name] = day

    def _edit(self) -> int:
        self._edits += 1
        return self._edits

    def step(self) -> None:
        self._random.choice(
            [self.next_day, self.late, self.twice, self.change, self.reorder, self.rename]
            + [self.delete] * (len(self._files) > len(KEPT))
        )()

    def next_day(self) -> None:
        self._day += 1
        self._write(name := f"date=2026-01-{self._day:02}/part.parquet", self._day)
        self.build({name})

    def late(self) -> None:
        edit = self._edit()
        self._write(name := f"late-{edit}.csv", 40 + edit)
        self.build({name})

    def twice(self) -> None:
        """The same rows come again, in another form: refused, and nothing changes."""
        name = self._random.choice(sorted(self._files))
        before = tree(self.out)
        again = put(self.raw, "again.csv", self._read(name).iloc[::-1], self.contract)
        with pytest.raises(DataError, match=r"holds the same rows as|id must be unique"):
            self._prepare(self.out)
        assert tree(self.out) == before
        again.unlink()
        self.build(set())

    def change(self) -> None:
        name = self._random.choice(sorted(self._files))
        self._write(name, self._files[name], self._edit())
        self.build({name})

    def reorder(self) -> None:
        name = self._random.choice(sorted(self._files))
        frame = self._read(name)
        frame = frame.sample(frac=1, random_state=self._edit()).reset_index(drop=True)
        put(self.raw, name, frame, self.contract)
        self.build({name})

    def rename(self) -> None:
        name = self._random.choice(sorted(self._files))
        new = f"renamed-{self._edit()}{Path(name).suffix}"
        (self.raw / name).rename(self.raw / new)
        self._files[new] = self._files.pop(name)
        self.build(set())

    def delete(self) -> None:
        name = self._random.choice(sorted(n for n, day in self._files.items() if day not in KEPT))
        (self.raw / name).unlink()
        del self._files[name]
        self.build(set())

    def _read(self, name: str) -> pd.DataFrame:
        path = self.raw / name
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)

    def _prepare(self, out: Path) -> str:
        return prepare(self.contract, self.split, self.raw, out)

    def build(self, touched: set[str]) -> None:
        """Prepare, and compare with everything prepared anew and with what had to be computed."""
        before = inodes(self.out)
        said = self._prepare(self.out)
        computed = {name for inode, name in inodes(self.out).items() if inode not in before}
        assert computed == {*part_names(touched).values()}
        assert f"; {len(touched)} of {len(self._files)} parts computed" in said
        shutil.rmtree(self.fresh, ignore_errors=True)
        self._prepare(self.fresh)
        assert tree(self.out) == tree(self.fresh)


SEQUENCES = some(range(100), 34)


@pytest.mark.parametrize("seed", SEQUENCES)
def test_any_sequence_of_files_gives_the_bytes_of_a_full_build(tmp_path: Path, seed: int) -> None:
    contract, split = [(CONTRACT, HASH), (REPEATING, HASH), (CONTRACT, TIME)][seed % 3]
    world = World(tmp_path, contract, split, seed)
    for _ in range(6):
        world.step()


@pytest.fixture
def days(tmp_path: Path) -> Path:
    for day in range(4):
        put(tmp_path / "raw", f"date=2026-01-{day + 1:02}/part.parquet", rows(day))
    prepare(CONTRACT, HASH, tmp_path / "raw", tmp_path / "out")
    return tmp_path


def again(folder: Path, contract: Contract = CONTRACT, split: Split = HASH) -> str:
    said = prepare(contract, split, folder / "raw", folder / "out")
    shutil.rmtree(folder / "fresh", ignore_errors=True)
    prepare(contract, split, folder / "raw", folder / "fresh")
    assert tree(folder / "out") == tree(folder / "fresh")
    return said.rpartition("; ")[2]


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def edited(path: Path) -> None:
    table = pq.read_table(path)
    place = table.schema.get_field_index("n")
    pq.write_table(table.set_column(place, "n", pc.add(table["n"], 1.0)), path)


def counted(path: Path) -> None:
    """Say of a part that it has other rows than it has."""
    text = path.read_text()
    path.write_text(text.replace('"train": 1', '"train": 2'))
    assert path.read_text() != text


@pytest.mark.parametrize(
    ("name", "harm", "computed"),
    [
        ("train/date=2026-01-02/part.parquet", truncated, 1),
        ("holdout/date=2026-01-02/part.parquet", edited, 1),
        ("train/date=2026-01-02/part.parquet", Path.unlink, 1),
        ("unique/date=2026-01-02/part.parquet.npy", truncated, 1),
        ("index.json", truncated, 4),
        ("index.json", Path.unlink, 4),
        (
            "index.json",
            lambda p: p.write_text(p.read_text().replace('"train": 1', '"train": 2')),
            4,
        ),
        ("index.json", lambda p: p.write_bytes(b"\xff\x00"), 4),
        ("index.json", lambda p: p.write_text("{}"), 4),
        ("summary.json", truncated, 0),
    ],
)
def test_what_was_damaged_is_computed_again(
    days: Path, name: str, harm: Callable[[Path], object], computed: int
) -> None:
    before = tree(days / "out")
    harm(days / "out" / name)
    assert again(days) == f"{computed} of 4 parts computed"
    assert tree(days / "out") == before


def test_settings_compute_every_part(days: Path) -> None:
    bounded = {**COLUMNS, "n": Column("number", nullable=True, max=99.0)}
    assert again(days, msgspec.structs.replace(CONTRACT, columns=bounded)).startswith("4 of 4")
    assert again(days, split=Split("hash", holdout=0.3)).startswith("4 of 4")
    assert again(days, split=Split("hash", holdout=0.3)).startswith("0 of 4")


def test_packages_and_code_compute_every_part(days: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops.data.index.version", lambda name: f"{name} of tomorrow")
    assert again(days).startswith("4 of 4")
    monkeypatch.setattr("mlops.data.index.tree_sha256", lambda _: "another engine")
    assert again(days).startswith("4 of 4")


def test_a_cutoff_that_moves_computes_the_days_that_it_passes(days: Path) -> None:
    assert again(days, split=Split("time", cutoff="2026-01-03")).startswith("4 of 4")
    assert again(days, split=Split("time", cutoff="2026-01-04")).startswith("1 of 4")
    assert again(days, split=Split("time", cutoff="2026-01-03T12:00")).startswith("0 of 4")
    assert again(days, split=Split("time", cutoff="2026-01-02")).startswith("2 of 4")


def test_a_folder_of_single_files_is_replaced(days: Path) -> None:
    for name in ("train.parquet", "holdout.parquet"):
        shutil.copy(next((days / "out/train").rglob("*.parquet")), days / "out" / name)
    shutil.rmtree(days / "out/train")
    assert again(days).startswith("4 of 4")
    assert sorted(path.name for path in (days / "out").iterdir()) == [
        *("holdout", "index.json", "summary.json", "train", "unique"),
    ]


def test_parts_are_read_in_their_order_as_one_table(days: Path) -> None:
    whole = prepared.read(days / "out/train", CONTRACT)
    parts = prepared.parts(days / "out/train")
    assert [part.parent.name for part in parts] == [f"date=2026-01-0{day}" for day in range(1, 5)]
    for name in COLUMNS:
        each = [prepared.read(part, CONTRACT, [name])[name] for part in parts]
        np.testing.assert_array_equal(whole[name], np.concatenate(each))
    assert prepared.row_count(days / "out/train") == len(whole["y"])
    batched = [*prepared.batches(days / "out/train", CONTRACT, ["c"], rows=7)]
    np.testing.assert_array_equal(np.concatenate([b["c"] for b in batched]), whole["c"])
    assert set(whole["c"]) == {0.0, 1.0, 2.0}  # though no part's own dictionary says so
    shutil.rmtree(days / "out/train")
    (days / "out/train").mkdir()
    with pytest.raises(DataError, match="holds no part of the prepared rows: run `dvc repro`"):
        prepared.read(days / "out/train", CONTRACT)


@pytest.mark.parametrize("names", [("a.csv", "a.csv.parquet"), ("a", "a.parquet/b.csv")])
def test_files_that_would_be_one_part_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    for day, name in enumerate(names):
        frame = rows(day)[list(COLUMNS)]
        (tmp_path / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(tmp_path / "raw" / name, index=False)
    with pytest.raises(DataError, match=r"would both be written to .*: rename one of them"):
        prepare(CONTRACT, HASH, tmp_path / "raw", tmp_path / "out")
    (tmp_path / "raw" / names[0]).rename(tmp_path / "raw" / "other.csv")
    prepare(CONTRACT, HASH, tmp_path / "raw", tmp_path / "out")


class Looked:
    """Joins the product of an id and a factor of its day; a part depends on that factor."""

    def __init__(self, factor: Mapping[str, float]) -> None:
        self.factor, self.asked = dict(factor), 0
        self.files: list[dict[str, str]] = []

    @property
    def reads(self) -> tuple[str, ...]:
        return ("id", "at")

    def key(self, part: Part) -> str:
        assert part.first is not None
        return str(self.factor[str(part.first.astype("datetime64[D]"))])

    def columns(self, given: pa.Table) -> dict[str, pa.Array]:
        self.asked += given.num_rows
        days = [str(at.date()) for at in given["at"].to_pylist()]
        factors = pa.array([self.factor[day] for day in days])
        values = pc.multiply(factors, given["id"].cast(pa.float64()).combine_chunks())
        odd = pc.equal(pc.bit_wise_and(given["id"], 1), 1).combine_chunks()
        return {"v": pc.if_else(odd, None, values)}


VIEWED = msgspec.structs.replace(
    CONTRACT, columns={**COLUMNS, "v": Column("number", nullable=True)}
)


def test_joined_columns_stand_beside_their_rows(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    for day in range(3):
        put(raw, f"{day}.csv", rows(day))
    looked = Looked({f"2026-01-0{day + 1}": day + 0.5 for day in range(3)})
    prepare(VIEWED, HASH, raw, out, looked)
    for role in ("train", "holdout"):
        columns = prepared.read(out / role, VIEWED)
        expected = (columns["id"] // 1000 + 0.5) * columns["id"]
        np.testing.assert_array_equal(columns["v"], np.where(columns["id"] % 2, np.nan, expected))
    assert "0 of 3 parts" in prepare(VIEWED, HASH, raw, out, looked)
    looked.factor["2026-01-02"], looked.asked = 9.0, 0
    assert "1 of 3 parts" in prepare(VIEWED, HASH, raw, out, looked)
    assert looked.asked == ROWS
    prepare(VIEWED, HASH, raw, tmp_path / "fresh", looked)
    assert tree(out) == tree(tmp_path / "fresh")


def test_a_join_is_validated_and_owns_its_columns(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    put(raw, "a.csv", rows(0))
    required = msgspec.structs.replace(VIEWED, columns={**COLUMNS, "v": Column("number", max=5.0)})
    with pytest.raises(DataError, match=r"column v: .* is above the maximum 5"):
        prepare(required, HASH, raw, out, Looked({"2026-01-01": 1.0}))
    rows(0).assign(v=1.0).to_csv(raw / "a.csv", index=False)
    with pytest.raises(DataError, match="has the column v, which a feature view gives: take it"):
        prepare(VIEWED, HASH, raw, out, Looked({"2026-01-01": 1.0}))
    with pytest.raises(DataError, match="lacks v"):
        put(raw, "a.csv", rows(0))
        prepare(VIEWED, HASH, raw, out)


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_increments import CONTRACT, HASH
import mlops.data.prepare as stage
compute = stage.compute
def held(*given):
    made = compute(*given)
    print("half", flush=True)
    sys.stdin.read()
    return made
stage.compute = held
stage.prepare(CONTRACT, HASH, Path(sys.argv[1]) / "raw", Path(sys.argv[1]) / "out")
"""


def test_a_killed_build_leaves_the_old_one(days: Path) -> None:
    before = tree(days / "out")
    for day in (5, 6):
        put(days / "raw", f"date=2026-01-{day + 1:02}/part.parquet", rows(day))
    here = Path(__file__)
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(days)]
    command += [str(here.parent), str(here.parents[2])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.kill()
    assert tree(days / "out") == before
    assert again(days) == "2 of 6 parts computed"
    assert {path.name for path in days.iterdir()} == {"raw", "out", "fresh"}


def test_what_index_and_part_agree_on_is_kept_until_both_are_deleted(days: Path) -> None:
    honest = tree(days / "out")
    part = days / "out/train/date=2026-01-02/part.parquet"
    edited(part)
    parts = index.read(days / "out")
    entry = parts["date=2026-01-02/part.parquet"]
    forged = msgspec.structs.replace(entry, files={**entry.files, "train": sha256(part)})
    index.write(days / "out", {**parts, "date=2026-01-02/part.parquet": forged})
    assert prepare(CONTRACT, HASH, days / "raw", days / "out").endswith("0 of 4 parts computed")
    assert tree(days / "out") != honest
    shutil.rmtree(days / "out")  # as the docs and the gate say
    prepare(CONTRACT, HASH, days / "raw", days / "out")
    assert tree(days / "out") == honest


def test_parts_of_another_folder_are_taken(days: Path) -> None:
    put(days / "raw", "late.csv", rows(9))
    said = prepare(CONTRACT, HASH, days / "raw", days / "more", known=days / "out")
    assert said.endswith("1 of 5 parts computed")
    prepare(CONTRACT, HASH, days / "raw", days / "fresh")
    assert tree(days / "more") == tree(days / "fresh")
    assert len(inodes(days / "out")) == 4
