"""What an owner's own code adds to the pipeline goes through DVC and the gate as the rest does."""

import json
from typing import Any

import pytest
import yaml
from baked import Project

SOURCES = '''

import pandas as pd


def orders():
    """Fetch the rows, here from a folder outside, as a query would."""
    for file in sorted(Path("warehouse").glob("*.parquet")):
        yield pd.read_parquet(file)
'''
FEATURES = '''

@feature("text", "number")
def provider(addresses, spent):
    """Return how long the name of the provider is, less what was spent."""
    names = [None if text is None else text.partition("@")[2] for text in addresses]
    return np.array([np.nan if name is None else len(name) for name in names]) - spent
'''
CLEANING = '''

from mlops.features.cleaning import cleaning


@cleaning("text")
def lowered(texts):
    """Write addresses in small letters."""
    return np.array([None if text is None else text.lower() for text in texts], dtype=object)
'''
FIRST = "import numpy as np\n"


def write(project: Project, name: str, text: str, first: str = "") -> None:
    """Add code to a file of the owner's."""
    file = project.path / name
    before = file.read_text(encoding="utf-8")
    docstring, _, rest = before.partition('"""\n')
    file.write_text(f'{docstring}"""\n{first}{rest}{text}', encoding="utf-8")


def merge(project: Project, path: str, keys: dict[str, Any]) -> None:
    """Change keys of a YAML file."""
    file = project.path / path
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump({**content, **keys}, sort_keys=False), encoding="utf-8")


@pytest.fixture
def staged(candidate: Project) -> Project:
    """A project whose data come from a stage of its own, with one more behind ours."""
    root = candidate.path
    (root / "data/raw").rename(root / "warehouse")
    (root / "data/raw.dvc").unlink()
    ignored = (root / ".gitignore").read_text(encoding="utf-8")
    (root / ".gitignore").write_text(f"{ignored}/warehouse\n/summary\n", encoding="utf-8")
    write(candidate, "src/project/sources.py", SOURCES, "from pathlib import Path\n")
    merge(candidate, "conf/data/churn.yaml", {"source": {"ingest": "orders"}})
    stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    outs = [{"data/raw": {"persist": True}}]
    before = {"cmd": "mlops ingest", "deps": ["src/project/sources.py"], "outs": outs}
    after = {"cmd": "cp candidate/card.md summary", "deps": ["candidate"], "outs": ["summary"]}
    merge(candidate, "dvc.yaml", {"stages": {"ingest": before, **stages, "summary": after}})
    return candidate


def test_what_an_owner_adds_is_computed_and_judged(staged: Project) -> None:
    """Stages before and after ours; a cleaned text as feature; rows that are weighed."""
    root = staged.path
    columns = yaml.safe_load((root / "conf/data/churn.yaml").read_text(encoding="utf-8"))["columns"]
    columns["email"] = {"type": "text", "nullable": True, "owner": "crm", "pii": True}
    columns["tenure_months"] = {"type": "integer", "min": 0, "role": "weight", "owner": "sales"}
    merge(staged, "conf/data/churn.yaml", {"columns": columns})
    write(staged, "src/project/features.py", FEATURES)
    write(staged, "src/project/cleaning.py", CLEANING, "import numpy as np\n")
    asked = yaml.safe_load((root / "conf/features/churn.yaml").read_text(encoding="utf-8"))
    derived = {"function": "provider", "columns": ["email", "monthly_fee"], "owner": "crm"}
    asked |= {"derived": {**asked["derived"], "provider": derived}}
    asked |= {"cleaned": {"email": {"function": "lowered"}}}
    merge(staged, "conf/features/churn.yaml", asked)
    staged.commit("Own code")
    staged.run("dvc", "repro")
    staged.commit("Candidate")
    staged.run("mlops", "gate", "--against", "main~1")
    report = json.loads((root / "reports/gate/gate.json").read_text(encoding="utf-8"))
    verdicts = {one["rule"]: one["verdict"] for one in report["rules"]}
    assert {verdicts[name] for name in ("lineage", "parity", "stability", "leakage")} == {"passed"}
    training = json.loads((root / "candidate/training.json").read_text(encoding="utf-8"))
    assert "provider" in training["features"]
    assert "tenure_months" not in training["features"]
    assert (root / "summary").read_bytes() == (root / "candidate/card.md").read_bytes()
    assert not (root / "data/raw.dvc").exists()
    assert staged.run("git", "status", "--porcelain").stdout == ""

    table = root / "data/raw/ingested.parquet"
    staged.run("mlops", "predict", str(table), "--out", "scored.csv")
    start = "import sys; from pathlib import Path; sys.path[:0] = ['engine/src', 'src']; "
    load = "from mlops.serving.loading import load; load(Path('candidate'))"
    staged.run("python", "-c", start + load)  # answers its golden rows, or raises


