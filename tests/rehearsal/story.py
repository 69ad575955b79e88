"""The people of the story: an author at a clone, on a rehearsed GitHub with data and registry."""

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from baked import Project, sharing

from .github import FORK, REPOSITORY, git
from .rehearsal import Rehearsal
from .results import Run

# Few rows leave wide intervals: the margins are wider than those that projects begin with.
POLICY = """
seed: 0
resamples: 200
confidence: 0.95
rules:
  metric: {metric: roc_auc, at_least: 0.6, by: value}
  better_than_baseline:
    {metric: roc_auc, baselines: [dummy], margin: 0.0, rows: 50000, by: bound}
  non_inferiority: {margins: {roc_auc: 0.08}, sides: two}
  holdout_unchanged: {at_most: 0.0}
  split_kept: {}
  time_order: {}
  parity: {at_most: 1.0e-5}
  lineage: {}
  reproduced: {tolerance: 1.0e-6, minutes: 10}
"""
EXPERIMENT = """
data: {{use: churn}}
split: {{use: time, cutoff: "2025-06-01", holdout_days: 150}}
features: {{use: churn}}
model: {model}
training: {{use: standard}}
tuning: {{use: none}}
evaluation: {{use: standard, resamples: 50}}
gate: {{use: story}}
monitoring: {{use: standard, min_rows: 50, maturity_days: 7, season_rows: 100000}}
"""
BUNDLE, TRAFFIC = "candidate", Path(__file__).with_name("traffic.py")
A_DAY = 100  # rows of traffic
MONTHS = 10  # of rows; those from the sixth on are held out
# Where new rows come from: a folder, which a secret names.
SOURCES = '''"""Rows of the warehouse."""

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd


def fetched() -> Iterator[pd.DataFrame]:
    """Fetch every month there is."""
    for path in sorted(Path(os.environ["SOURCE_CONFIG"]).glob("*.parquet")):
        yield pd.read_parquet(path)
'''
MODELS = {
    "first": "{use: boosting, max_iter: 60}",
    "better": "{use: boosting, max_iter: 90}",
    "other": "{use: boosting, max_iter: 120}",
    "worse": "{use: dummy}",
}
# What runs elsewhere for real: `make check` of a project is a test of its own.
IDLE = ("mypy", "pytest")
# And the model that takes longest to fit, which a project without it skips.
LONG = "tests/test_wiring.py::test_every_model_learns_and_answers[ebm]"
WITHOUT_LOOP = f"--ignore=tests/test_loop.py --deselect={LONG}"
# Asks a confined server which model it serves, once it is ready.
ASK = """
import http.client, json, time
for _ in range(600):
    try:
        told = http.client.HTTPConnection("127.0.0.1", 8000, timeout=5)
        told.request("GET", "/model")
        answer = told.getresponse()
        if answer.status == 200:
            print(json.load(answer)["digest"])
            break
    except OSError:
        pass
    time.sleep(0.05)
"""


PREDICT_KEYS = ("PREDICT_ACCESS_KEY_ID", "PREDICT_SECRET_ACCESS_KEY")
PREDICT = (
    *(f"PREDICT_{what}" for what in ("INPUT", "OUTPUT", "PARTITION", "LOG")),
    *("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"),
)


