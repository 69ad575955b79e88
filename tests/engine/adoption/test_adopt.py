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
from mlops.data.splitting import keys
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
        "  columns: [income]\nmodel:\n  use: boosting  # fast\n"
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


def test_refuses_to_lose_unversioned_data(project: Path) -> None:
    (project / "data/raw").mkdir(parents=True)
    put(project / "data/raw", name="mine.csv")
    with pytest.raises(ProjectError, match=r"no copy of \(data/raw/mine.csv\)"):
        adopt(Repository(project), put(project.parent), "y")


def commit(project: Path) -> None:
    subprocess.run(["git", "add", "conf", "params.yaml"], cwd=project, check=True)
    subprocess.run(["git", "commit", "-qm", "x"], cwd=project, check=True)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_is_ignored_since_is_derived_from_no_more(project: Path) -> None:
    table = TABLE.assign(
        note=[f"customer number {n} asked about the bill" for n in range(ROWS)],
        invoice=[3_000_000_000 + 7 * n for n in range(ROWS, 0, -1)],
        day=pd.date_range("2020-01-01", periods=ROWS).strftime("%Y-%m-%d"),
    )
    file = put(project.parent, table.to_csv(index=False))
    said = str(adopt(Repository(project), file, "y"))
    assert "check: note: a text of which words are counted" in said
    assert "check: invoice has numbers that a float32 cannot hold, like 300000" in said
    found = settings(project).features
    assert found.exclude == ["invoice"]
    assert {"note_words", "invoice_above", "day_day_of_week"} <= set(found.derived)
    commit(project)
    contract = project / "conf/data/table.yaml"
    edit(contract, "note:\n    type: text", "note:\n    type: text\n    role: ignored")
    edit(contract, "invoice: {type: integer", "invoice: {role: ignored, type: integer")
    adopt(Repository(project), file, "y")
    found = settings(project).features
    assert found.exclude == []
    assert set(found.derived) == {"day_day_of_week"}


def test_adopting_again_keeps_edits_and_says_what_the_table_says(project: Path) -> None:
    days = pd.date_range("2020-01-01", periods=ROWS).strftime("%Y-%m-%d")
    table = TABLE.assign(day=days)
    adopt(Repository(project), put(project.parent, table.to_csv(index=False)), "y")
    commit(project)
    edit(project / "conf/features/table.yaml", "exclude: []", "exclude: [age]")
    contract = project / "conf/data/table.yaml"
    edit(contract, "max: 140", "max: 99")
    edit(project / "params.yaml", "  use: hash\n", "  use: hash\n  salt: mine\n")
    cities = table.assign(city=TABLE.city.replace("Kyiv", "Lima"), extra=range(ROWS, 0, -1))
    file = put(project.parent, cities.to_csv(index=False))
    for time in range(2):  # a second time it still knows what is edited
        said = str(adopt(Repository(project), file, "y"))
        found = settings(project)
        assert found.data.columns["age"].max == 99
        assert "kept as edited: age: max 99, where the table says 140" in said
        assert ("added: extra" in said) == (time == 0)
        assert found.data.columns["city"].categories == ["Lima", "Oslo", "Rome"]
        assert found.data.columns["extra"].type == "integer"
        assert found.split.salt == "mine"
        assert "kept as edited: conf/features/table.yaml" in said
        assert found.features.exclude == ["age"]
    adopt(Repository(project), file, "y", anew=True)
    assert settings(project).data.columns["age"].max == 140
    assert settings(project).features.exclude == []


def test_a_key_that_is_named_later_decides_the_split(project: Path) -> None:
    """Without one, the columns that tell rows apart did."""
    visits = pd.DataFrame(
        {
            "cust": np.repeat(np.arange(100), 3),
            "a": RNG.normal(size=ROWS).round(6),
            "b": RNG.normal(size=ROWS).round(6),
            "y": TABLE.y,
        }
    )
    file = put(project.parent, visits.to_csv(index=False))
    first = str(adopt(Repository(project), file, "y"))
    assert settings(project).split.columns == ["a"]
    assert "split: by hash of a" in first.splitlines()
    edit(project / "params.yaml", "  use: hash\n", "  use: hash\n  salt: mine\n")
    commit(project)
    assert "split: by hash of a" in str(adopt(Repository(project), file, "y")).splitlines()
    keyed = str(adopt(Repository(project), file, "y", key="cust"))
    assert "split: by hash of cust" in keyed.splitlines()
    split = settings(project).split
    assert (split.columns, split.salt) == ([], "mine")
    assert keys(settings(project).data, split) == ("cust",)
    again = str(adopt(Repository(project), file, "y"))
    assert "split: by hash of cust" in again.splitlines()