def test_fetched_data_that_were_changed_are_rejected(staged: Project) -> None:
    """The lock says what the stage wrote, where there is no pointer."""
    root = staged.path
    staged.commit("Own stages")
    staged.run("dvc", "repro")
    staged.commit("Candidate")
    table = root / "data/raw/ingested.parquet"
    table.chmod(0o644)
    table.write_bytes(table.read_bytes() + b"0")
    assert staged.run("mlops", "gate", "--against", "main~1", check=False).returncode == 1
    report = json.loads((root / "reports/gate/gate.json").read_text(encoding="utf-8"))
    said = " ".join(one["reason"] for one in report["reasons"])
    assert "data/raw is not what dvc.lock says" in said


def test_a_table_is_adopted_once_no_stage_makes_the_data(staged: Project) -> None:
    staged.commit("Own stages")
    table = staged.path.parent / "table.csv"
    rows = [f"{row % 7},{row % 11},{'yes' if row % 5 < 2 else 'no'}" for row in range(700)]
    table.write_text("\n".join(["a,b,y", *rows, ""]))
    adopt = ("mlops", "adopt", str(table), "--target", "y")
    for made in (False, True):
        refused = staged.run(*adopt, check=False)
        assert refused.returncode == 2
        assert "`dvc remove --outs ingest`" in refused.stdout
        assert staged.run("git", "status", "--porcelain").stdout == ""
        if not made:
            staged.run("dvc", "repro", "ingest")
            staged.commit("Fetched")
    staged.run("dvc", "remove", "--outs", "ingest")
    staged.run(*adopt)
    assert (staged.path / "data/raw.dvc").is_file()


@pytest.mark.parametrize("persist", [True, False])
def test_what_a_failed_fetch_leaves(staged: Project, persist: bool) -> None:
    """As engine/docs/owning.md has it: the old data under `persist`, and else what DVC has."""
    stages = yaml.safe_load((staged.path / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    stages["ingest"]["outs"] = [{"data/raw": {"persist": persist}}]
    merge(staged, "dvc.yaml", {"stages": stages})
    staged.run("dvc", "repro", "ingest")
    table = staged.path / "data/raw/ingested.parquet"
    held = table.read_bytes()
    write(staged, "src/project/sources.py", "\nraise RuntimeError('down')\n")
    failed = staged.run("dvc", "repro", "ingest", check=False)
    assert failed.returncode != 0
    assert "down" in failed.stdout
    assert table.exists() is persist
    if not persist:
        staged.run("dvc", "checkout", "data/raw")
    assert table.read_bytes() == held


def test_a_fetch_that_fails_stops_the_pipeline_with_a_sentence(staged: Project) -> None:
    (staged.path / "warehouse").rename(staged.path / "elsewhere")
    failed = staged.run("dvc", "repro", check=False)
    assert failed.returncode != 0
    assert "orders gave no rows: what data/raw held stays" in failed.stdout
    (staged.path / "elsewhere").rename(staged.path / "warehouse")
    staged.run("dvc", "repro", "prepare")
