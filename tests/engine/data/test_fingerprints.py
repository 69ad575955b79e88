"""Fingerprints name rows by their content, in any order."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.contract import Contract
from mlops.data.fingerprints import Prints, digest, fingerprints, missing

DECLARED = {
    "who": {"type": "text", "role": "id"},
    "x": {"type": "number", "nullable": True},
    "kind": {"type": "category", "categories": ["a", "b"]},
    "y": {"type": "boolean", "role": "target"},
}
CONTRACT = msgspec.convert({"name": "t", "task": "binary", "columns": DECLARED}, Contract)
ROWS = {"who": ["p", "q", "r"], "x": [1.0, None, 2.5], "kind": ["a", "b", "a"], "y": [True] * 3}


def prints(folder: Path, labels: tuple[str, ...] = ("a", "b"), **changed: list[object]) -> Prints:
    rows = ROWS | changed
    kinds = pa.array([labels.index(str(kind)) for kind in rows["kind"]], pa.int32())
    columns = {
        "who": pa.array(rows["who"], pa.string()),
        "x": pa.array(rows["x"], pa.float64()),
        "kind": pa.DictionaryArray.from_arrays(kinds, list(labels)),
        "y": pa.array(rows["y"], pa.bool_()),
    }
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return fingerprints(folder / "rows.parquet", CONTRACT)


def test_order_of_rows_and_categories_does_not_matter(tmp_path: Path) -> None:
    before = prints(tmp_path)
    turned = {name: values[::-1] for name, values in ROWS.items()}
    assert digest(prints(tmp_path, ("b", "a"), **turned)) == digest(before)


@pytest.mark.parametrize(
    "change", [{"x": [1.0, None, 2.6]}, {"x": [1.0, 0.0, 2.5]}, {"y": [True, True, False]}]
)
def test_any_value_matters(tmp_path: Path, change: dict[str, list[object]]) -> None:
    before = prints(tmp_path)
    now = prints(tmp_path, **change)
    assert digest(now) != digest(before)
    assert missing(before, now).sum() == missing(now, before).sum() == 1


def test_another_label_leaves_the_rest_of_the_row_alike(tmp_path: Path) -> None:
    before = prints(tmp_path)
    now = prints(tmp_path, y=[True, True, False])
    assert set(before[:, 1]) == set(now[:, 1])


def test_equal_rows_are_counted() -> None:
    def of(*hashes: int) -> Prints:
        return np.column_stack([np.sort(np.array(hashes, np.uint64))] * 2)

    assert missing(of(1, 1, 1, 2), of(1, 1, 2)).sum() == 1
    assert missing(of(1, 1, 2), of(1, 1, 1, 2, 3)).sum() == 0
    assert missing(of(1, 1, 2), of()[:0]).sum() == 3
