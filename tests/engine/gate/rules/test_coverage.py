"""Intervals that hold less than the contract promises are rejected, also on a slice."""

import json
import shutil
from collections.abc import Callable
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from in_process import in_process
from parts import put

from mlops.config import settings
from mlops.contract import Intervals as Promised
from mlops.data import prepared
from mlops.gate.case import Case, Judged
from mlops.gate.rule import Finding, PolicyError, configured
from mlops.gate.rules.coverage import Coverage
from mlops.gate.rules.holdout import SplitKept
from mlops.git.repository import Repository
from mlops.runtime.intervals import INTERVALS, IntervalError

RULE = Coverage(margin=0.03, min_rows=50, max_categories=12, wider_at_most=1.25)
Promising = Callable[[str], Path]


def case(project: Path) -> Case:
    asked = settings.load(project / "resolved.yaml")
    columns = prepared.read(project / "data/prepared/holdout", asked.data)
    bundle = in_process(project / "candidate")
    return Case(
        repository=Repository(project),
        settings=asked,
        candidate=Judged(project / "candidate", bundle, bundle.answer(columns)),
        champion=None,
        columns=columns,
        target=prepared.target(columns, asked.data),
        resamples=200,
    )


def other(one: Case, folder: Path, **changes: Any) -> Judged:
    """Return the candidate with other intervals in its folder."""
    folder.mkdir()
    found = json.loads((one.candidate.folder / INTERVALS).read_text()) | changes
    (folder / INTERVALS).write_text(json.dumps(found))
    return replace(one.candidate, folder=folder)


def parts(findings: list[Finding]) -> dict[str, str]:
    return {one.part: one.verdict for one in findings}


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_what_holds_as_promised_passes(promising: Promising, task: str) -> None:
    found = RULE.judge(case(promising(task)))
    assert set(parts(found).values()) == {"passed"}
    assert {"", "kind=flat", "kind=villa", "new=true"} <= set(parts(found))
    assert all(one.low <= one.value <= one.high for one in found if one.value and one.low)


def test_too_narrow_intervals_are_rejected(promising: Promising, tmp_path: Path) -> None:
    one = case(promising("regression"))
    widths = {"flat": 0.3, "house": 0.3, "villa": 3.0}
    narrow = replace(one, candidate=other(one, tmp_path / "a", width=0.3, widths=widths))
    found = parts(RULE.judge(narrow))
    assert found[""] == found["kind=flat"] == "rejected"


def test_a_slice_that_is_not_covered_is_named_with_the_remedy(
    promising: Promising, tmp_path: Path
) -> None:
    one = case(promising("regression"))
    data = msgspec.structs.replace(one.settings.data, intervals=Promised(0.9))
    asked = msgspec.structs.replace(one.settings, data=data)
    bundle = replace_contract(one.candidate.bundle, data)
    # As wide as all rows together need: too much for flats, too little for villas.
    alike = replace(other(one, tmp_path / "a", width=8.0, widths={}, by=None), bundle=bundle)
    findings = RULE.judge(replace(one, settings=asked, candidate=alike))
    rejected = [found for found in findings if found.verdict == "rejected"]
    assert "kind=villa" in {found.part for found in rejected}
    assert "kind=flat" not in {found.part for found in rejected}
    assert any("`intervals: {by: kind}` in conf/data" in found.reason for found in rejected)


def replace_contract(bundle: Any, contract: Any) -> Any:
    class Other:
        def __getattr__(self, name: str) -> Any:
            return contract if name == "contract" else getattr(bundle, name)

    return Other()


def test_wider_ones_than_the_champion_has_are_rejected(
    promising: Promising, tmp_path: Path
) -> None:
    one = case(promising("regression"))
    content = json.loads((one.candidate.folder / INTERVALS).read_text())
    wide = {label: 2 * width for label, width in content["widths"].items()}
    wider = other(one, tmp_path / "a", width=2 * content["width"], widths=wide)
    (width,) = widths(replace(one, candidate=wider, champion=one.candidate))
    assert width.verdict == "rejected"
    assert width.value is not None
    assert 1.8 < width.value <= 2
    (same,) = widths(replace(one, champion=one.candidate))
    assert (same.verdict, same.value) == ("passed", 1.0)


def widths(one: Case) -> list[Finding]:
    return [found for found in RULE.judge(one) if found.part == "width"]


def test_a_file_that_is_not_what_the_contract_promises_is_an_error(
    promising: Promising, tmp_path: Path
) -> None:
    one = case(promising("regression"))
    with pytest.raises(IntervalError, match="the contract promises others"):
        RULE.judge(replace(one, candidate=other(one, tmp_path / "a", coverage=0.5)))
    bare = replace(one.candidate, folder=tmp_path)
    with pytest.raises(IntervalError, match="the contract promises others"):
        RULE.judge(replace(one, candidate=bare))


def test_no_promise_no_judgement(workshop: Any) -> None:
    assert parts(RULE.judge(workshop.case(rows=200))) == {"": "not applicable"}


@pytest.mark.parametrize(
    "change", [{"margin": 0.5}, {"min_rows": 0}, {"wider_at_most": 0.9}, {"margin": np.nan}]
)
def test_settings_that_mean_nothing_are_refused(change: dict[str, float]) -> None:
    asked = {"margin": 0.03, "min_rows": 50, "max_categories": 12, "wider_at_most": 1.25}
    with pytest.raises(PolicyError, match="coverage"):
        configured("coverage", asked | change)


def test_predictions_that_moved_lose_their_cover(promising: Promising) -> None:
    one = case(promising("regression"))
    moved = replace(one.candidate, predictions=one.candidate.predictions + 15)
    assert parts(RULE.judge(replace(one, candidate=moved)))[""] == "rejected"


@pytest.fixture
def project(promising: Promising, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return shutil.copytree(promising("regression"), tmp_path / "project")


def test_rows_that_calibrate_are_on_their_side(project: Path) -> None:
    assert {f.verdict for f in SplitKept().judge(case(project))} == {"passed"}
    with chdir(project / "data/prepared"):
        train, aside = (pq.read_table(name) for name in ("train", "calibration"))
        put(pa.concat_tables([train, aside]), Path("train"))
    found = {f.part: f.verdict for f in SplitKept().judge(case(project))}
    assert found["training"] == "rejected"
    assert found["calibration"] == "passed"
