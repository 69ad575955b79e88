"""The holdout stays what the champion was measured on, and rows stay on their side."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from parts import put

from mlops.config.settings import Split
from mlops.contract import Contract
from mlops.data.prepared import row_count
from mlops.gate.case import Case
from mlops.gate.rule import Finding
from mlops.gate.rules.holdout import HoldoutUnchanged, SplitKept, TimeOrder, share

Make = Callable[..., Case]
Rejected = Callable[[list[Finding]], set[str]]
Rewrite = Callable[..., None]
STRICT = HoldoutUnchanged(at_most=0.0)


@pytest.fixture
def holdout(project: Path) -> Path:
    return project / "data/prepared/holdout"


def test_the_same_rows_pass(make: Make, champion: Path, rejected: Rejected) -> None:
    findings = STRICT.judge(make(champion))
    assert not rejected(findings)
    assert {one.part for one in findings} == {"split", "rows"}


def test_rows_in_another_order_are_the_same(
    make: Make, champion: Path, rejected: Rejected, rewrite: Rewrite, holdout: Path
) -> None:
    rewrite(holdout, rows=np.arange(row_count(holdout))[::-1])
    assert not rejected(STRICT.judge(make(champion)))


def test_appended_rows_are_stated(
    make: Make, champion: Path, rejected: Rejected, rewrite: Rewrite, holdout: Path
) -> None:
    rewrite(holdout, append=pq.read_table(holdout.with_name("train")).slice(0, 7))
    findings = STRICT.judge(make(champion))
    assert not rejected(findings)
    assert "7 rows were added" in findings[1].reason


def test_vanished_rows_are_rejected_unless_allowed(
    make: Make, champion: Path, rejected: Rejected, rewrite: Rewrite, holdout: Path
) -> None:
    rows = row_count(holdout)
    rewrite(holdout, rows=np.arange(4, rows))
    findings = STRICT.judge(make(champion))
    assert rejected(findings) == {"rows"}
    assert findings[1].value == pytest.approx(4 / rows)
    assert not rejected(HoldoutUnchanged(at_most=4.5 / rows).judge(make(champion)))
    assert rejected(HoldoutUnchanged(at_most=3.5 / rows).judge(make(champion))) == {"rows"}


def test_changed_labels_are_counted(
    make: Make, champion: Path, rejected: Rejected, rewrite: Rewrite, holdout: Path
) -> None:
    labels = make().columns["churned"].copy()
    labels[:3] = 1 - labels[:3]
    rewrite(holdout, churned=labels)
    findings = STRICT.judge(make(champion))
    assert rejected(findings) == {"rows"}
    assert "3 have another label" in findings[1].reason
    assert "0 rows were added" in findings[1].reason


def test_a_swapped_holdout_is_rejected(
    make: Make, champion: Path, rejected: Rejected, holdout: Path
) -> None:
    put(pq.read_table(holdout.with_name("train")), holdout)
    assert rejected(STRICT.judge(make(champion))) == {"rows", "share"}


@pytest.mark.parametrize(
    "split", [Split("hash", salt="other"), Split("hash", holdout=0.3), Split("group")]
)
def test_another_split_is_rejected_unless_allowed(
    make: Make, champion: Path, rejected: Rejected, split: Split
) -> None:
    case = make(champion)
    case = replace(case, settings=msgspec.structs.replace(case.settings, split=split))
    assert rejected(STRICT.judge(case)) == {"split"}
    assert not rejected(HoldoutUnchanged(at_most=0.0, split_may_change=True).judge(case))


def test_fingerprints_that_are_not_the_manifests_are_rejected(
    make: Make, champion: Path, rejected: Rejected, tmp_path: Path
) -> None:
    case = make(shutil.copytree(champion, tmp_path / "champion"))
    np.save(tmp_path / "champion/holdout.npy", np.zeros((3, 2), np.uint64))
    assert rejected(STRICT.judge(case)) == {"rows"}
    (tmp_path / "champion/holdout.npy").unlink()
    assert rejected(STRICT.judge(case)) == {"rows"}


def retyped(case: Case) -> Case:
    content = msgspec.to_builtins(case.settings.data)
    content["columns"]["tenure_months"]["type"] = "number"
    settings = msgspec.structs.replace(case.settings, data=msgspec.convert(content, Contract))
    return replace(case, settings=settings)


def test_without_a_column_the_raw_files_decide(
    make: Make, champion: Path, rejected: Rejected
) -> None:
    case = retyped(make(champion))
    assert not rejected(STRICT.judge(case))
    case.candidate.bundle.manifest["lineage"]["data"][0]["sha256"] = "0"
    findings = STRICT.judge(case)
    assert rejected(findings) == {"rows"}
    assert "tenure_months" in findings[1].reason


def test_every_row_is_on_its_side(make: Make, rejected: Rejected) -> None:
    findings = SplitKept().judge(make())
    assert not rejected(findings)
    assert [one.part for one in findings] == ["training", "holdout", "share"]


def test_rows_on_the_wrong_side_are_rejected(
    make: Make, rejected: Rejected, rewrite: Rewrite, holdout: Path
) -> None:
    rewrite(holdout, append=pq.read_table(holdout.with_name("train")).slice(0, 5))
    findings = SplitKept().judge(make())
    assert rejected(findings) == {"holdout"}
    assert findings[1].value == 5


def test_edited_hashes_are_rejected(
    make: Make, rejected: Rejected, rewrite: Rewrite, holdout: Path
) -> None:
    train = holdout.with_name("train")
    rows = pq.read_table(holdout).slice(0, 5)
    place = rows.schema.get_field_index("row_hash")
    hashes = pq.read_table(train).column("row_hash").slice(0, 5)
    rewrite(train, append=rows.set_column(place, "row_hash", hashes))
    assert rejected(SplitKept().judge(make())) == {"training"}


def test_an_empty_side_is_rejected(
    make: Make, rejected: Rejected, rewrite: Rewrite, holdout: Path
) -> None:
    case = make()
    rewrite(holdout, rows=np.arange(0))
    assert rejected(SplitKept().judge(case)) == {"holdout", "share"}


def by_time(case: Case, cutoff: str) -> Case:
    split = Split("time", cutoff=cutoff)
    return replace(case, settings=msgspec.structs.replace(case.settings, split=split))


def test_time_order_concerns_time_splits(make: Make) -> None:
    (finding,) = TimeOrder().judge(make())
    assert finding.verdict == "not applicable"
    assert "hash" in finding.reason


@pytest.mark.parametrize(
    ("first", "last", "verdict"),
    [
        ("2025-03-01", "2025-02-28", "passed"),
        ("2025-03-01", "2025-03-01", "rejected"),
        ("2025-03-01", "2025-04-01", "rejected"),
        ("2025-02-01", "2025-01-01", "rejected"),
        ("2025-03-01", "NaT", "rejected"),
    ],
)
def test_no_training_row_is_from_the_time_of_the_holdout(
    make: Make, first: str, last: str, verdict: str
) -> None:
    case = by_time(make(), "2025-03-01")
    months = np.full(len(case.target), np.datetime64(first, "us"))
    case = replace(case, columns={**case.columns, "month": months})
    train = np.full(len(case.train_columns["month"]), np.datetime64("2025-01-01", "us"))
    train[-1] = np.datetime64(last)
    case.train_columns["month"] = train
    (finding,) = TimeOrder().judge(case)
    assert finding.verdict == verdict
    assert ("training rows are from" in finding.reason) == (last != "NaT")


def test_time_order_without_a_time_is_rejected(make: Make) -> None:
    case = by_time(make(), "2025-03-01")
    content: dict[str, Any] = json.loads(msgspec.json.encode(case.settings.data))
    content["columns"]["month"]["role"] = "feature"
    settings = msgspec.structs.replace(case.settings, data=msgspec.convert(content, Contract))
    (finding,) = TimeOrder().judge(replace(case, settings=settings))
    assert finding.verdict == "rejected"


def test_rows_that_were_added_to_the_holdout_alone_are_rejected(
    make: Make, champion: Path, rejected: Rejected, rewrite: Rewrite, holdout: Path
) -> None:
    train = pq.read_table(holdout.with_name("train"))
    rewrite(holdout, append=train.slice(0, 60))
    findings = STRICT.judge(make(champion))
    assert rejected(findings) == {"share"}
    assert "60 of 60 rows that were added are in the holdout (100.0%)" in findings[2].reason
    rewrite(holdout.with_name("train"), append=train.slice(0, 240))
    assert not rejected(STRICT.judge(make(champion)))


def test_keys_chosen_little_by_little_are_seen_in_the_whole(
    make: Make, rejected: Rejected, rewrite: Rewrite, holdout: Path
) -> None:
    train = holdout.with_name("train")
    half = row_count(train) // 2
    rewrite(train, rows=np.arange(half))
    findings = SplitKept().judge(make())
    assert rejected(findings) == {"share"}
    assert "who chooses keys" in findings[2].reason


@pytest.mark.parametrize(
    ("held", "trained", "sizes", "verdict"),
    [
        (20, 80, 1, "passed"),
        (60, 40, 1, "rejected"),
        (60, 40, 10, "passed"),  # ten keys of ten rows
        (6, 0, 1, "passed"),
        (12, 0, 1, "rejected"),
        (0, 400, 1, "rejected"),  # hard rows may be hidden in training as well
    ],
)
def test_chance_decides_how_many_rows_may_be_held_out(
    held: int, trained: int, sizes: int, verdict: str
) -> None:
    keys = np.full((held + trained) // sizes, sizes)
    found = share(held, trained, keys, Split("hash"), "rows")
    assert found is not None
    assert found.verdict == verdict


def test_a_split_by_time_holds_out_whatever_came_last() -> None:
    assert share(60, 0, np.ones(60), Split("time", cutoff="2025-01-01"), "rows") is None
