"""What owners wish, as the pages of a project have it: through gate and promotion to an answer.

Several examples make one pull request here; the others go through the workflows of the rehearsal.
"""

import json
import re
import shutil
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from baked import Project, sharing
from conftest import generate
from rehearsal.story import POLICY
from rehearsal.wishes import JUDGING, MAKING, MEASURED, documented
from served import serving
from sweeps import thorough

SMALL = """
data: {use: churn}
features: {use: churn}
model: {use: lightgbm, n_estimators: 50}
evaluation: {resamples: 50, importance_rows: 200}
"""


@pytest.fixture(scope="module")
def granted(tmp_path_factory: pytest.TempPathFactory, isolated: Path, template: Path) -> Project:
    """A branch with what makes the model, on a main with what judges it: its candidate is made."""
    project = started(tmp_path_factory.mktemp("granted"), isolated, template, POLICY)
    project.run("mlops", "sample", "--rows", "2000", "--months", "3")
    stock(project)
    project.run("dvc", "add", "--quiet", "data/raw")
    project.commit("Start")
    grant(project, JUDGING)
    project.run("git", "checkout", "--quiet", "-b", "wishes")
    grant(project, MAKING)
    project.run("dvc", "repro", "scores")
    project.commit("Candidate")
    return project


@pytest.fixture(scope="module")
def promoted(granted: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The candidate judged and made again, and declared for one environment after the other."""
    project = copied(granted, tmp_path_factory.mktemp("promoted"))
    project.run("mlops", "gate", "--against", "main", "--rederive")
    project.run("mlops", "promote")
    project.run("git", "checkout", "--quiet", "main")
    project.run("git", "merge", "--quiet", "--no-ff", "--message", "Wishes", "wishes")
    project.run("git", "checkout", "--quiet", "-b", "production")
    project.run("mlops", "promote", "--environment", "production", "--against", "main")
    project.run("mlops", "verify", "--against", "main")
    return project


def test_the_pipeline_has_stages_of_the_owners_before_and_behind(granted: Project) -> None:
    scores = pd.read_csv(granted.path / "reports/scores.csv")
    assert len(scores) == 2000
    assert not (granted.path / "data/raw.dvc").exists()
    assert [file.name for file in (granted.path / "data/raw").iterdir()] == ["ingested.parquet"]
    assert granted.run("git", "status", "--porcelain").stdout == ""
    assert "dvc add" not in granted.run("make", "-n", "repro").stdout


def test_features_of_a_text_and_by_a_package_reach_the_model(granted: Project) -> None:
    training = json.loads((granted.path / "candidate/training.json").read_text())
    assert {"lengths_1", "paid_late", "address_31", "season_1"} <= set(training["features"])
    assert training["runtime"] == "onnx"


def test_the_report_has_the_owners_section_and_look(granted: Project) -> None:
    report = (granted.path / "reports/report.html").read_text()
    assert "<h2>What it means for us</h2>" in report
    assert "--s0: #0f766e" in report


def test_the_gate_judges_by_the_owners_policy(promoted: Project) -> None:
    report = json.loads((promoted.path / "deploy/production/gate.json").read_text())
    verdicts = {one["name"]: one["verdict"] for one in report["rules"]}
    comparing = {"non_inferiority", "holdout_unchanged", "time_order"}  # none for a first model
    assert {name for name, one in verdicts.items() if one == "not applicable"} == comparing
    assert {"value", "spread", "reproduced", "lineage"} <= set(verdicts)
    assert set(verdicts.values()) == {"passed", "not applicable"}
    assert "lift" in {one["metric"] for one in report["metrics"]}
    assert "Before you approve" in (promoted.path / "reports/gate/gate.html").read_text()


def test_one_environment_after_the_other_declares_it(promoted: Project) -> None:
    pointers = [promoted.path / f"deploy/{name}/champion.dvc" for name in ("staging", "production")]
    assert pointers[0].read_bytes() == pointers[1].read_bytes()


def test_what_production_declares_answers(promoted: Project) -> None:
    row = golden(promoted)
    with champion(promoted) as address:
        status, answer = ask(address, "/predict", [row])
        (risk,) = [one["probabilities"]["true"] for one in answer["predictions"]]
        assert (status, risk) == (200, round(risk, 2))  # after
        assert ask(address, "/offers", [row]) == (200, {"offer": [0] if risk > 0.3 else []})
        status, answer = ask(address, "/predict", [{**row, "tenure_months": -1}])
        assert (status, answer["row"]) == (422, 0)  # before
        status, answer = ask(address, "/predict", [{**row, "region": "the moon"}])
        assert (status, answer["field"]) == (422, "region")  # unseen: refuse


def test_fetched_data_that_were_changed_are_rejected(granted: Project, tmp_path: Path) -> None:
    """The lock says what the stage wrote, where there is no pointer."""
    project = copied(granted, tmp_path)
    table = project.path / "data/raw/ingested.parquet"
    table.chmod(0o644)
    table.write_bytes(table.read_bytes() + b"0")
    assert project.run("mlops", "gate", "--against", "main", check=False).returncode == 1
    report = json.loads((project.path / "reports/gate/gate.json").read_text())
    said = " ".join(one["reason"] for one in report["reasons"])
    assert "data/raw is not what dvc.lock says" in said


@pytest.mark.parametrize("persist", [True, False])
def test_a_fetch_that_fails_stops_the_pipeline_with_a_sentence(
    granted: Project, tmp_path: Path, persist: bool
) -> None:
    """As the page has it: the old data stay under `persist`, and else DVC brings them back."""
    project = copied(granted, tmp_path)
    pipeline = project.path / "dvc.yaml"
    text = pipeline.read_text()
    assert "persist: true" in text
    pipeline.write_text(text.replace("persist: true", f"persist: {persist}".lower()))
    table = project.path / "data/raw/ingested.parquet"
    held = table.read_bytes()
    with closing(sqlite3.connect(project.path / "warehouse.db")) as warehouse:
        warehouse.execute("DROP TABLE bills")
    failed = project.run("dvc", "repro", "--force", "--single-item", "ingest", check=False)
    assert failed.returncode != 0
    assert re.search(
        "billed of src/project/sources.py failed .*no such table: bills", failed.stdout
    )
    assert table.exists() is persist
    if not persist:
        project.run("dvc", "checkout", "data/raw")
    assert table.read_bytes() == held


def test_a_table_is_adopted_once_no_stage_makes_the_data(granted: Project, tmp_path: Path) -> None:
    project = copied(granted, tmp_path)
    table = tmp_path / "table.csv"
    rows = [f"{row % 7},{row % 11},{'yes' if row % 5 < 2 else 'no'}" for row in range(700)]
    table.write_text("\n".join(["a,b,y", *rows, ""]))
    adopt = ("mlops", "adopt", str(table), "--target", "y")
    refused = project.run(*adopt, check=False)
    assert refused.returncode == 2
    assert "`dvc remove --outs ingest`" in refused.stdout
    assert project.run("git", "status", "--porcelain").stdout == ""
    project.run("dvc", "remove", "--outs", "ingest")
    project.run(*adopt)
    assert (project.path / "data/raw.dvc").is_file()


@thorough
def test_a_number_is_transformed_weighed_and_constrained(
    tmp_path: Path, isolated: Path, template: Path
) -> None:
    """A region of weight 0 teaches nothing; what is answered only rises with the kilometres."""
    policy = POLICY.replace("roc_auc", "r2").replace("at_least: 0.6", "at_least: 0.3")
    project = started(tmp_path, isolated, template, policy)
    claims().to_csv(project.path / "claims.csv", index=False)
    project.run("mlops", "adopt", "claims.csv", "--target", "cost")
    project.commit("Claims")
    project.run("git", "checkout", "--quiet", "-b", "wishes")
    grant(project, MEASURED)
    project.run("dvc", "repro", "bundle")
    project.commit("Candidate")
    project.run("mlops", "gate", "--against", "main")
    project.run("mlops", "promote")
    resolved = yaml.safe_load((project.path / "resolved.yaml").read_text())
    assert resolved["training"]["transform"] == "log"
    rows = [{"region": "city", "kilometres": at} for at in range(1, 40)]
    with champion(project) as address:
        _, answer = ask(address, "/predict", [*rows, {**rows[-1], "region": "islands"}])
    *costs, unweighted = [one["prediction"] for one in answer["predictions"]]
    assert np.all(np.diff(costs) >= 0)
    assert 50 < costs[0] < costs[-1] / 3
    assert unweighted > 50


def test_a_feature_that_looks_at_other_rows_fails_the_projects_own_tests(project: Project) -> None:
    with (project.path / "src/project/features.py").open("a") as file:
        file.write(
            '\n\n@feature("number")\ndef centred(x: Floats) -> Floats:\n    return x - x.mean()\n'
        )
    with (project.path / "conf/features/churn.yaml").open("a") as file:
        file.write("  centred: {function: centred, columns: [monthly_fee], owner: billing}\n")
    told = ("python", "-m", "pytest", "-q", "tests/test_wiring.py", "-k", "alone")
    failed = project.run(*told, check=False)
    assert failed.returncode == 1
    assert "Not equal to tolerance" in failed.stdout
    assert "centred" in failed.stdout


def claims() -> pd.DataFrame:
    """Return claims that cost more with the kilometres; those of the islands count nothing."""
    rng, rows = np.random.default_rng(0), 800
    kilometres = rng.uniform(1, 40, rows)
    region = rng.choice(["city", "country", "islands"], rows, p=[0.5, 0.45, 0.05])
    cost = np.where(
        region == "islands", 1, np.exp(4.5 + kilometres / 20 + rng.normal(0, 0.3, rows))
    )
    exposure = np.where(region == "islands", 0, rng.uniform(0.5, 1, rows))
    table = {"kilometres": kilometres, "exposure": exposure, "cost": cost}
    return pd.DataFrame({"region": region, **table}).round(2)


def started(folder: Path, isolated: Path, template: Path, policy: str) -> Project:
    """Bake a project with a remote of its own and this policy, in git."""
    project = sharing(generate(str(template), folder, isolated, {}), folder)
    (project.path / "conf/gate/standard.yaml").write_text(policy)
    (project.path / "params.yaml").write_text(SMALL)
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    project.run("dvc", "remote", "add", "--default", "--force", "storage", str(folder / "storage"))
    return project


def copied(project: Project, folder: Path) -> Project:
    """Copy a project into a folder."""
    path = folder / project.path.name
    shutil.copytree(project.path, path, symlinks=True)
    return sharing(path, folder)


def stock(project: Project) -> None:
    """Fill the warehouse with the sample's rows, in two tables."""
    rows = pd.concat(pd.read_parquet(file) for file in (project.path / "data/raw").iterdir())
    key, paid = ["customer_id", "month"], ["billed_at", "paid_at"]
    with closing(sqlite3.connect(project.path / "warehouse.db")) as warehouse:
        rows.drop(columns=paid).to_sql("customers", warehouse, index=False)
        rows[key + paid].to_sql("bills", warehouse, index=False)
    with (project.path / ".gitignore").open("a") as file:
        file.write("/warehouse.db\n")


def grant(project: Project, titles: Sequence[str]) -> None:
    """Do what the pages say, and commit it: nothing of the engine."""
    for title in titles:
        documented()[title].grant(project.path)
    project.run("ruff", "check", "--quiet", "--fix", ".")  # as `make format` does
    project.run("ruff", "format", "--quiet", ".")
    lock(project)
    project.commit("; ".join(titles))
    assert "engine/" not in project.run("git", "diff", "--name-only", "HEAD~1").stdout


def lock(project: Project) -> None:
    """Write the pins that `make lock` would, which asks an index.

    What `dev` has locked is taken as it is there, so a package of it needs no network.
    """
    groups = (project.path / "pyproject.toml").read_text()
    known = (project.path / "requirements/dev.txt").read_text()
    for name in re.findall(r'^serve = \["([a-z]+)"\]', groups, re.MULTILINE):
        pins = re.findall(rf"^{name}==.*\n(?:    --hash.*\n)+", known, re.MULTILINE)
        with (project.path / "requirements/serve.txt").open("a") as file:
            file.writelines(pins)


def golden(project: Project) -> dict[str, Any]:
    """Return a row that the candidate is known to answer."""
    recorded = json.loads((project.path / "candidate/golden.json").read_text())
    return dict(recorded[0]["row"])


def champion(project: Project) -> Any:
    """Fetch what production declares, and serve it."""
    project.run("dvc", "pull", "--quiet", "deploy/production/champion.dvc")
    return serving(project, project.path / "deploy/production/champion")


def ask(address: str, path: str, content: Any) -> tuple[int, Any]:
    """Return status and answer of a server."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(address + path, json.dumps(content).encode(), headers)
    try:
        with opener.open(request) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
