"""What is promoted was made again, from what a commit pins."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from in_process import in_process

from mlops.bundle import manifest
from mlops.bundle.assembly import bundle
from mlops.config.settings import Settings, load
from mlops.data import prepare as stage
from mlops.data import prepared
from mlops.gate.case import Case, Judged
from mlops.gate.redecision import EVIDENCE, findings
from mlops.gate.rederivation import Rederived, rederived
from mlops.gate.rule import Finding
from mlops.gate.rules.reproduced import Reproduced
from mlops.git import dvc
from mlops.git.repository import Repository
from mlops.training.fitting import train

Make = Callable[..., Case]
Rejected = Callable[[list[Finding]], set[str]]
RULE = Reproduced(tolerance=1e-6, minutes=5)
IGNORED = "/candidate\n/data/raw\n/data/prepared\n/model\n/.mlops\n__pycache__\n"


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "-q", "--allow-empty", "-m", "x")


def point(root: Path) -> None:
    """Write the pointer of the raw data that are there."""
    out = {"md5": dvc.dvc_digest(root / "data/raw"), "hash": "md5", "path": "raw"}
    (root / "data/raw.dvc").write_text(yaml.safe_dump({"outs": [out]}))


@pytest.fixture
def committed(project: Path) -> Path:
    """The project, committed."""
    point(project)
    (project / ".gitignore").write_text(IGNORED)
    git(project, "init", "-q", "-b", "main")
    commit(project)
    return project


def append(root: Path, name: str, text: str) -> None:
    path = root / name
    path.write_text((path.read_text() if path.exists() else "") + text)


def test_what_the_pinned_inputs_make_passes(
    committed: Path, make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    findings = RULE.judge(make(rederive=True))
    assert [(one.part, one.verdict) for one in findings] == [
        ("rows", "passed"),
        ("predictions", "passed"),
    ]
    assert findings[1].value == 0.0
    said = capfd.readouterr().err
    assert all(f"again: {name}" in said for name in ("resolve", "prepare", "train", "predict"))


def test_it_is_pending_where_nobody_asked(committed: Path, make: Make) -> None:
    (finding,) = RULE.judge(make())
    assert finding.verdict == "pending"
    assert "mlops gate --rederive" in finding.reason


def test_a_model_fitted_on_the_holdout_by_code_that_no_commit_has(
    committed: Path, make: Make, rejected: Rejected
) -> None:
    """Every digest of its manifest holds; the stages run again are the way out."""
    with chdir(committed):
        settings = load()
        shutil.move("data/prepared/train", "honest")
        shutil.copytree("data/prepared/holdout", "data/prepared/train")
        train(settings)
        shutil.rmtree("data/prepared/train")
        shutil.move("honest", "data/prepared/train")
        bundle(settings)
    findings = RULE.judge(make(rederive=True))
    assert rejected(findings) == {"predictions"}
    assert findings[1].value is not None
    assert findings[1].value > 0.1
    assert "dvc repro --force --downstream prepare" in findings[1].reason
    with chdir(committed):
        train(settings)
        bundle(settings)
    assert not rejected(RULE.judge(make(rederive=True)))


def test_other_rows_are_rejected(
    committed: Path, make: Make, rejected: Rejected, rewrite: Callable[..., None]
) -> None:
    path = committed / "data/prepared/train"
    rows = prepared.row_count(path)
    rewrite(path, rows=np.arange(1, rows))
    findings = RULE.judge(make(rederive=True))
    assert rejected(findings) == {"rows"}
    assert "other training rows" in findings[0].reason
    with chdir(committed):
        settings: Settings = load()
        stage.prepare(settings.data, settings.split)
    assert not rejected(RULE.judge(make(rederive=True)))


def test_the_working_tree_is_not_believed(committed: Path, make: Make) -> None:
    """What is not committed has no part in it, neither code nor configuration nor a study."""
    append(committed, "src/project/features.py", "\nraise SystemExit('not of the commit')\n")
    append(committed, "params.yaml", "tuning: {use: none, trials: 3, unheard: of}\n")
    (committed / ".mlops").mkdir(exist_ok=True)
    (committed / ".mlops/studies.db").write_text("no database")
    case = make(rederive=True)
    assert {one.verdict for one in RULE.judge(case)} == {"passed"}


def test_no_secret_is_there_to_be_read(
    committed: Path, make: Make, rejected: Rejected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    spying = "import os\nraise SystemExit(repr({**os.environ}))\n"
    append(committed, "engine/src/mlops/training/__init__.py", spying)
    commit(committed)
    findings = RULE.judge(make(rederive=True))
    assert rejected(findings) == {"train"}
    assert "PATH" in findings[0].reason
    assert "secret" not in findings[0].reason
    assert os.environ["HOME"] not in findings[0].reason


def test_other_raw_data_are_not_taken(committed: Path, make: Make, rejected: Rejected) -> None:
    case = make(rederive=True)
    extra = committed / "data/raw/2025-09.parquet"
    shutil.copy(committed / "data/raw/2025-02.parquet", extra)
    findings = RULE.judge(case)
    assert rejected(findings) == {"data"}
    assert "dvc checkout data/raw.dvc" in findings[0].reason
    extra.unlink()
    assert not rejected(RULE.judge(case))
    shutil.rmtree(committed / "data/raw")
    assert "dvc pull" in RULE.judge(case)[0].reason


def test_raw_data_of_a_stage_are_pinned_by_the_lock(
    committed: Path, make: Make, rejected: Rejected
) -> None:
    (committed / "data/raw.dvc").unlink()
    commit(committed)
    findings = RULE.judge(make(rederive=True))
    assert rejected(findings) == {"data"}
    out = {"path": "data/raw", "hash": "md5", "md5": dvc.dvc_digest(committed / "data/raw")}
    content = {"schema": "2.0", "stages": {"extract": {"cmd": "x", "outs": [out]}}}
    (committed / "dvc.lock").write_text(yaml.safe_dump(content))
    commit(committed)
    assert not rejected(RULE.judge(make(rederive=True)))


def test_a_stage_that_fails_says_why(committed: Path, make: Make, rejected: Rejected) -> None:
    case = make(rederive=True)
    append(committed, "params.yaml", "unheard: {of: 1}\n")
    commit(committed)
    findings = RULE.judge(case)
    assert rejected(findings) == {"resolve"}
    assert "unheard" in findings[0].reason


def test_it_ends_after_its_minutes(committed: Path, make: Make, rejected: Rejected) -> None:
    findings = Reproduced(tolerance=1e-6, minutes=0.001).judge(make(rederive=True))
    assert rejected(findings) == {"resolve"}
    assert "reproduced.minutes" in findings[0].reason


@pytest.fixture
def pinned(tmp_path: Path) -> Callable[[Path], Path]:
    """Return what makes a committed copy of a project."""

    def copy(project: Path) -> Path:
        root = Path(shutil.copytree(project, tmp_path / "p"))
        point(root)
        (root / ".gitignore").write_text(IGNORED)
        git(root, "init", "-q", "-b", "main")
        commit(root)
        return root

    return copy


def case_of(root: Path) -> Case:
    """Return the case of a project that is none of the fixture's."""
    settings = load(root / "resolved.yaml")
    columns = prepared.read(root / "data/prepared/holdout", settings.data)
    candidate = in_process(root / "candidate")
    answers = Judged(root / "candidate", candidate, candidate.answer(columns))
    target = prepared.target(columns, settings.data)
    return Case(Repository(root), settings, answers, None, columns, target, rederive=True)


