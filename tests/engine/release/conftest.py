"""A project in git and DVC with a remote, whose candidates can be gated, promoted and merged."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import stages

from mlops.bundle import manifest
from mlops.cli import main
from mlops.git.repository import Repository

IGNORED = "/trained\n/candidate\n/data\n/reports/gate\n/deploy/*/champion\n__pycache__\n"
REMOTE = "[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../../storage\n"
PIPELINE = "stages:\n  bundle:\n    cmd: 'true'\n    outs: [candidate]\n"
PARAMS = "model: {{use: boosting, max_iter: {trees}}}\nevaluation: {{resamples: 50}}\n"
POLICY = """
resamples: 100
seed: 3
confidence: 0.95
rules:
  metric: {metric: roc_auc, at_least: 0.6, by: value}
  non_inferiority: {margins: {roc_auc: 0.1}, sides: two}
"""
TREES = {"poor": 1, "middle": 20, "good": 60}
DECLARED = ["champion.dvc", "gate.json", "release.yaml"]


def run(root: Path, *command: str, **environment: str) -> str:
    own = {**os.environ, **environment}
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, env=own)
    return done.stdout.rstrip("\n")


class Workshop(NamedTuple):
    """A project, and what a person or a workflow does in it."""

    root: Path

    @classmethod
    def copied(cls, source: "Workshop", place: Path) -> "Workshop":
        shutil.copytree(source.root.parent, place, dirs_exist_ok=True, symlinks=True)
        return cls(place / source.root.name)

    @property
    def repository(self) -> Repository:
        return Repository(self.root)

    def git(self, *arguments: str, **environment: str) -> str:
        return run(self.root, "git", *arguments, **environment)

    def dvc(self, *arguments: str) -> str:
        return run(self.root, sys.executable, "-m", "dvc", *arguments)

    def mlops(self, *arguments: str) -> int:
        with chdir(self.root):
            return main(list(arguments))

    def pack(self) -> None:
        """Have git keep few files, of which each test takes a copy."""
        self.git("gc", "--quiet")

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def commit(self, message: str = "x") -> str:
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def put(self, which: str) -> None:
        """Make one of the trained bundles the candidate, and commit the lock that pins it."""
        shutil.rmtree(self.root / "candidate", ignore_errors=True)
        shutil.copytree(self.root / "trained" / which, self.root / "candidate")
        shutil.copy(self.root / f"trained/{which}.lock", self.root / "dvc.lock")
        self.git("add", "dvc.lock")
        self.git("commit", "-q", "--allow-empty", "-m", f"candidate {which}")

    def branch(self, which: str, name: str = "branch") -> None:
        """Start a branch at main, with a candidate."""
        self.git("checkout", "-q", "-B", name, "main")
        self.put(which)

    def gate(self, against: str = "main") -> int:
        return self.mlops("gate", "--against", against)

    def promoted(self, which: str, name: str = "branch") -> None:
        """Start a branch, gate and promote its candidate."""
        self.branch(which, name)
        assert self.gate() == 0
        assert self.mlops("promote") == 0

    def merge(self, name: str = "branch", message: str = "Merge") -> str:
        """Merge a branch into main as the forge does, and return main's new commit."""
        self.git("checkout", "-q", "main")
        self.git("merge", "-q", "--no-ff", "-m", message, name)
        return self.git("rev-parse", "HEAD")

    def released(self, which: str) -> str:
        """Gate, promote and merge."""
        self.promoted(which)
        return self.merge()

    def bundle_digest(self, which: str) -> str:
        return manifest.bundle_digest(self.root / "trained" / which)

    def declared(self, ref: str = "HEAD", environment: str = "production") -> dict[str, str]:
        """Return the files that a commit declares with."""
        names = self.git("ls-tree", "--name-only", f"{ref}:deploy/{environment}").split("\n")
        return {name: self.git("show", f"{ref}:deploy/{environment}/{name}") for name in names}

    def edit(self, which: str, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Make another bundle of a trained one, and have DVC keep it."""
        place = self.root / "trained" / name
        shutil.copytree(self.root / "trained" / which, place)
        content = manifest.read(place)
        content.pop("files")
        change(content)
        manifest.write(place, content)
        self.keep(name)

    def keep(self, name: str) -> None:
        """Have DVC take a bundle into its cache, and set the lock aside that pins it."""
        shutil.rmtree(self.root / "candidate", ignore_errors=True)
        shutil.copytree(self.root / "trained" / name, self.root / "candidate")
        self.dvc("commit", "--force", "--quiet", "bundle")
        shutil.copy(self.root / "dvc.lock", self.root / f"trained/{name}.lock")
        (self.root / "dvc.lock").unlink()
        if self.git("ls-files", "dvc.lock"):
            self.git("checkout", "-q", "dvc.lock")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Three trained bundles, none promoted; not to be changed."""
    from mlops.bundle.assembly import bundle
    from mlops.config.compose import resolve
    from mlops.data.prepare import prepare
    from mlops.data.sample import write
    from mlops.evaluation.evaluate import evaluate
    from mlops.training.fitting import train

    workshop = Workshop(tmp_path_factory.mktemp("built") / "project")
    root = workshop.root
    (root / "trained").mkdir(parents=True)
    stages.copied(root, more=[".dvcignore", "deploy"])
    shutil.rmtree(root / "conf/gate")
    workshop.write("conf/gate/standard.yaml", POLICY)
    workshop.write(".gitignore", IGNORED)
    workshop.write("dvc.yaml", PIPELINE)
    workshop.git("init", "-q", "-b", "main")
    workshop.dvc("init", "--quiet")
    workshop.write(".dvc/config", REMOTE)
    with chdir(root):
        write(Path("data/raw"), rows=900, months=2)
        for name, trees in TREES.items():
            workshop.write("params.yaml", PARAMS.format(trees=trees))
            settings = resolve()
            workshop.commit()
            if not Path("data/prepared").exists():
                prepare(settings.data, settings.split)
            train(settings)
            evaluate(settings)
            bundle(settings)
            shutil.move("candidate", f"trained/{name}")
            shutil.rmtree("model")
            workshop.keep(name)
    shutil.rmtree(root / "reports")
    workshop.commit("Start")
    workshop.pack()
    return workshop


@pytest.fixture(scope="session")
def crowned(built: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The same, after the middle one was gated, promoted and merged; not to be changed."""
    workshop = Workshop.copied(built, tmp_path_factory.mktemp("crowned"))
    workshop.released("middle")
    workshop.pack()
    return workshop


@pytest.fixture(scope="session")
def first_judged(built: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The good one on a branch, passed as the first model; not to be changed."""
    workshop = Workshop.copied(built, tmp_path_factory.mktemp("first"))
    workshop.branch("good")
    assert workshop.gate() == 0
    return workshop


@pytest.fixture(scope="session")
def second_judged(crowned: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The good one on a branch, passed against the middle one; not to be changed."""
    workshop = Workshop.copied(crowned, tmp_path_factory.mktemp("second"))
    workshop.branch("good")
    assert workshop.gate() == 0
    return workshop


@pytest.fixture
def first(first_judged: Workshop, tmp_path: Path) -> Workshop:
    """A passed candidate on a branch, and no champion."""
    return Workshop.copied(first_judged, tmp_path)


@pytest.fixture
def second(second_judged: Workshop, tmp_path: Path) -> Workshop:
    """A passed candidate on a branch, and a champion on main."""
    return Workshop.copied(second_judged, tmp_path)


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Workshop], Workshop]:
    """Copy a workshop that is not to be changed."""
    return lambda source: Workshop.copied(source, tmp_path)
