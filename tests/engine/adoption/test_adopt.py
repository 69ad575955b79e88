import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from baked import SOURCE

from mlops.adoption.adopt import adopt
from mlops.config.compose import composed, read_experiment
from mlops.config.settings import Settings
from mlops.errors import ProjectError
from mlops.git.repository import Repository

ROOT = SOURCE
ROWS = 300
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "age": RNG.integers(18, 80, ROWS),
        "income": RNG.normal(3000, 500, ROWS).round(2),
        "city": RNG.choice(["Rome", "Oslo", "Kyiv"], ROWS),
        "y": RNG.choice(["yes", "no"], ROWS, p=[0.3, 0.7]),
    }
)
CSV = TABLE.to_csv(index=False)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("empty")
    shutil.copytree(ROOT / "conf", root / "conf")
    (root / "params.yaml").write_text("# mine\nmodel:\n  use: boosting  # fast\n")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=root, check=True)
    return root


@pytest.fixture
def project(empty: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(empty, tmp_path / "project"))


def put(folder: Path, content: str | bytes = CSV, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def settings(project: Path) -> Settings:
    experiment = read_experiment(project / "params.yaml")
    return Settings.parse(composed(project / "conf", experiment))


def tree(project: Path) -> dict[str, bytes]:
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in sorted(project.rglob("*"))
        if path.is_file() and not {".dvc", ".git"} & set(path.relative_to(project).parts)
    }


def test_sets_the_experiment_on_the_data_and_keeps_the_rest(project: Path) -> None:
    adoption = adopt(Repository(project), put(project.parent), "y")
    assert settings(project).data == adoption.proposal.contract
    assert (project / "data/raw/table.csv").read_text() == CSV
    assert "md5:" in (project / "data/raw.dvc").read_text()
    assert (project / "params.yaml").read_text() == (
        "# mine\ndata:\n  use: table\nfeatures:\n  use: columns\nsplit:\n  use: hash\n"
        "model:\n  use: boosting  # fast\n"
    )
    assert str(adoption).startswith("table.csv is table: 300 rows, binary, target y (positive: yes")
    assert str(adoption).endswith("next: commit that, then dvc repro")


def test_a_split_by_time_is_offered_where_there_is_one(project: Path) -> None:
    days = pd.date_range("2020-01-01", periods=ROWS).strftime("%Y-%m-%d")
    file = put(project.parent, TABLE.assign(day=days).to_csv(index=False))
    assert "--time 'day' would hold out" in str(adopt(Repository(project), file, "y"))


def test_derived_features_get_a_file_and_time_a_cutoff(project: Path) -> None:
    days = pd.date_range("2020-01-01", periods=ROWS).strftime("%Y-%m-%d")
    file = put(project.parent, TABLE.assign(day=days).to_csv(index=False))
    assert "--time 'day' would" not in str(adopt(Repository(project), file, "y", time="day"))
    found = settings(project)
    assert (found.split.method, found.split.cutoff) == ("time", "2020-08-28")
    assert list(found.features.derived) == ["day_day_of_week"]


def test_adopting_twice_gives_the_same_files(project: Path) -> None:
    file = put(project.parent)
    adopt(Repository(project), file, "y")
    once = tree(project)
    adopt(Repository(project), file, "y")
    assert tree(project) == once
    adopt(Repository(project), project / "data/raw/table.csv", "y")
    assert tree(project) == once


def test_another_table_takes_the_place_of_a_versioned_one(project: Path) -> None:
    adopt(Repository(project), put(project.parent), "y")
    adopt(Repository(project), put(project.parent, name="Other Table (2).csv"), "city")
    assert [path.name for path in (project / "data/raw").iterdir()] == ["Other Table (2).csv"]
    assert settings(project).data.name == "other_table_2"
    assert settings(project).data.task == "multiclass"


@pytest.mark.parametrize(
    ("target", "name", "message"),
    [
        ("nothing", None, "no column 'nothing'"),
        ("y", "churn", "not from an adoption: choose another --name"),
    ],
)
def test_refuses_and_changes_nothing(
    project: Path, target: str, name: str | None, message: str
) -> None:
    before = tree(project)
    with pytest.raises(ProjectError, match=message):
        adopt(Repository(project), put(project.parent), target, name=name)
    assert tree(project) == before


def test_refuses_to_lose_unversioned_data_and_edits(project: Path) -> None:
    (project / "data/raw").mkdir(parents=True)
    mine = put(project / "data/raw", name="mine.csv")
    with pytest.raises(ProjectError, match=r"no copy of \(data/raw/mine.csv\)"):
        adopt(Repository(project), put(project.parent), "y")
    adopt(Repository(project), mine, "y")
    contract = project / "conf/data/mine.yaml"
    contract.write_text(contract.read_text().replace("max: 140", "max: 99"))
    edited = tree(project)
    with pytest.raises(ProjectError, match="was edited since its adoption"):
        adopt(Repository(project), mine, "y")
    assert tree(project) == edited
    subprocess.run(["git", "add", "conf"], cwd=project, check=True)
    subprocess.run(["git", "commit", "-qm", "x"], cwd=project, check=True)
    adopt(Repository(project), mine, "y")
    assert "max: 140" in contract.read_text()


def test_data_that_a_stage_makes_are_not_replaced(project: Path) -> None:
    stage = "stages:\n  orders:\n    cmd: mlops ingest\n    outs: [data/raw]\n"
    (project / "dvc.yaml").write_text(stage)
    before = tree(project)
    with pytest.raises(ProjectError, match=r"the stage orders of dvc\.yaml makes data/raw: take"):
        adopt(put(project.parent), "y", project=project)
    assert tree(project) == before
    (project / "dvc.yaml").write_text(stage.replace("[data/raw]", "[elsewhere]"))
    assert adopt(put(project.parent), "y", project=project).written


def test_a_model_that_does_not_suit_the_task_changes_nothing(project: Path) -> None:
    (project / "params.yaml").write_text("model: {use: logistic}\n")
    before = tree(project)
    with pytest.raises(ProjectError, match=r"set model\.use to one of"):
        adopt(Repository(project), put(project.parent), "income")
    assert tree(project) == before


def test_a_failure_of_dvc_changes_nothing(project: Path) -> None:
    (project / ".dvc/config").write_text("[core\n")
    before = tree(project)
    with pytest.raises(ProjectError, match="dvc add"):
        adopt(Repository(project), put(project.parent), "y")
    assert tree(project) == before


def test_runs_in_a_project_only(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="run this in a project's root folder"):
        adopt(Repository(tmp_path), put(tmp_path), "y")
