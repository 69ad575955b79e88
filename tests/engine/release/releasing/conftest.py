"""A project whose production declares a champion, with a remote, MLflow and a stand-in engine."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from baked import SOURCE
from mlflow import MlflowClient

from mlops.git.repository import Repository
from mlops.release import sbom

PROJECT = SOURCE
BRANCH = "env/production"
NAME, IMAGE = "demo", "registry.invalid/acme/demo"
PYPROJECT = f'[project]\nname = "{NAME}"\n[tool.mlops]\ntitle = "Demo"\nimage = "{IMAGE}"\n'
# Runs a verb and ends it like `kill -9` would, before or after a call.
KILLING = """
import importlib, os, signal, sys
place, when, *arguments = sys.argv[1:]
module, _, path = place.partition(":")
owner, names = importlib.import_module(module), path.split(".")
for name in names[:-1]:
    owner = getattr(owner, name)
call = getattr(owner, names[-1])
def killed(*given, **named):
    if when == "after":
        call(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, names[-1], killed)
from mlops.cli import main
sys.exit(main(arguments))
"""


class Yard(NamedTuple):
    """A workshop, its remote, and what a release leaves where."""

    workshop: Any
    remote: Path
    engine: Path

    @property
    def root(self) -> Path:
        return self.workshop.root

    @property
    def repository(self) -> Repository:
        return self.workshop.repository

    def push(self) -> None:
        self.workshop.git("push", "-q", "--force", "origin", "HEAD:main")

    def release(self, *arguments: str) -> int:
        self.push()
        return int(self.workshop.mlops("release", *arguments))

    def killed(self, place: str, when: str, verb: str = "release") -> None:
        self.push()
        told = [sys.executable, "-c", KILLING, place, when, verb]
        done = subprocess.run(told, cwd=self.root, capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr

    def branch(self, path: str = "release.json") -> str | None:
        told = ["git", "-C", str(self.remote), "show", f"{BRANCH}:{path}"]
        done = subprocess.run(told, capture_output=True, text=True)
        return done.stdout if not done.returncode else None

    def record(self) -> dict[str, str] | None:
        text = self.branch()
        return json.loads(text) if text is not None else None

    def line(self) -> list[str]:
        told = ["git", "-C", str(self.remote), "rev-list", BRANCH]
        return subprocess.run(told, capture_output=True, text=True, check=True).stdout.split()

    def builds(self) -> int:
        path = self.engine / "builds"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def pushed(self) -> int:
        return len(list((self.engine / "registry").glob("*")))

    def alias(self) -> str | None:
        client = MlflowClient(f"sqlite:///{self.root}/mlflow.db")
        return client.get_model_version_by_alias(NAME, "champion").tags["bundle"]

    def versions(self) -> int:
        client = MlflowClient(f"sqlite:///{self.root}/mlflow.db")
        return len(client.search_model_versions(f"name = '{NAME}'"))


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, made once: MLflow takes seconds for it."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def founded(built: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The middle bundle declared on main, in a project with a remote; not to be changed."""
    place = tmp_path_factory.mktemp("founded")
    shutil.copytree(built.root.parent, place, dirs_exist_ok=True, symlinks=True)
    workshop = type(built)(place / built.root.name)
    for name in (".dockerignore", "deploy"):
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        shutil.rmtree(workshop.root / name, ignore_errors=True)
        copy(PROJECT / name, workshop.root / name)
    workshop.write("pyproject.toml", PYPROJECT)
    ignored = (workshop.root / ".gitignore").read_text()
    workshop.write(".gitignore", f"{ignored}/.mlops/\n/mlartifacts/\n/mlflow.db*\n")
    workshop.commit("Where images go")
    workshop.released("middle")
    workshop.pack()
    return workshop


@pytest.fixture
def yard(founded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yard:
    shutil.copytree(founded.root.parent, tmp_path, dirs_exist_ok=True, symlinks=True)
    workshop = type(founded)(tmp_path / founded.root.name)
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(remote)], check=True)
    workshop.git("remote", "add", "origin", str(remote))
    workshop.git("push", "-q", "origin", "main")
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("podman", "skopeo"):
        shutil.copy(Path(__file__).with_name("stand_in.py"), commands / name)
        (commands / name).chmod(0o755)
    engine = tmp_path / "engine"
    engine.mkdir()
    locked = sbom.installed((workshop.root / "requirements/serve.txt").read_text(), "3.11")
    (engine / "installed.json").write_text(json.dumps(list(locked.items())))
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN", str(engine))
    monkeypatch.setenv("MLOPS_ENGINE", "podman")
    for name in ("MLOPS_BASE", "MLOPS_BUILD_OPTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return Yard(workshop, remote, engine)


@pytest.fixture
def tracked(yard: Yard, database: Path) -> None:
    """MLflow beside the project, for the tests that release."""
    shutil.copy(database, yard.root / "mlflow.db")
