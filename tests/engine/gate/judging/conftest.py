"""Repositories with git and DVC as a user has them: a base branch, a branch, a candidate."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import stages

from mlops.bundle import manifest, verdict
from mlops.cli import main
from mlops.gate.judge import judge
from mlops.gate.request import Origin, Request
from mlops.git.repository import Repository

IGNORED = "/trained\n/candidate\n/model\n/data\n/reports\n__pycache__\n"
REMOTE = "[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../../storage\n"
CHAMPION = Path("deploy/production/champion")
POLICY = """
resamples: 200
seed: 3
confidence: 0.95
rules:
  metric: {metric: roc_auc, at_least: 0.6, by: value}
  non_inferiority: {margins: {roc_auc: 0.02}, sides: two}
"""
PARAMS = "model: {{use: boosting, max_iter: {trees}}}\nevaluation: {{resamples: 50}}\n"
TREES = {"poor": 1, "middle": 10, "good": 60}


def run(root: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Project(NamedTuple):
    """A project in git with the storage of its DVC remote beside it."""

    root: Path
    policy: str = POLICY

    @property
    def repository(self) -> Repository:
        return Repository(self.root)

    def git(self, *arguments: str) -> str:
        return run(self.root, "git", *arguments)

    def dvc(self, *arguments: str) -> str:
        return run(self.root, sys.executable, "-m", "dvc", *arguments)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", "x")

    def pack(self) -> None:
        """Have git keep few files, of which each test takes a copy."""
        self.git("gc", "--quiet")

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def on_main(self, *files: tuple[str, str]) -> None:
        """Commit files to main, and start the branch anew from there."""
        self.git("checkout", "-q", "main")
        for name, text in files:
            self.write(name, text)
        self.commit()
        self.git("checkout", "-q", "-B", "branch")

    def put(self, which: str) -> None:
        """Make one of the trained bundles the candidate."""
        shutil.rmtree(self.root / "candidate", ignore_errors=True)
        shutil.copytree(self.root / "trained" / which, self.root / "candidate")

    def promote(self) -> None:
        """Make the candidate the champion of main, and start the branch anew from there."""
        shutil.rmtree(self.root / CHAMPION, ignore_errors=True)
        shutil.copytree(self.root / "candidate", self.root / CHAMPION)
        self.dvc("add", "--quiet", str(CHAMPION))
        self.dvc("push", "--quiet", str(CHAMPION))
        self.on_main()

    def edit(self, change: Callable[[Path, dict[str, Any]], None]) -> None:
        """Change the candidate and write a manifest that agrees."""
        bundle = self.root / "candidate"
        content = manifest.read(bundle)
        content.pop("files")
        change(bundle, content)
        manifest.write(bundle, content)

    def gate(self, *arguments: str) -> int:
        """Run `mlops gate` and return its exit code."""
        with chdir(self.root):
            return main(["gate", *(arguments or ("--against", "main"))])

    def judged(self) -> dict[str, Any]:
        """Judge in this process, by this code, and return the report."""
        main = Origin("main", self.git("rev-parse", "main"))
        return judge(self.repository, Request(main, main, str(self.root)))

    @property
    def report(self) -> dict[str, Any]:
        return verdict.read(self.root / "reports/gate/gate.json")

    def told(self, name: str) -> str:
        return (self.root / "reports/gate" / name).read_text()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three trained bundles and no champion."""
    from mlops.bundle.assembly import bundle
    from mlops.config.compose import resolve
    from mlops.data.prepare import prepare
    from mlops.data.sample import write
    from mlops.evaluation.evaluate import evaluate
    from mlops.training.fitting import train

    project = Project(tmp_path_factory.mktemp("built") / "project")
    root = project.root
    (root / "trained").mkdir(parents=True)
    stages.copied(root, more=[".dvcignore"])
    shutil.rmtree(root / "conf/gate")
    project.write("conf/gate/standard.yaml", POLICY)
    project.write(".gitignore", IGNORED)
    project.git("init", "-q", "-b", "main")
    project.dvc("init", "--quiet")
    project.write(".dvc/config", REMOTE)
    with chdir(root):
        write(Path("data/raw"), rows=900, months=2)
        for name, trees in TREES.items():
            project.write("params.yaml", PARAMS.format(trees=trees))
            settings = resolve()
            if not Path("data/prepared").exists():
                prepare(settings.data, settings.split)
            train(settings)
            evaluate(settings)
            bundle(settings)
            shutil.move("candidate", f"trained/{name}")
    project.commit()
    project.pack()
    return project


@pytest.fixture(scope="session")
def crowned(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same, with the middle one as champion on main; only the remote has it."""
    project = Project(tmp_path_factory.mktemp("crowned") / "project")
    shutil.copytree(built.root, project.root)
    project.put("middle")
    project.promote()
    project.pack()
    shutil.rmtree(project.root / CHAMPION)
    shutil.rmtree(project.root / ".dvc/cache")
    return project


def copied(source: Project, place: Path) -> Project:
    shutil.copytree(source.root.parent, place, dirs_exist_ok=True)
    project = Project(place / source.root.name)
    project.git("checkout", "-q", "-B", "branch")
    project.put("good")
    return project


@pytest.fixture
def first(built: Project, tmp_path: Path) -> Project:
    """The good one as candidate on a branch, and no champion."""
    return copied(built, tmp_path)


@pytest.fixture
def second(crowned: Project, tmp_path: Path) -> Project:
    """The good one as candidate on a branch, and the middle one as champion."""
    return copied(crowned, tmp_path)
