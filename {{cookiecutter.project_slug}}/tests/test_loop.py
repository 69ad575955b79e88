"""The whole loop on a few hundred made-up rows: pipeline, gate, prediction, answer to a request."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlops.config.settings import load
from mlops.data.examples import write, write_tables

PROJECT = Path(__file__).parents[1]
ROWS = 600
PARTS = ("conf", "engine", "requirements", "src", "dvc.yaml", "params.yaml", "pyproject.toml")
JUDGED = (0, 1)  # passed or rejected: whether made-up rows meet the policy says nothing


def run(root: Path, *command: str, may: tuple[int, ...] = (0,)) -> str:
    """Run a command of this environment in a folder, and show what it printed if it fails."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = os.pathsep.join(str(root / source) for source in ("engine/src", "src"))
    environment = {**os.environ, "PATH": path, "PYTHONPATH": own}
    done = subprocess.run(command, cwd=root, env=environment, text=True, capture_output=True)
    assert done.returncode in may, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project, in git and DVC, whose data are made up from the contract."""
    root = tmp_path_factory.mktemp("loop") / "project"
    for name in PARTS:
        source = PROJECT / name
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=ignored)
        else:
            root.mkdir(exist_ok=True)
            shutil.copy(source, root / name)
    ignoring = (
        ".gitignore",
        *(f"{name}/.gitignore" for name in ("data", "data/tables", "reports")),
    )
    for name in (*ignoring, ".dvcignore"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, root / name)
    run(root, "git", "init", "--quiet", "--initial-branch", "main")
    run(root, "dvc", "init", "--quiet")
    run(root, "mlops", "resolve")
    settings = load(root / "resolved.yaml")
    write(root / "data/raw", settings.data, settings.split, ROWS)
    write_tables(root, settings.data, settings.split, settings.features.views.values(), ROWS)
    tables = [str(path.relative_to(root)) for path in root.glob("data/tables/*/")]
    run(root, "dvc", "add", "--quiet", *["data/raw", *tables])
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "Start")
    run(root, "dvc", "repro")
    return root


def test_the_pipeline_leaves_a_candidate(project: Path) -> None:
    manifest = json.loads((project / "candidate/manifest.json").read_text())
    assert manifest["lineage"]["clean"] is True
    assert set(yaml.safe_load((project / "dvc.lock").read_text())["stages"]) >= {"train", "bundle"}


def test_the_gate_judges_it(project: Path) -> None:
    run(project, "mlops", "gate", "--against", "main", may=JUDGED)
    report = json.loads((project / "reports/gate/gate.json").read_text())
    failed = [one["reason"] for one in report["reasons"] if "the rule failed" in one["reason"]]
    assert not failed


def test_a_table_is_scored(project: Path) -> None:
    (table,) = (project / "data/raw").glob("examples.*")
    run(project, "mlops", "predict", str(table), "--out", "scored.csv")
    assert len((project / "scored.csv").read_text().splitlines()) == ROWS + 1


def test_a_server_answers_the_golden_rows(project: Path) -> None:
    """As it does before it is ready: another answer than the recorded one raises."""
    code = "import pathlib, mlops.serving.loading as s; s.load(pathlib.Path('candidate'))"
    run(project, "python", "-c", code)
