"""A rule judges on the champion's rows too, where others came: they cannot dilute a loss."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from in_process import in_process

from mlops.gate import population
from mlops.gate.case import Case
from mlops.gate.results import EARLIER, judged
from mlops.gate.rule import Finding, Rule
from mlops.gate.rules.comparison import NonInferiority
from mlops.gate.rules.metric import Metric

LOSS = NonInferiority(margins={"roc_auc": 0.01}, sides="two")
FLOOR = Metric(metric="accuracy", at_least=0.7, by="value")


def diluted(workshop: Any, answered: Callable[..., Any], easy: int) -> Case:
    """Return a case whose candidate is worse on 1,500 rows, beside `easy` ones that all get right.

    The champion was judged on the first 1,500.
    """
    case = workshop.case(rows=1500 + easy)
    generator = np.random.default_rng(2)
    target = case.target
    good = np.clip(0.8 * target + 0.1 + generator.normal(scale=0.3, size=len(target)), 0, 1)
    bad = np.clip(good + generator.normal(scale=0.35, size=len(target)), 0, 1)
    good[1500:] = bad[1500:] = np.where(target[1500:] == 1, 0.9, 0.1)
    columns = case.columns | {"household": np.arange(len(target))}
    case = replace(case, columns=columns, candidate=answered(case, bad))
    case = replace(case, champion=answered(case, good))
    case.__dict__["earlier"] = np.arange(1500)
    return case


def test_easy_rows_do_not_dilute_a_loss(workshop: Any, answered: Callable[..., Any]) -> None:
    case = diluted(workshop, answered, 30_000)
    entry, _ = judged("non_inferiority", LOSS, case)
    by_part = {one["part"]: one["verdict"] for one in entry["findings"]}
    assert by_part == {"roc_auc": "passed", f"roc_auc, {EARLIER}": "rejected"}
    assert entry["verdict"] == "rejected"


def test_easy_rows_lift_no_floor(workshop: Any, answered: Callable[..., Any]) -> None:
    case = diluted(workshop, answered, 30_000)
    case.candidate.predictions[:1500] = 0.5
    entry, _ = judged("metric", FLOOR, case)
    by_part = {one.get("part", ""): one["verdict"] for one in entry["findings"]}
    assert by_part == {"": "passed", EARLIER: "rejected"}


def test_nothing_is_judged_twice_where_no_row_was_added(
    workshop: Any, answered: Callable[..., Any]
) -> None:
    entry, _ = judged("non_inferiority", LOSS, diluted(workshop, answered, 0))
    assert [one["part"] for one in entry["findings"]] == ["roc_auc"]


def test_a_rule_that_fails_on_the_champions_rows_rejects(
    workshop: Any, answered: Callable[..., Any]
) -> None:
    class Many(Rule, frozen=True):
        """There are many rows."""

        on_earlier_rows: ClassVar[bool] = True

        def judge(self, case: Case) -> list[Finding]:
            if len(case.target) <= 1500:
                raise ValueError("too few")
            return [Finding("passed", "there are many")]

    entry, _ = judged("many", Many(), diluted(workshop, answered, 10))
    assert entry["findings"][1] == {
        "verdict": "rejected",
        "reason": "the rule failed: ValueError: too few",
        "part": EARLIER,
    }


@pytest.fixture
def holdout(trained: Path) -> Path:
    return trained / "data/prepared/holdout"


def test_the_champions_rows_are_found_wherever_they_stand(
    trained: Path, holdout: Path, tmp_path: Path
) -> None:

    bundle = in_process(trained / "candidate")
    known = population.known_rows(trained / "candidate", bundle.manifest)
    assert known is not None
    rows = pq.read_table(holdout)
    order = np.random.default_rng(0).permutation(rows.num_rows)
    other = pq.read_table(holdout.with_name("train")).slice(0, 25).cast(rows.schema)
    copies = rows.slice(0, 10)  # of rows that the champion knew: new all the same

    mixed = pa.concat_tables([other, rows.take(pa.array(order)), copies])
    pq.write_table(mixed, tmp_path / "holdout.parquet")
    found = population.earlier(tmp_path / "holdout.parquet", bundle.contract, known)
    assert found.tolist() == list(range(25, 25 + rows.num_rows))


def test_broken_fingerprints_tell_nothing(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "holdout.npy").write_bytes(b"no array")
    manifest = {"holdout": {"digest": "0" * 64}}
    assert population.known_rows(tmp_path, manifest) is None
