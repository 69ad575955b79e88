"""A refresh moves the cut-off by the rule that was declared before, and by nothing else."""

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

from mlops.config.settings import Split
from mlops.data.fingerprints import digest, fingerprints
from mlops.data.prepare import prepare
from mlops.data.prepared import row_count
from mlops.gate import cutoff
from mlops.gate.case import Case
from mlops.gate.results import judged
from mlops.gate.rule import Finding, Rule
from mlops.gate.rules.comparison import NonInferiority
from mlops.gate.rules.holdout import HoldoutUnchanged, SplitKept, TimeOrder

Make = Callable[..., Case]
Rejected = Callable[[list[Finding]], set[str]]
Refreshed = Callable[..., Case]
STRICT = HoldoutUnchanged(at_most=0.0)
WAS = Split("time", cutoff="2025-03-01", holdout_days=61)
BY_RULE = "2025-04-01"  # 61 days before 2025-06-01, when the newest rows are


@pytest.fixture
def raw(project: Path) -> Path:
    """Six months of rows; the champion knew the first four."""
    from mlops.data.sample import write

    write(project / "data/raw", rows=1200, months=6)
    return project / "data/raw"


@pytest.fixture
def refreshed(make: Make, project: Path, raw: Path, tmp_path: Path) -> Refreshed:
    """Return the case of a refresh: a champion of four months, a candidate of all that raw has."""
    contract = make().settings.data
    known = tmp_path / "known"
    known.mkdir()
    for file in sorted(raw.iterdir())[:4]:
        shutil.copy(file, known)

    def case(cutoff: str = BY_RULE, was: Split = WAS, **changes: Any) -> Case:
        with chdir(tmp_path):
            prepare(contract, was, known, tmp_path / "before")
            now = msgspec.structs.replace(was, cutoff=cutoff, **changes)
            prepare(contract, now, raw, project / "data/prepared")
        place = tmp_path / f"champion-{len([*tmp_path.iterdir()])}"
        champion = shutil.copytree(project / "candidate", place)
        prints = fingerprints(tmp_path / "before/holdout", contract)
        made = make(champion)
        np.save(champion / "holdout.npy", prints)
        assert made.champion is not None
        bundle = made.champion.bundle
        bundle.manifest["holdout"] |= {"rows": len(prints), "digest": digest(prints)}
        settings = msgspec.structs.replace(bundle.settings, split=was)
        old = replace(made.champion, bundle=msgspec.structs.replace(bundle, settings=settings))  # type: ignore[type-var]
        settings = msgspec.structs.replace(made.settings, split=now)
        return replace(made, champion=old, settings=settings)

    return case


def test_the_cutoff_that_the_rule_gives_passes(refreshed: Refreshed, rejected: Rejected) -> None:
    case = refreshed()
    findings = STRICT.judge(case)
    assert not rejected(findings)
    assert findings[0].reason == (
        "the champion's cut-off was 2025-03-01, now it is 2025-04-01: 61 days before the newest "
        "row, of 2025-06-01, as was declared before"
    )
    assert findings[1].reason.startswith("0 of the 400 rows")
    assert not rejected(SplitKept().judge(case))
    assert not rejected(TimeOrder().judge(case))


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        ("2025-03-31", "is 2025-04-01: set split.cutoff to that"),
        ("2025-04-02", "is 2025-04-01"),
        ("2025-04-01T12:00:00", "is 2025-04-01"),
        ("2025-02-01", "is 2025-04-01"),
    ],
)
def test_another_cutoff_is_rejected(
    refreshed: Refreshed, rejected: Rejected, moved: str, said: str
) -> None:
    findings = STRICT.judge(refreshed(moved))
    assert "split" in rejected(findings)
    assert said in findings[0].reason


def test_the_cutoff_never_goes_back(refreshed: Refreshed, rejected: Rejected) -> None:
    was = msgspec.structs.replace(WAS, holdout_days=120)
    findings = STRICT.judge(refreshed("2025-02-01", was))
    assert rejected(findings) == {"split"}
    assert "is 2025-03-01" in findings[0].reason
    assert not rejected(STRICT.judge(refreshed("2025-03-01", was)))


@pytest.mark.parametrize("days", [None, 90])
def test_a_rule_that_comes_with_the_cutoff_moves_nothing(
    refreshed: Refreshed, rejected: Rejected, days: int | None
) -> None:
    was = msgspec.structs.replace(WAS, holdout_days=days)
    findings = STRICT.judge(refreshed(BY_RULE, was, holdout_days=61))
    assert rejected(findings) == {"split"}
    assert "leaves the cut-off as it was" in findings[0].reason
    dropped = STRICT.judge(refreshed("2025-04-10", WAS, holdout_days=None))
    assert rejected(dropped) == {"split"}


def test_a_rule_that_is_declared_alone_moves_no_row(
    refreshed: Refreshed, rejected: Rejected
) -> None:
    was = msgspec.structs.replace(WAS, holdout_days=None)
    findings = STRICT.judge(refreshed("2025-03-01", was, holdout_days=61))
    assert not rejected(findings)
    assert "the rule of the cut-off was none, now 61 days" in findings[0].reason


