"""A feature of the past as its page has it: joined, in the bundle, in the gate, and made again."""

import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from baked import SOURCE, Project, sharing
from rehearsal.wishes import wishes
from sweeps import thorough

TITLE = "A feature of calls to support"
CALLER, ANOTHER = "C0000001645", "C0000002079"
FIRST = "data/tables/calls/date=2025-01-07/calls.csv"
LATE = "data/tables/calls/date=2025-02-20/calls.csv"
KNOWN = "2025-03-01"
CALL = f"{ANOTHER},2025-02-20T10:00,2025-02-20T11:00,9,50,bill\n"


@pytest.fixture(scope="module")
def viewed(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The sample with the page's example on a branch, whose candidate is made and committed."""
    path = tmp_path_factory.mktemp("viewed") / finished.path.name
    shutil.copytree(finished.path, path, symlinks=True)
    project = sharing(path, path.parent)
    project.run("git", "checkout", "--quiet", "-b", "calls")
    page = (SOURCE / "engine/docs/features.md").read_text(encoding="utf-8")
    {wish.title: wish for wish in wishes(page)}[TITLE].grant(path)
    project.run("dvc", "add", "--quiet", "data/tables/calls")
    project.commit("Calls")
    project.run("dvc", "repro")
    project.commit("Candidate")
    return project


def copied(project: Project, tmp_path: Path) -> Project:
    path = tmp_path / project.path.name
    shutil.copytree(project.path, path, symlinks=True)
    return sharing(path, tmp_path)


def prepared(project: Project, customer: str) -> dict[str, tuple[object, ...]]:
    """Return the features of a customer by month."""
    names = ["last_topic", "calls_30d", "fault_minutes", "call_pressure"]
    rows = [
        row
        for file in sorted((project.path / "data/prepared").rglob("*.parquet"))
        for row in pq.ParquetFile(file).read(["customer_id", "month", *names]).to_pylist()
    ]
    return {
        str(row["month"].date()): tuple(row[name] for name in names)
        for row in rows
        if row["customer_id"] == customer
    }


def test_a_row_has_what_was_known_at_its_time(viewed: Project) -> None:
    found = prepared(viewed, CALLER)
    assert found["2025-01-01"] == (None, 0.0, 0.0, 0.0)
    assert found["2025-02-01"][:3] == ("fault", 2.0, 310.0)
    assert 0 < float(str(found["2025-02-01"][3])) < 335
    training = json.loads((viewed.path / "candidate/training.json").read_text())
    assert "fault_minutes" in str(training["features"])


def test_nothing_is_left_to_run_or_to_commit(viewed: Project) -> None:
    assert "Running stage" not in viewed.run("dvc", "repro").stdout
    assert viewed.run("git", "status", "--porcelain").stdout == ""
    manifest = json.loads((viewed.path / "candidate/manifest.json").read_text())
    assert [one["name"] for one in manifest["lineage"]["tables"]] == [FIRST]


def test_somebody_finds_it_and_sees_who_uses_it(viewed: Project) -> None:
    printed = viewed.run("mlops", "features", "list", "fault").stdout
    assert "support: What a customer's calls to support say" in printed
    assert "used by conf/features/churn.yaml" in printed
    assert "no view says weather" in viewed.run("mlops", "features", "list", "weather").stdout
    assert "computed: sum(minutes)" in viewed.run("mlops", "features", "show", "support").stdout
    assert "data/tables/calls: 1 files, 2025-01-07" in (
        viewed.run("mlops", "features", "lineage", "support").stdout
    )
    failed = viewed.run("mlops", "features", "show", "suport", check=False)
    assert (failed.returncode, "choose from support" in failed.stdout) == (2, True)


@thorough
def test_a_store_is_filled_with_what_production_reads(viewed: Project, tmp_path: Path) -> None:
    project = copied(viewed, tmp_path)
    view = next((project.path / "conf/feature_views").glob("*.yaml"))
    view.write_text(view.read_text() + "online: true\n")
    project.run("dvc", "repro")
    champion = project.path / "deploy/production/champion"
    shutil.copytree(project.path / "candidate", champion)
    project.run("dvc", "add", "--quiet", "deploy/production/champion")
    failed = project.run("make", "materialise", check=False)
    assert "MLOPS_ONLINE names no store" in failed.stdout
    store = project.path / "data/online.db"
    told = Project(
        project.path, {**project.environment, "MLOPS_ONLINE": f"sqlite:///{store}", "AT": KNOWN}
    )
    assert " entities as of " in told.run("make", "materialise").stdout
    assert store.is_file()


def test_it_is_checked(viewed: Project) -> None:
    viewed.run("mlops", "features", "check", "--now", "2025-06-01")
    early = viewed.run("mlops", "features", "check", "--now", "2025-01-06", check=False)
    assert (early.returncode, "3 rows have yet to happen" in early.stdout) == (1, True)


def test_a_late_file_computes_what_may_depend_on_it(viewed: Project, tmp_path: Path) -> None:
    project = copied(viewed, tmp_path)
    late = project.path / LATE
    late.parent.mkdir(parents=True)
    head = (project.path / FIRST).read_text().partition("\n")[0]
    late.write_text(f"{head}\n{CALL}")
    project.run("dvc", "add", "--quiet", "data/tables/calls")
    printed = project.run("dvc", "repro", "prepare").stdout
    assert re.search(r"2 of 3 parts computed", printed)  # February's labels are within lateness
    assert prepared(project, ANOTHER)["2025-03-01"][:2] == ("bill", 1.0)
    told = project.run("mlops", "features", "lineage", "support", "--against", "HEAD").stdout
    assert re.search(r"calls_30d: 0\.05 % of 2,000 rows differ, by at most 1\b", told)
    assert "fault_minutes: the same in all 2,000 rows" in told
    whole = {f.relative_to(project.path): f.read_bytes() for f in parts(project)}
    shutil.rmtree(project.path / "data/prepared")
    project.run("mlops", "prepare")
    assert whole == {f.relative_to(project.path): f.read_bytes() for f in parts(project)}


def test_raw_rows_are_scored_as_they_were_prepared(viewed: Project, tmp_path: Path) -> None:
    """A table of keys and times is enough; what was joined is in the lineage of the answers."""
    raw = sorted((viewed.path / "data/raw").glob("*.parquet"))[-1]
    project = copied(viewed, tmp_path)
    project.run("mlops", "predict", str(raw), "--out", "raw.parquet")
    lineage = json.loads((project.path / "raw.parquet.lineage.json").read_text())
    assert [one["name"] for one in lineage["tables"]] == [FIRST]
    (part,) = (project.path / "data/prepared/holdout").glob(raw.name)
    printed = project.run("mlops", "predict", str(part), "--out", "known.parquet").stdout
    assert "all that the model reads of the view support" in printed
    answered, known = (
        {row["customer_id"]: row for row in pq.read_table(project.path / name).to_pylist()}
        for name in ("raw.parquet", "known.parquet")
    )
    assert len(known) > 50
    assert {name: answered[name] for name in known} == known


@thorough
def test_the_projects_own_loop_passes_with_a_view(viewed: Project, tmp_path: Path) -> None:
    printed = copied(viewed, tmp_path).run("pytest", "-q", "tests/test_loop.py").stdout
    assert "4 passed" in printed


def parts(project: Project) -> list[Path]:
    return sorted((project.path / "data/prepared").rglob("*.*"))


def judged(project: Project) -> dict[str, list[str]]:
    """Gate against main, and return what was not passed by rule."""
    project.run("mlops", "gate", "--against", "main", "--rederive", check=False)
    report = json.loads((project.path / "reports/gate/gate.json").read_text())
    verdicts = {one["name"]: one["verdict"] for one in report["rules"]}
    reasons = [one["reason"] for one in report["reasons"]]
    return {"verdicts": [verdicts["lineage"], verdicts["reproduced"]], "reasons": reasons}


@thorough
def test_the_gate_makes_it_again_and_refuses_another_table(viewed: Project, tmp_path: Path) -> None:
    project = copied(viewed, tmp_path)
    assert judged(project)["verdicts"] == ["passed", "passed"]
    table = project.path / FIRST
    text = table.read_text()
    table.unlink()
    table.write_text(text.replace("310", "31"))
    found = judged(project)
    assert found["verdicts"] == ["rejected", "rejected"]
    assert "1 files of tables are not those of the manifest" in str(found["reasons"])