@dataclass
class Story(Rehearsal):
    """A rehearsal with an author's clone, a data remote and, where there is one, an engine."""

    engine: Mapping[str, str] = field(default_factory=dict)
    remote: str = ""  # how DVC reaches the data; a folder of this world where nothing is said

    def __post_init__(self) -> None:
        super().__post_init__()
        remote = self.remote or f"['remote \"storage\"']\n    url = {self.folder / 'storage'}\n"
        unset = (
            "LOG_CONFIG",
            "INGEST_ENV",
            "ONLINE_STORE",
            "REGISTRY_PASSWORD",
            "MLFLOW_TRACKING_TOKEN",
            "ENV_KEY",
            "UPGRADE_TOKEN",
            *PREDICT_KEYS,
        )
        self.secrets = {
            "DVC_CONFIG": remote,
            "SOURCE_CONFIG": str(self.folder / "source"),
            **dict.fromkeys(unset, ""),
        }
        self.variables = {
            "REGISTRY": "",
            "REGISTRY_USER": "",
            "ATTESTATIONS": "",
            "COMPUTE": "",
            "RUNNER": "",
            "MONITOR_LOG": "",
            "REFRESH_EVERY_DAYS": "",
            "INGEST": "",
            "MATERIALISE": "",
            "UPGRADE": "",
            "EXPERIMENT": "",
            "INGEST_SINCE": "",
            "INGEST_TABLE": "",
            **dict.fromkeys(PREDICT, ""),
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/mlflow.db",
        }
        self.machine.extra = {**self.engine, "NO_PROXY": "127.0.0.1,localhost"}
        self.machine.idle = IDLE
        if not self.engine:
            self.skipped = {"release.yml", "reconcile.yml"}

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Have `make check` run the project's own tests meanwhile, but for the made-up pipeline.

        That one makes its own data in a folder of its own, and takes half a minute.
        """
        self.machine.idle = tuple(name for name in IDLE if name != "pytest")
        self.machine.extra = {**self.machine.extra, "PYTEST_ADDOPTS": WITHOUT_LOOP}
        try:
            yield
        finally:
            self.machine.idle = IDLE
            del self.machine.extra["PYTEST_ADDOPTS"]

    def check(self, **environment: str) -> None:
        """Run `make check` as the author, with the tests; it has to pass and to change nothing."""
        author = self.author
        with self.checking():
            self.machine.install(author.path)
        own = {**author.environment, "PYTEST_ADDOPTS": WITHOUT_LOOP}
        author.run("mlops", "resolve")
        before = author.run("git", "status", "--porcelain", "-uall").stdout
        Project(author.path, {**own, **environment}).run("make", "check")
        assert author.run("git", "status", "--porcelain", "-uall").stdout == before

    @property
    def author(self) -> Project:
        """The author's clone and environment."""
        return sharing(self.folder / "clone", self.folder)

    def settle(self, project: Path) -> None:
        """Take a generated project over, with the policy of the story and some data."""
        shutil.copytree(project, self.folder / "clone")
        author = self.author
        self.write("conf/gate/story.yaml", POLICY)
        self.write("params.yaml", EXPERIMENT.format(model=MODELS["first"]))
        self.write("src/project/sources.py", SOURCES)
        contract = self.folder / "clone/conf/data/churn.yaml"
        asked = "source: {format: parquet, ingest: fetched}"
        text = contract.read_text().replace("source: {format: parquet}", asked)
        contract.write_text(text)
        assert asked in text
        author.run("git", "init", "--quiet", "--initial-branch", "main")
        self.connect()
        author.run("mlops", "sample", "--rows", "5000", "--months", str(MONTHS))
        author.run("dvc", "add", "--quiet", "data/raw")
        author.run("dvc", "push", "--quiet")
        author.commit("Start")

    def rows(self, months: int) -> None:
        """Have the source hold so many months, those after the first MONTHS with all the drift."""
        source, place = self.folder / "source", self.folder / "made"
        for one in (source, place):
            shutil.rmtree(one, ignore_errors=True)
        place.mkdir()
        count = 5000 * months // MONTHS
        told = ("--rows", str(count), "--months", str(months), "--drift", "1")
        Project(place, self.author.environment).run("mlops", "sample", *told)
        shutil.copytree(self.author.path / "data/raw", source)
        assert len(list(source.iterdir())) == MONTHS
        for path in sorted((place / "data/raw").iterdir())[MONTHS:]:
            shutil.move(path, source)

    def answer(self, log: Path, rows: Path, days: int, *empty: str, bundle: str = BUNDLE) -> None:
        """Have a bundle answer rows of a folder, A_DAY of them on each of some days."""
        told = (str(one) for one in (bundle, log, rows, days, A_DAY, *empty))
        self.author.run("python", str(TRAFFIC), *told)

    def watch(self, log: Path) -> None:
        """Have the monitor read a log."""
        self.variables = {**self.variables, "MONITOR_LOG": str(log)}

    def connect(self) -> None:
        """Give the author access to the data of this world."""
        self.write(".dvc/config.local", self.secrets["DVC_CONFIG"])

    def write(self, name: str, content: str) -> None:
        """Write a file in the clone."""
        path = self.folder / "clone" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def begin(self, branch: str, at: str = "main") -> None:
        """Start a branch at main, or another one, as it is on GitHub."""
        bare = str(self.github.bare())
        self.author.run("git", "fetch", "--quiet", bare, at)
        self.author.run("git", "checkout", "--quiet", "--force", "-B", branch, "FETCH_HEAD")

    def change(self, model: str) -> None:
        """Commit another experiment, without running it."""
        self.write("params.yaml", EXPERIMENT.format(model=MODELS[model]))
        self.author.commit(f"Model {model}")

    def propose(
        self, branch: str, repository: str = REPOSITORY, author: str = "somebody"
    ) -> tuple[int, dict[str, Run]]:
        """Push the branch and open its pull request; return its runs by workflow."""
        self.push(self.author.path, branch, repository)
        number, runs = self.open(branch, repository, author)
        return number, self.finished(runs)

    def update(self, number: int) -> dict[str, Run]:
        """Push another commit to the branch of a pull request."""
        pull = self.github.pulls[number]
        self.push(self.author.path, pull.branch, pull.repository)
        return self.finished(self.synchronize(number))

    def finished(self, runs: list[Run]) -> dict[str, Run]:
        """Return runs by workflow, after what they dispatched has run as well."""
        self.dispatched()
        return {run.workflow: run for run in runs}

    def take(self, number: int) -> None:
        """Bring what automation pushed to a pull request's branch to the clone."""
        pull = self.github.pulls[number]
        self.author.run("git", "fetch", "--quiet", str(self.github.bare()), pull.branch)
        self.author.run("git", "merge", "--quiet", "--ff-only", "FETCH_HEAD")

    def accept(self, number: int, method: str = "merge") -> dict[str, Run]:
        """Merge a pull request; return the runs on main."""
        pull = self.github.pulls[number]
        pull.head = self.github.tip(pull.branch)
        return self.finished(self.merge(number, method))

    def at(self, ref: str, path: str) -> str:
        """Return a file of a branch on GitHub."""
        return git(self.github.bare(), "show", f"{ref}:{path}")

    def declared(self, ref: str = "main") -> str:
        """Return the digest of the model that a branch declares for production."""
        content = yaml.safe_load(self.at(ref, "deploy/production/release.yaml"))
        return str(content["manifest"])

    def deployed(self) -> dict[str, Any]:
        """Return what the deployment branch says; nothing before the first release."""
        listed = git(self.github.bare(), "branch", "--list", "env/production")
        return dict(json.loads(self.at("env/production", "release.json"))) if listed else {}

    def served(self) -> str:
        """Run what the deployment branch names and ask it which model it serves."""
        record = self.deployed()
        image = f"{record['image']}@{record['digest']}"
        confined = ["--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
        container = self._podman("run", "--detach", *confined, image)
        try:
            return self._podman("exec", container, "python3", "-c", ASK)
        finally:
            self._podman("rm", "--force", container)

    def images(self) -> set[str]:
        """Return the tags that the registry has."""
        address, _, name = self.deployed()["image"].partition("/")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{address}/v2/{name}/tags/list") as answer:
            return set(json.load(answer)["tags"])

    def _podman(self, *arguments: str) -> str:
        environment = self.machine.environment(self.folder / "home")
        done = subprocess.run(
            ["podman", *arguments], env=environment, text=True, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def in_production(folder: Path, project: Path, environment: Mapping[str, str]) -> Iterator[Story]:
    """Yield a repository on GitHub whose first model went by its pull request to production."""
    with Story(folder / "world", engine=environment) as story:
        story.settle(project)
        runs = story.push(story.author.path, "main")
        assert {run.result for run in runs} == {"success"}, [run.output for run in runs]
        story.begin("first")
        story.author.run("dvc", "repro")
        story.author.run("dvc", "push", "--quiet")
        story.author.commit("Candidate")
        number, made = story.propose("first")
        assert states(made["model"])["pass"] == "success", made["model"].output
        made = story.accept(number)
        if environment:
            assert made["release"].result == "success", made["release"].output
        yield story


def states(run: Run) -> dict[str, str]:
    """Return the result of each job; that of a refresh alone is left out where it was none."""
    results = {name: job.result for name, job in run.jobs.items()}
    return {name: one for name, one in results.items() if (name, one) != ("refreshed", "skipped")}


def copy(story: Story, folder: Path) -> Story:
    """Return a world as it was, to go on in another direction."""
    for name in ("clone", "github", "storage", "mlflow.db", "machine/caches"):
        source, target = story.folder / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        elif source.exists():
            shutil.copy2(source, target)
    made = Story(folder, engine=story.engine)
    for name in ("statuses", "comments", "attestations", "pulls", "issues", "labels"):
        setattr(made.github, name, deepcopy(getattr(story.github, name)))
    made.runs += story.runs
    made.connect()
    return made


__all__ = ["FORK", "MODELS", "Story", "copy", "in_production", "states"]
