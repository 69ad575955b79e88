"""Copies between training and holdout are found, and chance is not taken for them."""

from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts import put

from mlops.gate.case import Case
from mlops.gate.rules.duplicates import Duplicates, _twins, _variance

Make = Callable[..., Case]
Rewrite = Callable[..., None]
RULE = Duplicates(at_most=0.01)


@pytest.fixture
def holdout(project: Path) -> Path:
    return project / "data/prepared/holdout"


def test_a_clean_split_passes(make: Make) -> None:
    (finding,) = RULE.judge(make())
    assert finding.verdict == "passed"


@pytest.mark.parametrize(("into", "source"), [("train", "holdout"), ("holdout", "train")])
def test_copies_are_rejected(
    make: Make, rewrite: Rewrite, holdout: Path, into: str, source: str
) -> None:
    copied = pq.read_table(holdout.with_name(source)).slice(0, 20)
    rewrite(holdout.with_name(into), append=copied)
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
    rewrite(holdout.with_name("train"), append=rows)
    assert RULE.judge(make())[0].verdict == "rejected"


def test_twins_by_chance_pass(make: Make, rewrite: Rewrite, holdout: Path) -> None:
    rng = np.random.default_rng(2)
    names = make().candidate.bundle.encoder.inputs
    rows = pq.read_table(holdout.with_name("train")).slice(0, 1)
    for side in ("train", "holdout"):
        path = holdout.with_name(side)
        table = pq.read_table(path)
        same = {name: rows.column(name).to_pylist() * table.num_rows for name in names}
        same["monthly_fee"] = rng.integers(0, 500, table.num_rows).astype(float).tolist()
        for name, values in same.items():
            place = table.schema.get_field_index(name)
            kind = table.schema.field(name).type
            table = table.set_column(place, name, pa.array(values, kind))
        put(table, path)
    (finding,) = RULE.judge(make())
    assert finding.verdict == "passed"
    assert finding.value is not None
    assert abs(finding.value) < 0.03
    share = int(finding.reason.partition(" of ")[0]) / len(make().target)
    assert share > 0.9  # twins there are, and as many as chance gives


def test_an_empty_side_is_rejected(make: Make, rewrite: Rewrite, holdout: Path) -> None:
    case = make()
    rewrite(holdout, rows=np.arange(0))
    assert RULE.judge(case)[0].verdict == "rejected"


def test_copies_of_a_key_are_no_chance(make: Make, rewrite: Rewrite, holdout: Path) -> None:
    before = Duplicates(at_most=0.0).judge(make())[0]
    repeated = pq.read_table(holdout.with_name("train")).slice(0, 300)
    rewrite(holdout.with_name("train"), append=repeated)
    (finding,) = Duplicates(at_most=0.0).judge(make())
    assert finding.value == pytest.approx(before.value, abs=1e-3)
    assert Duplicates(at_most=0.5).judge(make())[0].threshold == 0.5


@pytest.mark.parametrize("values", [300, 5000, 100_000])
def test_alarms_are_false_in_a_twentieth_of_draws(values: int) -> None:
    rng, alarms, draws = np.random.default_rng(3), 0, 200
    luck = NormalDist().inv_cdf(0.95)
    for _ in range(draws):
        rows = rng.integers(0, values, 2500)
        train, held = rows[:2000], rows[2000:]
        twins, usual = np.isin(held, train), _twins(train, np.arange(2000))
        deviation = np.sqrt(_variance(held, twins) + _variance(train, usual))
        alarms += bool(twins.mean() - usual.mean() > max(0.01, luck * deviation))
    assert alarms <= 0.08 * draws  # 5 % and two standard deviations of 200 draws
