"""The template's own repository: tasks, README, workflows."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import ROOT, SOURCE

MAKEFILES = [ROOT / "Makefile", SOURCE / "engine/tasks.mk"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def targets(makefile: str) -> dict[str, str]:
    """Return the tasks of a Makefile (its phony targets) and their help."""
    (phony,) = re.findall(r"^\.PHONY: (.*)", makefile, re.MULTILINE)
    helped = dict(re.findall(r"^([a-z]+):.*?##-? (.+)", makefile, re.MULTILINE))
    return {name: helped.get(name, "") for name in phony.split() if name != "anew"}


def commands(text: str) -> set[str]:
    """Return the make, dvc and mlops commands that a page shows as code."""
    code = (
        re.findall(r"`([^`\n]+)`", text)
        + "".join(re.findall(r"```\w*\n(.*?)```", text, re.S)).splitlines()
    )
    found: set[str] = set()
    for line in code:
        found |= set(re.findall(r"(?:^|&& |\()((?:make|mlops) [a-z][a-z-]*)", line.strip()))
    return found


def verbs() -> set[str]:
    """Return the verbs that the modules of the command declare."""
    modules = (SOURCE / "engine/src/mlops/cli").glob("*.py")
    named = {v for path in modules for v in re.findall(r"\bverb\((\w+),", path.read_text("utf-8"))}
    return {name.replace("_", "-") for name in named}


def weaknesses(workflow: dict[Any, Any]) -> list[str]:
    """Return what a workflow leaves open."""
    found = [] if workflow.get("permissions") == {} else ["permissions"]
    for name, job in workflow["jobs"].items():
        if "timeout-minutes" not in job:
            found.append(f"{name}: no timeout")
        for step in job.get("steps", []):
            uses = step.get("uses", "")
            if uses and not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", uses):
                found.append(f"{name}: {uses} is not pinned")
            if "checkout@" in uses and step.get("with", {}).get("persist-credentials") is not False:
                found.append(f"{name}: checkout keeps its credentials")
            if "${{" in step.get("run", ""):
                found.append(f"{name}: an expression in a script")
    return found


@pytest.mark.parametrize("path", MAKEFILES, ids=["template", "project"])
def test_every_task_has_help(path: Path) -> None:
    tasks = targets(path.read_text(encoding="utf-8"))
    assert {"help", "test", "check", "lock", "clean"} <= set(tasks)
    assert all(tasks.values())


def test_a_task_without_help_is_found() -> None:
    assert targets(".PHONY: a b\n\na:  ## do\nb:\n") == {"a": "do", "b": ""}


@pytest.mark.parametrize("folder", [ROOT, SOURCE], ids=["template", "project"])
def test_readme_is_short_and_its_commands_exist(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 140
    known = {f"make {name}" for path in MAKEFILES for name in targets(path.read_text())}
    known |= {f"mlops {verb}" for verb in verbs()}
    assert commands(text)
    assert commands(text) <= known


def test_commands_are_found() -> None:
    page = "Run `make demo` or\n```\ncd x && make test  # now\nmlops predict FILE\n```\nmake up"
    assert commands(page) == {"make demo", "make test", "mlops predict"}


def test_the_tree_in_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (tree,) = re.findall(r"```tree\n(.*?)```", text, re.S)
    folder = SOURCE
    for indent, path in re.findall(r"^( *)([\w./-]+)  ", tree, re.M):
        folder = folder if indent else SOURCE
        assert (folder / path).exists(), path
        folder = folder if indent else SOURCE / path


def test_a_stage_is_a_verb() -> None:
    stages = yaml.safe_load((SOURCE / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    declared = verbs()
    commands = {f"sh engine/run mlops {name}" for name in stages}
    assert {stage["cmd"] for stage in stages.values()} == commands
    assert set(stages) <= declared
    assert len(declared) > len(stages)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_leave_nothing_open(path: Path) -> None:
    assert weaknesses(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


def test_an_open_workflow_is_refused() -> None:
    steps = [{"uses": "actions/checkout@v7"}, {"run": "echo ${{ github.head_ref }}"}]
    assert len(weaknesses({"jobs": {"a": {"steps": steps}}})) == 5


def test_ci_runs_what_a_developer_runs() -> None:
    """On a forge the same script, on every Python that a project may have."""
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()[-1] == "make test"
    jobs = yaml.safe_load(WORKFLOWS[0].read_text(encoding="utf-8"))["jobs"]
    assert jobs["test"]["steps"][-1]["run"] == 'sudo env "PATH=$PATH" bash .ci/run'
    assert jobs["test"]["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(11, 15)]
    scripts = [step["run"] for step in jobs["macos"]["steps"] if "run" in step]
    assert scripts[-2:] == ["make check demo", "make -C build/demo check"]


def test_what_is_skipped_on_a_laptop_fails_in_ci() -> None:
    """Each test that needs a program asks by a variable whether it has to be there."""
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py"))
    asked = set(re.findall(r'"([A-Z]+_REQUIRED)"', tests))
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    (line,) = re.findall(r"^export (.+)$", script, re.MULTILINE)
    assert {f"{name}=1" for name in asked} == {one for one in line.split() if "_REQUIRED" in one}
    assert len(asked) > 3


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """The packages of a project, copied, for somebody to plant an import in."""
    copy = tmp_path / "planted"
    for folder in ("engine/src", "src"):
        shutil.copytree(SOURCE / folder, copy / folder, ignore=shutil.ignore_patterns("*.pyc"))
    return copy


def linted(project: Path) -> subprocess.CompletedProcess[str]:
    """Hold the packages of a project against the contracts on who imports whom."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    roots = os.pathsep.join(str(project / folder) for folder in ("engine/src", "src"))
    own = {**os.environ, "PYTHONPATH": roots}
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True)


