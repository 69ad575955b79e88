"""Two projects of one repository on a rehearsed GitHub: what the one does costs the other nothing.

The container engine is a stand-in here: what it builds is of the tests of a release.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from baked import ROOT, Project, sharing
from several import NAMES, repository
from sweeps import thorough

from rehearsal.github import git
from rehearsal.results import Run
from rehearsal.story import EXPERIMENT, MODELS, POLICY, Story

STAND_IN = ROOT / "tests/engine/release/releasing/stand_in.py"
INSTALLED = "import json, sys; from mlops.release import sbom; print(json.dumps(list(sbom.installed(open(sys.argv[1]).read(), '3.11').items())))"  # noqa: E501


@dataclass
class Several(Story):
    """A story of two projects: its author works at one of them at a time."""

    model: str = "churn"

    def __post_init__(self) -> None:
        super().__post_init__()
        own = [f"{name.upper()}_" for name in NAMES]
        for settings in ("secrets", "variables"):
            known = getattr(self, settings)
            none = {f"{one}{name}": "" for one in own for name in known}
            setattr(self, settings, {**known, **none})
        self.skipped = set()

    @property
    def author(self) -> Project:
        """The author in the folder of a project."""
        return sharing(self.folder / "clone/models" / self.model, self.folder)

    def write(self, name: str, content: str) -> None:
        """Write a file of the project."""
        path = self.author.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def _required(self) -> dict[str, Any]:
        """Return what the rulesets of both require together."""
        both: dict[str, Any] = {}
        working_at = self.model
        for self.model in NAMES:
            told = self.author.run("mlops", "workflows", "--ruleset").stdout
            rules = {rule["type"]: rule.get("parameters", {}) for rule in json.loads(told)["rules"]}
            own = rules["required_status_checks"]
            checks = [*both.get("required_status_checks", ()), *own["required_status_checks"]]
            both = {**own, "required_status_checks": checks}
        self.model = working_at
        return both

    def environment(self, branch: str) -> dict[str, Any]:
        """Return what a deployment branch records."""
        return dict(json.loads(self.at(branch, "release.json")))

    def branches(self) -> set[str]:
        """Return the branches that GitHub has."""
        told = git(self.github.bare(), "for-each-ref", "--format=%(refname:strip=2)", "refs/heads")
        return set(told.split())


@pytest.fixture
def story(template: Path, isolated: Path, tmp_path: Path) -> Iterator[Several]:
    """A repository of two projects without data on GitHub."""
    with Several(tmp_path / "world") as made:
        repository(template, isolated, made.folder / "clone")
        git(made.github.bare(), "fetch", "--quiet", str(made.folder / "clone"), "main:main")
        yield made


def results(run: Run) -> dict[str, str]:
    """Return the result of each job."""
    return {name: job.result for name, job in run.jobs.items()}


def test_a_neighbour_is_told_fast_that_nothing_of_it_changed(story: Several) -> None:
    story.skipped = {"churn-model.yml"}  # which the test below has
    story.begin("work")
    story.write("notes.md", "Notes\n")
    story.author.commit("Notes")
    number, runs = story.propose("work")
    assert set(runs) == {"churn check", "fraud check", "fraud model"}
    done = dict.fromkeys(("changed", "check", "pass"), "success")
    assert results(runs["churn check"]) == {**done, "neighbours": "skipped"}
    for name, idle in (("check", {"check"}), ("model", {"judge", "push", "attest", "comment"})):
        run = runs[f"fraud {name}"]
        assert {job for job, result in results(run).items() if result == "skipped"} >= idle
        assert results(run)["changed"] == results(run)["pass"] == "success", run.output
        assert "Nothing of fraud changed" in run.output
        assert sum(step.seconds for job in run.jobs.values() for step in job.steps) < 20
    assert story.blocked(number) == ["churn model passed: expected"]
    # What automation pushes starts no workflow: what is dispatched reports for the neighbour.
    story.write("notes.md", "Results\n")
    story.author.commit("Results")
    story.push(story.author.path, "work")
    run = story.start("churn-check.yml", "workflow_dispatch", "work")
    assert results(run)["neighbours"] == "success", run.output
    assert run.jobs["neighbours"].permissions == {"contents": "read", "statuses": "write"}
    reported = {"churn check passed", "fraud check passed", "fraud model passed"}
    assert story.github.status(story.github.tip("work")) == dict.fromkeys(reported, "success")
    # Of what a branch does change, nobody says that it did not.
    (story.folder / "clone/models/fraud/notes.md").write_text("Notes\n")
    Project(story.folder / "clone", story.author.environment).commit("The neighbour's")
    story.push(story.author.path, "work")
    story.start("churn-check.yml", "workflow_dispatch", "work")
    assert set(story.github.status(story.github.tip("work"))) == {"churn check passed"}


def test_a_job_that_cannot_ask_lets_nothing_pass(story: Several) -> None:
    story.begin("work")
    shutil.rmtree(story.folder / "clone/models/fraud")
    whole = Project(story.folder / "clone", story.author.environment)
    whole.commit("Gone, and its workflows are not")
    story.skipped = {"churn-model.yml", "churn-check.yml"}
    _, runs = story.propose("work")
    for name in ("fraud check", "fraud model"):
        assert results(runs[name])["changed"] == results(runs[name])["pass"] == "failure"


@pytest.fixture
def begun(story: Several) -> Several:
    """The same with data, policies and a stand-in for the container engine."""
    engine = story.folder / "engine"
    engine.mkdir()
    story.machine.extra = {**story.machine.extra, "STAND_IN": str(engine), "MLOPS_ENGINE": "podman"}
    for name in ("podman", "skopeo", "docker"):
        shutil.copy(STAND_IN, story.machine.folder / "bin" / name)
        (story.machine.folder / "bin" / name).chmod(0o755)
    for story.model in NAMES:
        story.write("conf/gate/story.yaml", POLICY)
        story.write("params.yaml", EXPERIMENT.format(model=MODELS["first"]))
        story.connect()
        story.author.run("mlops", "sample", "--rows", "5000", "--months", "10")
        story.author.run("dvc", "add", "--quiet", "data/raw")
        story.author.run("dvc", "push", "--quiet")
    root = story.author.path
    command = [sys.executable, "-c", INSTALLED, str(root / "requirements/serve.txt")]
    source = {**os.environ, "PYTHONPATH": str(root / "engine/src")}
    done = subprocess.run(command, env=source, check=True, capture_output=True)
    (engine / "installed.json").write_bytes(done.stdout)
    Project(story.folder / "clone", story.author.environment).commit("Data")
    runs = story.push(story.folder / "clone", "main")
    assert {run.result for run in runs} == {"success"}, [run.output for run in runs]
    return story


@thorough
def test_each_goes_its_way_to_production(begun: Several) -> None:
    story = begun
    accepted: Callable[[int], dict[str, Run]] = story.accept
    for story.model, other in (NAMES, NAMES[::-1]):
        model = story.model
        story.begin(model)
        story.author.run("git", "commit", "--quiet", "--allow-empty", "-m", "Train")
        story.write("notes.md", "Train\n")
        story.author.commit("Train")
        number, runs = story.propose(model)
        assert results(runs[f"{model} model"])["judge"] == "success", runs[f"{model} model"].output
        assert results(runs[f"{other} model"])["judge"] == "skipped"
        story.model = model
        changed = git(story.github.bare(), "diff", "--name-only", "main", model).split()
        assert f"models/{model}/deploy/production/champion.dvc" in changed
        assert all(path.startswith(f"models/{model}/") for path in changed)
        assert story.blocked(number) == []
        before = story.branches()
        made = accepted(number)
        assert results(made[f"{model} release"])["release"] == "success", made[
            f"{model} release"
        ].output
        assert results(made[f"{other} release"])["release"] == "skipped"
        assert story.branches() - before == {f"env/{model}/production"}
        said = story.environment(f"env/{model}/production")
        assert said["image"] == f"ghcr.io/acme/{model}"
        story.model = model
        story.begin("main")
        assert "to now: " in story.author.run("mlops", "history").stdout
    assert {f"env/{name}/production" for name in NAMES} <= story.branches()
    # Each finds that all is as its own main declares.
    for name in ("churn-reconcile.yml", "fraud-reconcile.yml"):
        run = story.start(name, "schedule")
        assert run.result == "success", run.output