def test_another_table_inherits_no_columns_of_the_split(project: Path) -> None:
    visits = TABLE.assign(a=RNG.normal(size=ROWS).round(6)).drop(columns=["age", "income"])
    adopt(Repository(project), put(project.parent, visits.to_csv(index=False)), "y")
    assert settings(project).split.columns
    commit(project)
    (project / "data/raw/table.csv").unlink()
    other = put(project.parent, TABLE.assign(id=range(ROWS)).to_csv(index=False), "other.csv")
    said = str(adopt(Repository(project), other, "y", key="id"))
    assert "split: by hash of id" in said.splitlines()
    assert settings(project).split.columns == []


def test_what_was_said_of_columns_is_said_once(project: Path) -> None:
    """Adopting again asks for no option again; another one takes its place."""
    days = pd.date_range("2026-01-01", periods=ROWS).strftime("%Y-%m-%d")
    table = TABLE.assign(day=days, flat=np.arange(ROWS) // 10 + 0.5, id=range(ROWS))
    file = put(project.parent, table.to_csv(index=False))
    adopt(Repository(project), file, "y", group="flat", key="id")
    commit(project)
    adopt(Repository(project), file, "y")
    found = settings(project)
    assert (found.split.method, found.data.names("group")) == ("group", ("flat",))
    assert found.data.names("id") == ("id",)
    adopt(Repository(project), file, "y", time="day")
    found = settings(project)
    assert (found.split.method, found.data.time) == ("time", "day")
    assert not found.data.names("group")
    commit(project)
    (project / "data/raw/table.csv").unlink()
    without = put(project.parent, table.drop(columns=["id", "day"]).to_csv(index=False))
    with pytest.raises(ProjectError, match=r"no column of role time: .* set split\.use to hash"):
        adopt(Repository(project), without, "y")
    edit(project / "params.yaml", "use: time", "use: hash")
    adopt(Repository(project), without, "y")
    assert settings(project).split.method == "hash"


def test_a_key_does_not_end_a_split_by_time(project: Path) -> None:
    days = pd.date_range("2026-01-01", periods=ROWS).strftime("%Y-%m-%d")
    file = put(project.parent, TABLE.assign(day=days, id=range(ROWS)).to_csv(index=False))
    adopt(Repository(project), file, "y", time="day")
    before = settings(project).split
    said = str(adopt(Repository(project), file, "y", key="id"))
    assert settings(project).split == before
    assert f"split: by time from {before.cutoff} of day" in said.splitlines()


def test_edits_that_cannot_be_merged_are_refused_and_nothing_changes(project: Path) -> None:
    file = put(project.parent)
    adopt(Repository(project), file, "y")
    edit(project / "conf/data/table.yaml", "max: 140", "max: 99")
    before = tree(project)
    with pytest.raises(ProjectError, match=r"predicts y \(binary\), and the table .* --anew"):
        adopt(Repository(project), file, "city")
    assert tree(project) == before


def test_data_that_a_stage_makes_are_not_replaced(project: Path) -> None:
    stage = "stages:\n  orders:\n    cmd: mlops ingest\n    outs: [data/raw]\n"
    (project / "dvc.yaml").write_text(stage)
    before = tree(project)
    with pytest.raises(ProjectError, match=r"the stage orders of dvc\.yaml makes data/raw: take"):
        adopt(Repository(project), put(project.parent), "y")
    assert tree(project) == before
    (project / "dvc.yaml").write_text(stage.replace("[data/raw]", "[elsewhere]"))
    assert adopt(Repository(project), put(project.parent), "y").written


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
