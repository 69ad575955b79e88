"""Copies between training and holdout are found, and chance is not taken for them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mlops.gate.case import Case
from mlops.gate.rules.duplicates import Duplicates

Make = Callable[..., Case]
Rewrite = Callable[..., None]
RULE = Duplicates(at_most=0.01)


@pytest.fixture
def holdout(project: Path) -> Path:
    return project / "data/prepared/holdout.parquet"


def test_a_clean_split_passes(make: Make) -> None:
    (finding,) = RULE.judge(make())
    assert finding.verdict == "passed"


@pytest.mark.parametrize(("into", "source"), [("train", "holdout"), ("holdout", "train")])
def test_copies_are_rejected(
    make: Make, rewrite: Rewrite, holdout: Path, into: str, source: str
) -> None:
    copied = pq.read_table(holdout.with_name(f"{source}.parquet")).slice(0, 20)
    rewrite(holdout.with_name(f"{into}.parquet"), append=copied)
    (finding,) = RULE.judge(make())
    assert finding.verdict == "rejected"
    assert finding.value == pytest.approx(20 / len(make().target), rel=0.05)
    assert Duplicates(at_most=0.1).judge(make())[0].verdict == "passed"


def test_copies_with_another_key_and_label_are_rejected(
    make: Make, rewrite: Rewrite, holdout: Path
) -> None:
    rows = pq.read_table(holdout).slice(0, 20)
    labels = np.zeros(20, dtype=bool)
    for name, values in (("customer_id", ["new"] * 20), ("churned", labels)):
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, name, [values])
    rewrite(holdout.with_name("train.parquet"), append=rows)
    assert RULE.judge(make())[0].verdict == "rejected"


def test_twins_by_chance_pass(make: Make, rewrite: Rewrite, holdout: Path) -> None:
    rng = np.random.default_rng(1)
    for side in ("train", "holdout"):
        path = holdout.with_name(f"{side}.parquet")
        table = pq.read_table(path)
        first = {n: table.column(n).slice(0, 1) for n in make().candidate.bundle.encoder.inputs}
        same = {
            name: values.take([0] * table.num_rows).to_pylist() for name, values in first.items()
        }
        same["monthly_fee"] = rng.integers(0, 500, table.num_rows).astype(float).tolist()
        for name, values in same.items():
            place = table.schema.get_field_index(name)
            kind = table.schema.field(name).type
            import pyarrow as pa

            table = table.set_column(place, name, pa.array(values, kind))
        pq.write_table(table, path)
    (finding,) = RULE.judge(make())
    assert finding.verdict == "passed"
    assert "would by chance" in finding.reason


def test_an_empty_side_is_rejected(make: Make, rewrite: Rewrite, holdout: Path) -> None:
    case = make()
    rewrite(holdout, rows=np.arange(0))
    assert RULE.judge(case)[0].verdict == "rejected"
