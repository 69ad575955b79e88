"""What a team finds in a project: hooks, a container, pages for agents and in Japanese."""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import ROOT, SOURCE, Project
from test_repository import MAKEFILES, commands, targets, verbs

HOOKS = {
    hook["id"]: hook
    for repository in yaml.safe_load((SOURCE / ".pre-commit-config.yaml").read_text("utf-8"))[
        "repos"
    ]
    for hook in repository["hooks"]
}
PAGES = [
    *(
        ROOT / name
        for name in ("README.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md")
    ),
    *(SOURCE / name for name in ("README.md", "README.ja.md", "AGENTS.md", "SECURITY.md")),
]


def hooked(project: Project, name: str, *paths: str, **more: str) -> tuple[int, str]:
    """Run a hook of the configuration as pre-commit does; return its code and what it says."""
    hook = HOOKS[name]
    entry = shlex.split(hook["entry"])
    given = paths if hook.get("pass_filenames", True) else ()
    done = Project(project.path, {**project.environment, **more}).run(*entry, *given, check=False)
    return done.returncode, done.stdout


def test_hooks_download_nothing() -> None:
    """Each is a command of the project's own environment, so of the version that is locked."""
    (repository,) = yaml.safe_load((SOURCE / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith("sh engine/run ")
        assert "additional_dependencies" not in hook


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("lint", "src/project/features.py", "\nimport os\n"),
        ("format", "src/project/features.py", "\nx  =  1\n"),
        ("resolve", "params.yaml", "\nmodell: {use: ridge}\n"),
        ("pipeline", "dvc.yaml", "\nstages: []\n"),
    ],
)
def test_a_hook_passes_and_refuses(candidate: Project, name: str, path: str, text: str) -> None:
    if pattern := HOOKS[name].get("files"):
        assert re.search(pattern, path)
        assert not re.search(pattern, f"docs/{path}")
    code, said = hooked(candidate, name, path)
    assert code == 0, said
    resolved = (candidate.path / "resolved.yaml").read_bytes()
    with (candidate.path / path).open("a", encoding="utf-8") as stream:
        stream.write(text)
    code, said = hooked(candidate, name, path)
    assert code != 0, said
    assert "engine/run" not in said
    assert (candidate.path / "resolved.yaml").read_bytes() == resolved


def test_a_check_of_the_experiment_writes_nothing(candidate: Project) -> None:
    params = candidate.path / "params.yaml"
    params.write_text(params.read_text().replace("use: lightgbm", "use: logistic"))
    before = (candidate.path / "resolved.yaml").read_bytes()
    code, said = hooked(candidate, "resolve")
    assert (code, "LogisticRegression" in said) == (0, True), said
    assert (candidate.path / "resolved.yaml").read_bytes() == before
    candidate.run("mlops", "resolve")
    assert (candidate.path / "resolved.yaml").read_bytes() != before


def test_data_go_with_a_push_and_come_with_a_checkout(candidate: Project) -> None:
    storage = candidate.path.parent / "customer-churn-storage"
    assert not storage.exists()
    code, said = hooked(candidate, "push")
    assert code == 0, said
    assert any(path.is_file() for path in storage.rglob("*"))
    raw = next((candidate.path / "data/raw").iterdir())
    raw.unlink()
    assert hooked(candidate, "checkout", PRE_COMMIT_CHECKOUT_TYPE="0")[0] == 0  # of one file
    assert not raw.exists()
    code, said = hooked(candidate, "checkout", PRE_COMMIT_CHECKOUT_TYPE="1")
    assert code == 0, said
    assert raw.exists()
    (candidate.path / ".git/rebase-merge").mkdir()
    raw.unlink()
    assert hooked(candidate, "checkout", PRE_COMMIT_CHECKOUT_TYPE="1")[0] == 0
    assert not raw.exists()


def test_a_checkout_without_its_data_is_no_failure(candidate: Project) -> None:
    """As after a clone: DVC alone calls that one, and so would every `git switch` be."""
    shutil.rmtree(candidate.path / ".dvc/cache")
    shutil.rmtree(candidate.path / "data/raw")
    assert candidate.run("dvc", "checkout", check=False).returncode != 0
    code, said = hooked(candidate, "checkout", PRE_COMMIT_CHECKOUT_TYPE="1")
    assert code == 0, said


def test_a_container_is_set_up_by_a_task() -> None:
    content: dict[str, Any] = json.loads((SOURCE / ".devcontainer/devcontainer.json").read_text())
    tasks = targets((SOURCE / "engine/tasks.mk").read_text(encoding="utf-8"))
    run = [value for key, value in content.items() if key.endswith("Command")]
    assert run == ["make setup"]
    assert {command.removeprefix("make ") for command in run} <= set(tasks)
    assert (
        str(yaml.safe_load((SOURCE / "conf/serving/standard.yaml").read_text())["port"])
        in (content["portsAttributes"])
    )
    assert set(map(str, content["forwardPorts"])) == set(content["portsAttributes"])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name[:8]}-{path.name}")
def test_commands_and_links_of_a_page_are_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    known = {f"make {name}" for file in MAKEFILES for name in targets(file.read_text())}
    assert commands(text) <= known | {f"mlops {verb}" for verb in verbs()}
    for link in re.findall(r"\]\(([^)#\s]+)", text):
        target = link.replace("%7B", "{").replace("%7D", "}")
        assert link.startswith("https://") or (path.parent / target).exists(), link


def test_agents_are_told_short_and_true() -> None:
    text = (SOURCE / "AGENTS.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert {"make setup", "make repro", "make check", "mlops gate"} <= commands(text)
    for path in re.findall(r"`((?:conf|src|tests|deploy|engine|data|\.github)[\w/.-]*/)`", text):
        assert (SOURCE / path).exists(), path
