"""Prepared rows come back as the arrays that features are computed from."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.contract import Column, Contract
from mlops.data import prepared

CONTRACT = Contract(
    name="t",
    task="multiclass",
    columns={
        "n": Column("number", nullable=True),
        "b": Column("boolean", nullable=True),
        "c": Column("category", categories=["x", "y"], nullable=True),
        "at": Column("datetime", nullable=True),
        "id": Column("text", role="id"),
        "y": Column("category", role="target", categories=["a", "b", "c"]),
    },
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    table = pa.table(
        {
            "n": pa.array([1.5, None, 3.0]),
            "b": pa.array([True, None, False]),
            "c": pa.array(["y", None, "z"]).dictionary_encode(),
            "at": pa.array(np.array(["2025-01-01", "NaT", "2025-01-03"], "datetime64[us]")),
            "id": pa.array(["p", "q", "r"]),
            "y": pa.array(["c", "a", "b"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_conventions_of_the_arrays(path: Path) -> None:
    columns = prepared.read(path, CONTRACT)
    np.testing.assert_array_equal(columns["n"], [1.5, np.nan, 3.0])
    np.testing.assert_array_equal(columns["b"], [1.0, np.nan, 0.0])
    np.testing.assert_array_equal(columns["c"], [1.0, np.nan, 2.0])
    assert np.isnat(columns["at"]).tolist() == [False, True, False]
    assert columns["id"].tolist() == ["p", "q", "r"]
    assert prepared.target(columns, CONTRACT).tolist() == [2, 0, 1]


def test_batches_are_the_whole(path: Path) -> None:
    parts = list(prepared.batches(path, CONTRACT, ["n", "c"], rows=2))
    assert [len(part["n"]) for part in parts] == [2, 1]
    whole = prepared.read(path, CONTRACT, ["n", "c"])
    for name in ("n", "c"):
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), whole[name])


def test_matrix_is_filled_in_order(path: Path) -> None:
    found = prepared.matrix(path, CONTRACT, ["n"], lambda columns: columns["n"][:, None] * 2, 1)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, 0], np.array([3.0, np.nan, 6.0], np.float32))
