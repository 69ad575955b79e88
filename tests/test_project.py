"""A generated project does what its Makefile and README say."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from baked import Project


def test_from_nothing_to_a_checked_candidate(fresh: Project) -> None:
    """The whole of it, on a machine with Python, git and make."""
    fresh.run("make", "setup")
    fresh.commit("Start")
    fresh.run("make", "repro")
    assert (fresh.path / "candidate/manifest.json").is_file()
    assert "roc_auc" in json.loads((fresh.path / "reports/metrics.json").read_text())["holdout"]
    fresh.commit("Candidate")
    again = fresh.run("make", "setup", "repro").stdout
    assert "Installing" not in again
    assert "up to date" in again
    fresh.run("make", "check")
    assert fresh.run("git", "status", "--porcelain").stdout == ""
    own = fresh.path / "src/project/features.py"
    own.write_text(f"{own.read_text()}\n\ndef text(amount: Floats) -> str:\n    return amount\n")
    assert f"{own.relative_to(fresh.path)}:" in fresh.run("make", "check", check=False).stdout


def test_make_alone_lists_the_tasks(project: Project) -> None:
    listed, called = project.run("make").stdout.split("\n\nFor workflows:\n")
    assert "make setup" in listed
    assert "make check" in listed
    places = [project.path / ".gitlab-ci.yml", *(project.path / ".github").rglob("*.yml")]
    places += [project.path / "engine/tasks.mk", *(project.path / "engine/actions").rglob("*.yml")]
    places += (project.path / "engine/src/mlops/workflows").glob("*.py")  # which write more
    text = "".join(place.read_text(encoding="utf-8") for place in places)
    lines = re.findall(r"make\b(.*)", text, re.IGNORECASE)
    words = {word for line in lines for word in re.findall("[a-z]+", line)}
    names = re.findall(r"^make ([a-z]+) ", called, re.MULTILINE)
    assert len(names) > 10
    assert set(names) <= words


@pytest.mark.parametrize("python", ["exit 1", "exit 127"])
def test_an_old_python_is_named_with_the_remedy(
    fresh: Project, tmp_path: Path, python: str
) -> None:
    old = tmp_path / "python3.8"
    old.write_text(f"#!/bin/sh\n{python}\n")
    old.chmod(0o755)
    done = fresh.run("make", "setup", f"PYTHON={old}", check=False)
    assert done.returncode != 0
    assert f"`{old}` is not a Python 3.11" in done.stdout
    assert "python3-venv" in done.stdout
    assert not (fresh.path / ".venv").exists()


@pytest.mark.parametrize("scheme", ["s3", "gs", "azure", "ssh"])
def test_the_remote_decides_what_is_installed(
    bake: Callable[..., Path], fresh: Project, scheme: str
) -> None:
    other = Project(bake(project_slug="other", dvc_remote=f"{scheme}://x/y"), fresh.environment)
    assert f"-r requirements/storage-{scheme}.txt" in other.run("make", "-n", "setup").stdout
    assert "storage-" not in fresh.run("make", "-n", "setup").stdout


@pytest.mark.parametrize("model", ["xgboost", "catboost", "ebm"])
def test_the_model_decides_what_is_installed(fresh: Project, model: str) -> None:
    assert "requirements/model-" not in fresh.run("make", "-n", "setup").stdout
    params = fresh.path / "params.yaml"
    params.write_text(params.read_text().replace("use: lightgbm", f"use: {model}"))
    told = fresh.run("make", "-n", "setup").stdout
    assert f"-r requirements/model-{model}.txt" in told
    assert f"Installing requirements/dev.txt requirements/model-{model}.txt" in told


@pytest.mark.parametrize("by", ["variable", "project", "own file"])
@pytest.mark.parametrize("place", ["dask", "ray"])
def test_where_work_runs_decides_what_is_installed(fresh: Project, place: str, by: str) -> None:
    assert "requirements/compute-" not in fresh.run("make", "-n", "setup").stdout
    name, environment = place, dict(fresh.environment)
    if by == "own file":
        name = "cluster"
        own = fresh.path / "conf/compute/cluster.yaml"
        own.write_text(f"# Ours\nbackend: {place}\naddress: there:1\n")
    if by == "project":
        file = fresh.path / "pyproject.toml"
        text = file.read_text().replace("[tool.mlops]\n", f'[tool.mlops]\ncompute = "{name}"\n')
        file.write_text(text)
    else:
        environment["MLOPS_COMPUTE"] = name
    told = Project(fresh.path, environment).run("make", "-n", "setup").stdout
    assert f"Installing requirements/dev.txt requirements/compute-{place}.txt" in told


def test_what_is_chosen_after_the_first_setup_is_installed(installed: Project) -> None:
    """Its lock is older than the stamp of what was installed."""
    assert "pip install" not in installed.run("make", "-n", "install").stdout
    chosen = {**installed.environment, "MLOPS_COMPUTE": "dask"}
    there = Project(installed.path, chosen)
    assert "-r requirements/compute-dask.txt" in there.run("make", "-n", "install").stdout
    stamp = installed.path / ".venv/.installed"
    stamp.write_text("requirements/dev.txt requirements/compute-dask.txt\n")
    assert "pip install" not in there.run("make", "-n", "install").stdout
    params = installed.path / "params.yaml"
    params.write_text(params.read_text().replace("use: lightgbm", "use: xgboost"))
    assert "-r requirements/model-xgboost.txt" in there.run("make", "-n", "install").stdout


@pytest.mark.parametrize("moved", [False, True])
def test_the_environment_of_a_moved_project_is_made_anew(
    fresh: Project, tmp_path: Path, moved: bool
) -> None:
    environment = fresh.path / ".venv"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin/python").symlink_to("/bin/true")
    made_in = tmp_path / "elsewhere" if moved else fresh.path
    (environment / "pyvenv.cfg").write_text(f"command = python3 -m venv {made_in}/.venv\n")
    for stamp in (".booted", ".installed"):
        (environment / stamp).touch()
    planned = fresh.run("make", "-n", "setup").stdout
    assert ("pip install" in planned) == moved


@pytest.fixture
def installed(project: Project) -> Project:
    """A project that takes the environment of these tests for its own."""
    environment = project.path / ".venv"
    (environment / "bin").mkdir(parents=True)
    python = environment / "bin/python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (environment / "pyvenv.cfg").write_text(f"command = python3 -m venv {environment}\n")
    for stamp in (".booted", ".installed"):
        (environment / stamp).touch()
    return project


def test_setup_makes_a_repository_and_versions_sample_data(installed: Project) -> None:
    installed.run("make", "setup")
    assert installed.run("git", "branch", "--show-current").stdout.strip() == "main"
    assert list((installed.path / "data/raw").glob("*.parquet"))
    assert (installed.path / "data/raw.dvc").is_file()
    before = (installed.path / "data/raw.dvc").read_bytes()
    assert "dvc add" not in installed.run("make", "setup").stdout
    assert (installed.path / "data/raw.dvc").read_bytes() == before


@pytest.mark.parametrize("name", ["größe 日本", "plain $x 'y'"])
def test_setup_says_where_the_queue_of_dvc_fails(installed: Project, name: str) -> None:
    """DVC writes the path of its cache as ASCII, and waits for an experiment that ended there."""
    moved = installed.path.rename(installed.path.parent / name)
    (moved / ".venv/pyvenv.cfg").write_text(f"command = python3 -m venv {moved}/.venv\n")
    (moved / "data/raw.dvc").touch()
    printed = Project(moved, installed.environment).run("make", "setup").stdout
    expected = f"fails below a folder whose name is not ASCII, as in {moved}: move"
    assert (expected in printed) == (not name.isascii())


def test_setup_keeps_data_that_is_there(installed: Project) -> None:
    raw = installed.path / "data/raw"
    raw.mkdir(parents=True)
    (raw / "mine.csv").write_text("a,b\n1,2\n")
    installed.run("make", "setup")
    assert [path.name for path in raw.iterdir()] == ["mine.csv"]


def test_setup_of_a_clone_writes_no_data(installed: Project) -> None:
    said = installed.run("make", "setup").stdout
    assert said.endswith('&& git add --all && git commit -m "Start" && dvc repro\n')
    installed.commit("Start")
    said = installed.run("make", "setup").stdout
    assert said.endswith("Ready. Next: . .venv/bin/activate && dvc repro\n")
    shutil.rmtree(installed.path / "data/raw")
    said = installed.run("make", "setup").stdout
    assert said.endswith("git knows what it held: `dvc pull data/raw.dvc`\n")
    assert not (installed.path / "data/raw").exists()
    (installed.path / "data/raw").mkdir()
    said = installed.run("make", "repro", check=False).stdout
    assert "git knows what it held: `dvc pull data/raw.dvc`" in said
    assert "Running stage" not in said
    assert installed.run("git", "status", "--porcelain").stdout == ""  # DVC was not asked
    installed.run("dvc", "pull", "data/raw.dvc")
    assert "Ready" in installed.run("make", "setup").stdout


def test_setup_fills_a_folder_that_holds_nothing(installed: Project) -> None:
    (installed.path / "data/raw").mkdir(parents=True)
    installed.run("make", "setup")
    assert list((installed.path / "data/raw").glob("*.parquet"))


@pytest.mark.parametrize("ignored", [False, True])
def test_inside_another_repository(installed: Project, ignored: bool) -> None:
    """The project becomes a part of it, unless that repository ignores the folder."""
    outer = Project(installed.path.parent, installed.environment)
    outer.run("git", "init", "--quiet")
    if ignored:
        (outer.path / ".gitignore").write_text(f"{installed.path.name}/\n")
    installed.run("make", "setup")
    assert (installed.path / ".git").exists() == ignored
    assert installed.run("dvc", "status", "--quiet", "data/raw.dvc").returncode == 0


@pytest.mark.parametrize("key", ["", "-----KEY-----\nx y"])
def test_pushes_go_with_the_deploy_key_where_there_is_one(
    project: Project, tmp_path: Path, key: str
) -> None:
    """To the host that its own API names the keys of."""
    (tmp_path / "bin/gh").write_text("#!/bin/sh\necho 'ssh-ed25519 AAAA'\n")
    (tmp_path / "bin/gh").chmod(0o755)
    project.run("git", "init", "--quiet")
    project.run("git", "remote", "add", "origin", "https://github.com/acme/demo")
    told = {"ENV_KEY": key, "GITHUB_REPOSITORY": "acme/demo"}
    place = {"GITHUB_SERVER_URL": "https://github.com"}
    named = Project(project.path, {**project.environment, **told, **place})
    named.run("make", "deployer")
    where = named.run("git", "remote", "get-url", "--push", "origin").stdout.strip()
    assert named.run("git", "remote", "get-url", "origin").stdout.strip().startswith("https://")
    if not key:
        assert where == "https://github.com/acme/demo"
        assert not (project.path / "build").exists()
        return
    assert where == "git@github.com:acme/demo.git"
    kept = project.path / "build/keys/env"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == (f"{key}\n", 0o600)
    known = (project.path / "build/keys/known_hosts").read_text()
    assert known == "github.com ssh-ed25519 AAAA\n"
    command = named.run("git", "config", "core.sshCommand").stdout
    assert f"ssh -i '{kept}' -o IdentitiesOnly=yes" in command


@pytest.mark.parametrize("task", ["monitor", "predict"])
@pytest.mark.parametrize("pointer", [False, True])
def test_a_champion_that_cannot_be_fetched_is_a_sentence(
    project: Project, task: str, pointer: bool
) -> None:
    """DVC is asked to be quiet, and is so of what fails, too."""
    project.run("git", "init", "--quiet")
    if pointer:
        out = "outs:\n- md5: 0123456789abcdef0123456789abcdef.dir\n  hash: md5\n  path: champion\n"
        (project.path / "deploy/production").mkdir(parents=True)
        (project.path / "deploy/production/champion.dvc").write_text(out)
    done = project.run("make", "-o", ".venv/.installed", task, "LOG=log", check=False)
    assert done.returncode == 2
    said = "deploy/production/champion cannot be fetched: promote a candidate first, or see what"
    assert sum(said in line for line in done.stdout.splitlines()) == 1
    assert "mlops: " not in done.stdout
