"""Pipelines on GitLab, as `gitlab-ci-local` reads and runs them: in the place of a runner."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from baked import ROOT, Project
from linting import tool
from rehearsal.machine import Machine

STAND_IN = ROOT / "tests/engine/release/releasing/stand_in.py"

REQUEST = {
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "7",
    "CI_MERGE_REQUEST_PROJECT_ID": "7",
}
FORK = {**REQUEST, "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "8"}
MAIN = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main"}
NIGHT = {**MAIN, "CI_PIPELINE_SOURCE": "schedule"}
REGISTRY = {
    "CI_REGISTRY": "registry.invalid",
    "CI_REGISTRY_USER": "robot",
    "CI_REGISTRY_PASSWORD": "s3cret-password",
}
TRAIN = {**REQUEST, "CI_MERGE_REQUEST_EVENT_TYPE": "merge_train"}
PREDEFINED = (*TRAIN, *MAIN, "CI_DEFAULT_BRANCH", "CI_COMMIT_SHA", "CI_REGISTRY", "CI_PROJECT_DIR")
COLOUR, RESULT = re.compile(r"\x1b\[\d*m"), re.compile(r"^ (PASS|FAIL) +(.+?) *$", re.MULTILINE)
EVERY = ("--evaluate-rule-changes=false",)  # GitLab compares nothing where nothing was pushed


def told(variables: Mapping[str, str]) -> list[str]:
    """Return the arguments that say what GitLab would of a pipeline."""
    every = {"CI_DEFAULT_BRANCH": "main", **variables}
    given = [word for name, value in every.items() for word in ("--variable", f"{name}={value}")]
    return [*given, "--ignore-predefined-vars", ",".join(PREDEFINED)]


class Runner(NamedTuple):
    """A checkout in which the jobs of a pipeline run, and the environment of its machine."""

    path: Path
    environment: Mapping[str, str]

    def local(self, *arguments: str, check: bool = True) -> str:
        """Run gitlab-ci-local; return what it printed, its errors too where they may be."""
        command = [str(tool("gitlab-ci-local")), *arguments]
        tool("rsync")
        done = subprocess.run(
            command, cwd=self.path, env=dict(self.environment), text=True, capture_output=True
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout if check else done.stdout + done.stderr

    def jobs(self, variables: Mapping[str, str], *options: str) -> set[str]:
        """Return the jobs that a pipeline of such a kind has."""
        listed = json.loads(self.local("--list-json", *options, *told(variables)))
        return {job["name"] for job in listed if job["when"] != "never"}


class Lab(NamedTuple):
    """A repository as GitLab keeps it, its author's clone, and a machine for runners."""

    folder: Path
    author: Project
    machine: Machine
    engine: Path
    inside: Sequence[str] = ()  # the folders of several projects

    @property
    def remote(self) -> Path:
        return self.folder / "remote.git"

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.remote), *arguments]
        return subprocess.run(command, check=True, text=True, capture_output=True).stdout

    def branches(self) -> set[str]:
        """Return the branches that GitLab has."""
        return set(self.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split())

    def pipeline(
        self,
        name: str,
        at: str,
        kind: Mapping[str, str],
        *jobs: str,
        since: str = "",
        fails: str = "",
    ) -> tuple[set[str], str]:
        """Run jobs of a pipeline of a commit, in a checkout like a runner's.

        Returns which ran, all well but the one that `fails`, and what they said.

        Without a name of one they are those that its rules give it: for what changed `since` a
        commit, which the runner looks for where main was; where nobody pushed, for anything.
        """
        path = self.folder / name
        cloning = ("git", "clone", "--quiet", str(self.remote), str(path))
        self.author.run(*cloning)
        runner = Runner(path, self.machine.environment(self.folder / f"home-{name}"))
        own = Project(path, runner.environment)
        own.run("git", "checkout", "--quiet", "--detach", at)
        for folder in self.inside or ("",):
            self.machine.install(path / folder)
        if since:
            own.run("git", "update-ref", "refs/remotes/origin/main", since)
        settings = (self.author.path / ".dvc/config.local").read_text()
        commit = own.run("git", "rev-parse", "HEAD").stdout.strip()
        said = {"DVC_CONFIG": settings, "CI_COMMIT_SHA": commit, **kind}
        if self.inside:  # a shell has it elsewhere than a container
            said["CI_PROJECT_DIR"] = str(path)
        before = ("--needs",) if any(job.endswith("push") for job in jobs) else ()
        compared = () if since or jobs else EVERY
        options = ("--force-shell-executor", *before, *compared, "--concurrency", "1")
        out = COLOUR.sub("", runner.local(*jobs, *options, *told(said), check=False))
        ended = RESULT.findall(out)
        assert [name for result, name in ended if result == "FAIL"] == ([fails] if fails else []), (
            out
        )
        assert ended, out
        return {name for _, name in ended}, out


def stored(author: Project, storage: Path) -> None:
    """Have a project keep its data in a folder, and a few rows of the sample there."""
    remote = f"['remote \"storage\"']\n    url = {storage}\n"
    (author.path / ".dvc/config.local").write_text(remote)
    author.run("mlops", "sample", "--rows", "4000", "--months", "3")
    author.run("dvc", "add", "--quiet", "data/raw")
    author.run("dvc", "push", "--quiet")


def started(
    tmp_path: Path, author: Project, inside: Sequence[str] = (), idle: Sequence[str] = ("mypy",)
) -> Lab:
    """Return a lab in which the container engine is a stand-in."""
    engine = tmp_path / "engine"
    engine.mkdir()
    extra = {"STAND_IN": str(engine), "MLOPS_ENGINE": "podman"}
    machine = Machine(tmp_path / "machine", extra, idle)
    for name in ("podman", "skopeo", "docker"):
        shutil.copy(STAND_IN, machine.folder / "bin" / name)
        (machine.folder / "bin" / name).chmod(0o755)
    (machine.folder / "bin/docker").write_text(f"#!/bin/sh\ncat > {engine}/password\n")
    return Lab(tmp_path, author, machine, engine, inside)


def installed(lab: Lab, project: Path) -> None:
    """Say what an image holds, as the release asks it."""
    module = "import json, sys; from mlops.release import sbom; "
    code = "print(json.dumps(list(sbom.installed(open(sys.argv[1]).read(), '3.11').items())))"
    command = [sys.executable, "-c", module + code, str(project / "requirements/serve.txt")]
    source = {"PYTHONPATH": str(project / "engine/src")}
    done = subprocess.run(command, env={**os.environ, **source}, check=True, capture_output=True)
    (lab.engine / "installed.json").write_bytes(done.stdout)