def test_imports_keep_their_contracts(planted: Path) -> None:
    done = linted(planted)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("engine/src/mlops/gate/case.py", "from ..release import image", "downwards"),
        ("engine/src/mlops/release/image.py", "from ..gate import case", "downwards"),
        ("engine/src/mlops/contract.py", "from .config import settings", "downwards"),
        ("engine/src/mlops/room.py", "", "downwards"),
        ("engine/src/mlops/git/repository.py", "from . import commits", "circle"),
        ("engine/src/mlops/serving/app.py", "from ..tracking import registry", "serves"),
        ("engine/src/mlops/release/image.py", "import mlflow", "MLflow"),
        ("engine/src/mlops/git/dvc.py", "import dvc.api", "DVC"),
        ("engine/src/mlops/gate/judge.py", "from project import features", "owner"),
        ("src/policy/__init__.py", "import project", "judges"),
    ],
)
def test_an_import_against_a_contract_is_found(
    planted: Path, module: str, line: str, broken: str
) -> None:
    with (planted / module).open("a", encoding="utf-8") as stream:
        stream.write(f"\n{line}\n")
    done = linted(planted)
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(broken in name for name in re.findall(r"^(.*) BROKEN\b", done.stdout, re.M))


def starts_dvc(text: str) -> bool:
    """Say whether a module calls something with DVC's command as an argument of its own."""
    return re.search(r"""\(\s*\[?["']dvc["']""", text) is not None


def test_one_module_starts_dvc() -> None:
    package = SOURCE / "engine/src/mlops"
    modules = [
        p.relative_to(package).as_posix()
        for p in package.rglob("*.py")
        if starts_dvc(p.read_text(encoding="utf-8"))
    ]
    assert modules == ["git/dvc.py"]


def test_a_start_of_dvc_is_found() -> None:
    assert starts_dvc('run("dvc", "add")')
    assert starts_dvc('subprocess.run(["dvc", "add"])')
    assert not starts_dvc('return b"dvc" in line')