def test_the_rule_of_the_base_branch_counts(
    refreshed: Refreshed, rejected: Rejected, monkeypatch: pytest.MonkeyPatch
) -> None:
    was = msgspec.structs.replace(WAS, holdout_days=None)
    case = replace(refreshed(BY_RULE, was, holdout_days=61), base="0" * 40)
    for text, parts in (
        ("split: {method: time, cutoff: '2025-03-01', holdout_days: 61}", set()),
        ("split: {method: time, cutoff: '2025-03-01', holdout_days: 60}", {"split"}),
        ("split: 3", {"split"}),
        ("[", {"split"}),
        (None, {"split"}),
    ):
        monkeypatch.setattr(type(case.repository), "text_at", lambda *_, told=text: told)
        assert rejected(STRICT.judge(case)) == parts


@pytest.mark.parametrize(
    "more", [{"salt": "other"}, {"calibration": 0.3}], ids=["salt", "calibration"]
)
def test_nothing_else_may_move_with_the_cutoff(
    refreshed: Refreshed, rejected: Rejected, more: dict[str, Any]
) -> None:
    findings = STRICT.judge(refreshed(BY_RULE, WAS, **more))
    assert rejected(findings) == {"split"}


@pytest.mark.parametrize("month", ["2025-03", "2025-04"])  # now trains, now holds out
def test_rows_that_go_or_change_on_either_side_are_rejected(
    refreshed: Refreshed, rejected: Rejected, rewrite: Callable[..., None], raw: Path, month: str
) -> None:
    file = raw / f"{month}.parquet"
    rows = row_count(file)
    labels = pq.read_table(file).column("churned").to_numpy(zero_copy_only=False).copy()
    labels[:3] = ~labels[:3]
    rewrite(file, churned=labels)
    findings = STRICT.judge(refreshed())
    assert rejected(findings) == {"rows"}
    assert "3 have another label" in findings[1].reason
    rewrite(file, rows=np.arange(5, rows))
    case = refreshed()
    assert rejected(STRICT.judge(case)) == {"rows"}
    assert not rejected(HoldoutUnchanged(at_most=0.05).judge(case))


def test_a_row_of_the_future_moves_nothing(
    refreshed: Refreshed, rejected: Rejected, rewrite: Callable[..., None], raw: Path
) -> None:
    file = raw / "2025-06.parquet"
    late = pq.read_table(file).slice(0, 1)
    place = late.schema.get_field_index("month")
    moment = pa.array([np.datetime64("2099-01-01", "us")])
    rewrite(file, append=late.set_column(place, late.schema.field(place), moment))
    findings = STRICT.judge(refreshed("2098-11-03"))
    assert rejected(findings) == {"split"}
    assert "of 2099-01-01, which has not come" in findings[0].reason


def test_a_cutoff_that_is_no_date_is_rejected(refreshed: Refreshed) -> None:
    case = refreshed()
    split = msgspec.structs.replace(case.settings.split, cutoff="soon")
    case = replace(case, settings=msgspec.structs.replace(case.settings, split=split))
    move = cutoff.move(case, WAS)
    assert move is not None
    assert not move.accepted
    assert "soon" in move.reason


@pytest.mark.parametrize("turned", [False, True])
def test_a_split_by_something_else_is_no_move(refreshed: Refreshed, turned: bool) -> None:
    case = refreshed()
    splits = (case.settings.split, Split("hash"))
    was, now = splits if turned else reversed(splits)
    case = replace(case, settings=msgspec.structs.replace(case.settings, split=now))
    assert cutoff.move(case, was) is None


class Compared(Rule, frozen=True):
    """Passes, also on the champion's rows."""

    on_earlier_rows = True

    def judge(self, case: Case) -> list[Finding]:
        return [Finding("passed", f"{len(case.target)} rows")]


@pytest.mark.parametrize(("days", "verdict"), [(100, "passed"), (70, "not applicable")])
def test_too_few_of_the_champions_rows_judge_nothing_alone(
    refreshed: Refreshed, days: int, verdict: str
) -> None:
    was = msgspec.structs.replace(WAS, holdout_days=days, cutoff="2025-02-01")
    case = refreshed(str(np.datetime64("2025-06-01") - days), was)
    told, _ = judged("compared", Compared(), case)
    (_, earlier) = told["findings"]
    assert earlier["verdict"] == verdict
    assert ("200 of 600 are left" in earlier["reason"]) == (days == 70)


@pytest.mark.parametrize(
    ("noise", "verdict"), [(0.0, "passed"), (0.02, "not applicable"), (9.0, "rejected")]
)
def test_what_is_left_of_the_champions_rows_rejects_by_a_loss_that_it_shows(
    refreshed: Refreshed, noise: float, verdict: str
) -> None:
    """Two months are two units: an interval of theirs rules out nothing."""
    was = msgspec.structs.replace(WAS, holdout_days=100, cutoff="2025-02-01")
    case = refreshed(str(np.datetime64("2025-06-01") - 100), was)
    drawn = np.random.default_rng(1).normal(size=len(case.target))
    answers = np.clip(case.candidate.predictions + noise * drawn, 0.01, 0.99)
    case = replace(case, candidate=replace(case.candidate, predictions=answers))
    rule = NonInferiority(margins={"roc_auc": 0.05}, sides="two")
    told, _ = judged("compared", rule, case)
    earlier = told["findings"][-1]
    assert earlier["part"] == "roc_auc, on the champion's rows"
    assert earlier["verdict"] == verdict
