"""What dvc.yaml declares of each stage is what the stage uses."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from baked import SOURCE
from rehearsal.wishes import wishes

from mlops.bundle.lineage import COMPUTED

STAGES = ("resolve", "prepare", "train", "evaluate", "bundle")
ENGINE = "engine/src/mlops/"
# Every part of the code that a stage has only with some settings.
WHOLE = """\
model: {use: boosting, max_iter: 5}
training: {folds: 2}
tuning: {use: optuna, trials: 2, folds: 2}
evaluation: {resamples: 20, importance_rows: 100}
"""
# Imported, and nothing is computed there.
PLUMBING = {
    "cli": "reads the command line and prints",
    "adoption/transaction.py": "refuses to run in a half-made adoption",
    "compute": "says where work runs, and tests hold that it comes out the same",
    "config/compose.py": "what it composes is resolved.yaml",
    "config/experiment.py": "what it composes is resolved.yaml",
    "errors.py": "the class of the errors",
    "git": "asks git for the commit, and for the folder that experiments share",
    "owner.py": "imports what the owner has",
    "progress.py": "prints",
}
# Declared for what is not imported there.
REASONED = {
    "bundle": "it states the digest of all that a model is computed with",
}


def declared(stages: dict[str, Any], stage: str) -> tuple[set[str], set[str]]:
    """Return the code and the keys of resolved.yaml that a stage declares."""
    code = {dep for dep in stages[stage]["deps"] if dep.startswith(("engine/", "src/"))}
    parts = [part for part in stages[stage]["params"] if part.get("resolved.yaml")]
    return code, {key for part in parts for key in part["resolved.yaml"]}


class Used(NamedTuple):
    """What a stage used: files of code, keys of resolved.yaml, packages."""

    files: set[str]
    keys: set[str]
    packages: set[str]


def traced(root: Path, stage: str) -> Used:
    """Run a stage and return what it used."""
    done = subprocess.run(
        [sys.executable, "-P", str(Path(__file__).with_name("traced.py")), stage],
        cwd=root,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    used = json.loads(done.stdout)
    files = {path for path in used["files"] if not _says_nothing(root / path)}
    return Used(files, set(used["keys"]), set(used["packages"]))


def undeclared(stage: str, code: set[str], files: set[str]) -> set[str]:
    """Return what a stage imports, computes with, and does not declare."""
    plumbing = [f"{ENGINE}{name}" for name in PLUMBING]
    if stage == "resolve":
        plumbing = [path for path in plumbing if "/config/" not in path]
    return {file for file in files if not _covered(file, [*code, *plumbing])}


def unused(stage: str, code: set[str], files: set[str]) -> set[str]:
    """Return what of the engine a stage declares and does not import."""
    return {
        path
        for path in code
        if path.startswith(ENGINE)  # an owner's file is imported where it says something
        and stage not in REASONED
        and not any(_covered(file, [path]) for file in files)
    }


def keys(named: set[str]) -> set[str]:
    """Return the settings that declared keys stand for."""
    parts = {key.removeprefix("digests.") for key in named}
    return {"evaluation", *parts} if any(key.startswith("evaluation.") for key in parts) else parts


def _covered(file: str, paths: list[str]) -> bool:
    return any(Path(file).is_relative_to(path) for path in paths)


def _says_nothing(path: Path) -> bool:
    """Say whether a module holds a docstring alone."""
    return all(isinstance(part, ast.Expr) for part in ast.parse(path.read_text("utf-8")).body)


@pytest.fixture(scope="module")
def project(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pipeline") / "project"
    shutil.copytree(trained, root)
    shutil.copy(SOURCE / "dvc.yaml", root)
    (root / "params.yaml").write_text(WHOLE)
    page = (SOURCE / "engine/docs/features.md").read_text(encoding="utf-8")
    for wish in wishes(page):
        wish.grant(root)
    return root


@pytest.fixture(scope="module")
def stages(project: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((project / "dvc.yaml").read_text("utf-8"))["stages"])


@pytest.fixture(scope="module")
def runs(project: Path) -> dict[str, Used]:
    return {stage: traced(project, stage) for stage in STAGES}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_the_code_that_it_runs(
    stages: dict[str, Any], runs: dict[str, Used], stage: str
) -> None:
    code, _ = declared(stages, stage)
    assert undeclared(stage, code, runs[stage].files) == set()
    assert unused(stage, code, runs[stage].files) == set()


@pytest.mark.parametrize("stage", STAGES[1:-1])
def test_a_stage_declares_the_settings_that_it_reads(
    stages: dict[str, Any], runs: dict[str, Used], stage: str
) -> None:
    _, named = declared(stages, stage)
    read = runs[stage].keys
    if "evaluation" in named:  # the whole of it
        read = {key for key in read if not key.startswith("evaluation.")}
    assert keys(named) == read


@pytest.mark.parametrize("stage", ["resolve", "evaluate", "bundle"])
def test_a_stage_imports_what_it_needs_alone(runs: dict[str, Used], stage: str) -> None:
    heavy = {"pandas", "sklearn", "mlflow", "pandera", "optuna"}
    assert heavy & runs[stage].packages == set()
    assert heavy & runs["prepare"].packages == {"pandas", "pandera"}


def test_the_bundle_is_of_all_settings(stages: dict[str, Any]) -> None:
    assert declared(stages, "bundle")[1] == {"digests.all"}  # it holds resolved.yaml


def test_identity_is_what_the_stages_declare(stages: dict[str, Any]) -> None:
    computed = {path.as_posix() for path in COMPUTED}
    each = {stage: declared(stages, stage)[0] for stage in STAGES[1:]}
    assert each["bundle"] == computed
    named = set().union(*each.values())
    reports = {f"{ENGINE}evaluation", "src/templates"}  # with the report, which no bundle holds
    assert {path for path in named - reports if not _covered(path, list(computed))} == set()


def test_code_of_nothing_computed_is_no_part(stages: dict[str, Any]) -> None:
    for name in ("serving", "gate", "release", "cli", "data/simulation.py", "data/sample.py"):
        assert not _covered(f"{ENGINE}{name}", [path.as_posix() for path in COMPUTED])
    assert not any("serve.txt" in dep for stage in stages.values() for dep in stage["deps"])


def test_an_undeclared_import_is_found(
    project: Path, stages: dict[str, Any], tmp_path: Path
) -> None:
    root = tmp_path / "project"
    shutil.copytree(project, root)
    (root / "engine/src/mlops/data/planted.py").write_text("FACTOR = 2\n")
    prepare = root / "engine/src/mlops/data/prepare.py"
    prepare.write_text(prepare.read_text("utf-8") + "\nfrom . import planted\n", "utf-8")
    files = traced(root, "prepare").files
    code, _ = declared(stages, "prepare")
    assert undeclared("prepare", code, files) == {"engine/src/mlops/data/planted.py"}


def test_a_declared_file_that_is_not_used_is_found(
    runs: dict[str, Used],
) -> None:
    idle = "engine/src/mlops/serving"
    assert unused("prepare", {idle}, runs["prepare"].files) == {idle}