def changed(root: Path, name: str, edit: Callable[[Any], None]) -> None:
    """Change a file of the candidate, and seal it anew."""
    path = root / "candidate" / name
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    about = manifest.read(root / "candidate")
    del about["files"]
    manifest.write(root / "candidate", about)


def test_a_decision_that_the_inputs_do_not_make_is_rejected(
    valued: Path, pinned: Callable[[Path], Path], rejected: Rejected, tmp_path: Path
) -> None:
    root = pinned(valued)
    assert [(one.part, one.verdict) for one in RULE.judge(case_of(root))] == [
        ("rows", "passed"),
        ("predictions", "passed"),
        ("decision", "passed"),
        ("decision's worth", "passed"),
    ]
    shutil.copytree(root / "candidate", tmp_path / "kept")
    forged: list[tuple[str, Callable[[Any], None], set[str]]] = [
        ("decision.json", lambda one: one.update(threshold=0.6), {"decision", "decision's worth"}),
        ("decision.json", lambda one: one.update(costs=[0, 4]), {"decision"}),
        ("decision.json", lambda one: one.update(break_even=0.1), {"decision", "decision's worth"}),
        ("metrics.json", lambda one: one["value"].update(chosen=9.0), {"decision's worth"}),
        ("metrics.json", lambda one: one["value"]["gain"]["nothing"].update(low=9.0),
         {"decision's worth"}),
        ("metrics.json", lambda one: one.pop("value"), {"decision's worth"}),
    ]  # fmt: skip
    with rederived(Repository(root), 5) as made:
        for name, edit, wrong in forged:
            changed(root, name, edit)
            found = findings(case_of(root), made, RULE.tolerance)
            assert rejected(found) == wrong, name
            assert all("dvc repro --force" in one.reason for one in found if one.part in wrong)
            shutil.rmtree(root / "candidate")
            shutil.copytree(tmp_path / "kept", root / "candidate")
        assert not rejected(findings(case_of(root), made, RULE.tolerance))
        # Another processor's threshold is as good where it brings as much on these rows.
        near = made._replace(choice=np.add(made.choice, [[1e-9], [0.0], [0.0]]))
        assert not rejected(findings(case_of(root), near, RULE.tolerance))
        assert rejected(findings(case_of(root), made._replace(decision=None), 1e-6)) == {"decision"}


def test_what_a_table_of_several_labels_does_not_bring_is_rejected(
    bidding: Path, rejected: Rejected, tmp_path: Path
) -> None:
    forged: list[Callable[[Any], None]] = [
        lambda one: one["value"]["gain"]["pass"].update(low=9.0),
        lambda one: one["value"]["acted"].update(bid=0.9),
        lambda one: one.pop("value"),
    ]
    made = Rederived("0" * 40, bidding / "data/prepared", np.zeros(0))
    for number, edit in enumerate([lambda _: None, *forged]):
        root = Path(shutil.copytree(bidding, tmp_path / f"p{number}"))
        changed(root, "metrics.json", edit)
        (found,) = findings(case_of(root), made, RULE.tolerance)
        assert (found.part, rejected([found])) == (EVIDENCE, {EVIDENCE} if number else set())
        assert ("dvc repro --force" in found.reason) == bool(number)


def test_intervals_that_the_inputs_do_not_make_are_rejected(
    promising: Callable[[str], Path], pinned: Callable[[Path], Path], rejected: Rejected
) -> None:
    root = pinned(promising("regression"))
    assert [(one.part, one.verdict) for one in RULE.judge(case_of(root))] == [
        ("rows", "passed"),
        ("predictions", "passed"),
        ("intervals", "passed"),
    ]
    changed(
        root, "intervals.json", lambda one: one["widths"].update(villa=one["widths"]["villa"] * 3)
    )
    assert rejected(RULE.judge(case_of(root))) == {"intervals"}
