"""The sample's files: what was asked for, as the contract declares, all or nothing."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from baked import SOURCE

from mlops.contract import Contract
from mlops.data import sample
from mlops.data.sample import write
from mlops.data.simulation import LABELS, churn_probability
from mlops.errors import ProjectError

CONTRACT = SOURCE / "conf" / "data" / "churn.yaml"
TYPES = {
    "number": pa.types.is_float64,
    "integer": pa.types.is_int64,
    "boolean": pa.types.is_boolean,
    "category": pa.types.is_dictionary,
    "datetime": pa.types.is_timestamp,
    "text": pa.types.is_string,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write(tmp_path_factory.mktemp("data") / "raw")


@pytest.fixture(scope="module")
def contract() -> Contract:
    return msgspec.convert(yaml.safe_load(CONTRACT.read_text(encoding="utf-8")), Contract)


def test_months_and_rows_are_as_asked(files: list[Path]) -> None:
    assert [file.name for file in files] == [f"2025-{month:02}.parquet" for month in range(1, 13)]
    assert sorted(files[0].parent.iterdir()) == files
    assert sum(pq.read_metadata(file).num_rows for file in files) == 20_000


def test_columns_are_as_the_contract_declares(files: list[Path], contract: Contract) -> None:
    table = pa.concat_tables([pq.read_table(file) for file in files])
    assert table.column_names == list(contract.columns)
    for name, column in contract.columns.items():
        values = table[name]
        assert TYPES[column.type](values.type), name
        assert bool(values.null_count) == column.nullable, name
        if column.type == "category":
            assert list(LABELS[name]) == column.categories
        if column.min is not None:
            assert pc.min(values).as_py() >= column.min
        if column.max is not None:
            assert pc.max(values).as_py() <= column.max


def test_the_true_probability_follows_from_the_files(files: list[Path]) -> None:
    table = pa.concat_tables([pq.read_table(file) for file in files]).combine_chunks()
    stated = churn_probability({name: _values(table[name]) for name in table.column_names})
    churned = table["churned"].to_numpy()
    assert abs(churned.sum() - stated.sum()) < 4 * np.sqrt((stated * (1 - stated)).sum())
    assert np.mean((stated - churned) ** 2) < 0.75 * churned.var()


def _values(column: pa.ChunkedArray) -> np.ndarray:
    array = column.combine_chunks()
    codes = array.indices.cast(pa.float64()) if pa.types.is_dictionary(array.type) else array
    return codes.to_numpy(zero_copy_only=False)


def test_the_same_seed_writes_the_same_bytes(files: list[Path], tmp_path: Path) -> None:
    again = write(tmp_path / "again")
    assert [file.read_bytes() for file in again] == [file.read_bytes() for file in files]
    other = write(tmp_path / "other", seed=21)
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(again, other, strict=True))


@pytest.mark.parametrize("drift", [0.0, 0.7])
def test_more_months_leave_the_earlier_files_as_they_were(tmp_path: Path, drift: float) -> None:
    short = write(tmp_path / "short", rows=1_000, months=6, drift=drift)
    long = write(tmp_path / "long", rows=3_000, months=18, drift=drift)
    assert [file.read_bytes() for file in short] == [file.read_bytes() for file in long[:6]]
    assert long[-1].name == "2026-06.parquet"


@pytest.mark.parametrize(("rows", "months"), [(1, 1), (13, 12), (12, 12), (1_000, 7)])
def test_odd_sizes_add_up(tmp_path: Path, rows: int, months: int) -> None:
    files = write(tmp_path / "raw", rows=rows, months=months)
    sizes = [pq.read_metadata(file).num_rows for file in files]
    assert (sum(sizes), len(sizes)) == (rows, months)
    assert max(sizes) - min(sizes) <= 1


def test_chunks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "CHUNK", 64)
    files = write(tmp_path / "raw", rows=129 * 2 + 1, months=2)
    tables = [pq.read_table(file) for file in files]
    assert [table.num_rows for table in tables] == [129, 130]
    assert all(len(pc.unique(table["customer_id"])) == table.num_rows for table in tables)


def test_an_older_sample_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "raw", rows=100, months=4)
    write(tmp_path / "raw", rows=100, months=2)
    assert len(list((tmp_path / "raw").iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "content"), [("mine.csv", b"a,b\n1,2\n"), ("2025-01.parquet", b"not parquet")]
)
def test_other_files_are_never_replaced(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / name).write_bytes(content)
    with pytest.raises(ProjectError, match=rf"{name} is no part of the sample.*move it away"):
        write(tmp_path / "raw", rows=100)
    assert [path.read_bytes() for path in (tmp_path / "raw").iterdir()] == [content]


def test_somebody_elses_parquet_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "raw" / "2025-01.parquet")
    with pytest.raises(ProjectError, match="no part of the sample"):
        write(tmp_path / "raw", rows=100)


def test_an_interrupted_write_leaves_the_old_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [file.read_bytes() for file in write(tmp_path / "raw", rows=100, months=3)]
    table = sample._table

    def interrupted(columns: Any, schema: pa.Schema) -> pa.Table:
        if columns["month"][0] > np.datetime64("2025-01"):
            raise KeyboardInterrupt
        return table(columns, schema)

    monkeypatch.setattr(sample, "_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "raw", rows=200, months=3)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
    assert [file.read_bytes() for file in sorted((tmp_path / "raw").iterdir())] == before


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"rows": 5}, "--rows is 5: give at least"),
        ({"rows": 0, "months": 0}, "--months is 0: choose 1 to 120"),
        ({"months": 121}, "--months is 121: choose"),
        ({"drift": 1.5}, "--drift is 1.5: choose"),
        ({"drift": float("nan")}, "--drift is nan: choose"),
        ({"seed": -1}, "--seed is -1: choose"),
    ],
)
def test_a_size_that_makes_no_sense_is_refused(
    tmp_path: Path, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(ProjectError, match=message):
        write(tmp_path / "raw", **asked)
    assert not (tmp_path / "raw").exists()


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("text")
    with pytest.raises(ProjectError, match="is a file: give the sample a folder"):
        write(tmp_path / "raw")
