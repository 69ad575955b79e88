"""The loop on GitLab, as `gitlab-ci-local` reads and runs its file: in the place of a runner."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import SOURCE, Project, sharing
from linting import run, tool
from pipelines import (
    FORK,
    MAIN,
    NIGHT,
    REQUEST,
    TRAIN,
    Lab,
    Runner,
    installed,
    started,
    stored,
    told,
)
from sweeps import thorough

FILE = SOURCE / ".gitlab-ci.yml"


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A repository with the file alone."""
    path = tmp_path / "checkout"
    path.mkdir()
    shutil.copy(FILE, path)
    environment = sharing(path, tmp_path).environment
    made = Project(path, environment)
    made.run("git", "init", "--quiet", "--initial-branch", "main")
    for name in ("dvc.lock", "params.yaml"):
        (path / name).touch()
    made.commit()
    made.run("git", "remote", "add", "origin", "https://gitlab.invalid/acme/demo.git")
    made.run("git", "update-ref", "refs/remotes/origin/main", "HEAD")
    made.run("git", "remote", "set-head", "origin", "main")
    return Runner(path, environment)


@pytest.mark.parametrize(
    ("kind", "jobs"),
    [
        (REQUEST, {"check", "judge", "push"}),
        (FORK, {"check", "judge"}),
        (TRAIN, {"check", "judge"}),
        ({**REQUEST, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "other"}, set()),
        (MAIN, {"check", "release"}),
        ({**MAIN, "CI_COMMIT_BRANCH": "other"}, set()),
        (NIGHT, {"reconcile"}),
        (
            {**NIGHT, "MONITOR_LOG": "s3://log", "INGEST": "on", "PREDICT_INPUT": "s3://in"},
            {"reconcile", "ingest", "monitor", "alert", "refresh", "predict"},
        ),
    ],
    ids=["request", "fork", "train", "other-target", "main", "other", "night", "night-all"],
)
def test_each_kind_of_pipeline_has_its_jobs(
    runner: Runner, kind: dict[str, str], jobs: set[str]
) -> None:
    found = runner.jobs(kind) if jobs else runner.local("--list-json", *told(kind), check=False)
    assert found == jobs or (not jobs and "'judge'" not in found)


def jobs(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the jobs of a file, hidden ones too."""
    kinds = {name: one for name, one in content.items() if isinstance(one, dict)}
    return {name: one for name, one in kinds.items() if "script" in one or "before_script" in one}


CONTENT = yaml.safe_load(FILE.read_text(encoding="utf-8"))
CALLS = ("make", "git", "test", "export", "mkdir", "printf", 'PUSH_TOKEN="$ENV_TOKEN" make')


def test_it_is_well_formed(tmp_path: Path) -> None:
    schema = (tool("check-jsonschema"), "--builtin-schema", "vendor.gitlab-ci")
    assert run(*schema, FILE) == ""
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(FILE.read_text().replace("interruptible: true", "interruptible: maybe", 1))
    assert run(*schema, wrong) != ""


def test_it_decides_nothing(tmp_path: Path) -> None:
    targets = set(
        re.findall(r"^([a-z]+):.*##-? ", (SOURCE / "engine/tasks.mk").read_text(), re.MULTILINE)
    )
    for name, job in jobs(CONTENT).items():
        for part in ("before_script", "script", "after_script"):
            lines = job.get(part, [])
            file = tmp_path / f"{name}-{part}.sh"
            file.write_text("#!/bin/bash\n" + "\n".join(lines) + "\n")
            # What GitLab sets, and what a job before hands over.
            assert run(tool("shellcheck"), "--exclude", "SC2154,SC2155", file) == ""
            for line in lines:
                assert line.startswith(CALLS), line
                called = re.search(r"\bmake ((?:--silent )?[a-z ]+)", line)
                assert not called or set(called[1].replace("--silent", "").split()) <= targets


def test_only_jobs_of_main_name_what_only_main_may_read() -> None:
    for name in ("judge", "push", "check"):
        assert "ENV_TOKEN" not in yaml.safe_dump(CONTENT[name]), name
    for name in ("release", "reconcile"):
        assert CONTENT[name]["extends"] == ".containers"
        assert "merge_request" not in yaml.safe_dump(CONTENT[name]["rules"]), name
    assert "make" not in " ".join(CONTENT["push"]["script"][:2])  # not before main is checked out
    assert CONTENT["push"]["script"][1].endswith("--detach origin/main")


@pytest.fixture
def lab(bake: Callable[..., Path], tmp_path: Path) -> Lab:
    """A project on GitLab, its first candidate trained by nobody yet."""
    author = sharing(bake(), tmp_path)
    remote = tmp_path / "remote.git"
    author.run("git", "init", "--quiet", "--initial-branch", "main")
    author.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(remote))
    author.run("git", "remote", "add", "origin", str(remote))
    stored(author, tmp_path / "storage")
    author.commit("Start")
    author.run("git", "push", "--quiet", "origin", "main")
    return started(tmp_path, author)


@thorough
def test_a_request_is_judged_pushed_merged_and_released(lab: Lab) -> None:
    author = lab.author
    author.run("git", "checkout", "--quiet", "-b", "better")
    author.run("git", "commit", "--allow-empty", "--quiet", "--message", "Try")
    author.run("git", "push", "--quiet", "origin", "better")
    kind = {**REQUEST, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "better"}
    # From a fork: judged, and nothing leaves the job.
    lab.pipeline("fork", "origin/better", {**kind, **FORK}, "judge")
    assert lab.git("log", "--format=%s", "main..better").splitlines() == ["Try"]
    # From the project: what passed is on the branch.
    lab.pipeline("request", "origin/better", kind, "judge", "push")
    subjects = lab.git("log", "--format=%s", "main..better").splitlines()
    assert subjects[1:] == ["Run the pipeline", "Try"]
    assert subjects[0].startswith("Promote")
    assert "deploy/production/champion.dvc" in lab.git("ls-tree", "-r", "--name-only", "better")
    # What was pushed is judged too: nothing is left to do.
    before = lab.git("rev-parse", "better")
    lab.pipeline("again", "origin/better", kind, "judge", "push")
    assert lab.git("rev-parse", "better") == before
    # Merged, it is released, with the password on standard input.
    author.run("git", "fetch", "--quiet")
    author.run("git", "checkout", "--quiet", "main")
    author.run("git", "merge", "--quiet", "--no-ff", "-m", "Merge", "origin/better")
    author.run("git", "push", "--quiet", "origin", "main")
    installed(lab, author.path)
    registry = {"CI_REGISTRY": "registry.invalid", "CI_REGISTRY_USER": "robot"}
    secret = {**registry, "CI_REGISTRY_PASSWORD": "s3cret-password"}
    _, said = lab.pipeline("release", "origin/main", {**MAIN, **secret}, "release")
    record = json.loads(lab.git("show", "env/production:release.json"))
    assert record["commit"] == lab.git("rev-parse", "main").strip()
    assert (lab.engine / "password").read_text() == "s3cret-password"
    assert "s3cret-password" not in said


OWN = {"REGISTRY": "own.invalid", "REGISTRY_USER": "me", "REGISTRY_PASSWORD": "own-s3cret"}
GITLABS = {"CI_REGISTRY": "gitlab.invalid", "CI_REGISTRY_USER": "robot"}
GITLABS |= {"CI_REGISTRY_PASSWORD": "gitlab-s3cret"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (GITLABS, "login --username robot --password-stdin gitlab.invalid gitlab-s3cret\n"),
        ({**GITLABS, **OWN}, "login --username me --password-stdin own.invalid own-s3cret\n"),
        # GitLab's password is for GitLab alone, also where the other one was forgotten.
        (
            {**GITLABS, "REGISTRY": "own.invalid"},
            "login --username  --password-stdin own.invalid \n",
        ),
    ],
)
def test_a_registry_of_ones_own_gets_its_own_password(
    tmp_path: Path, variables: dict[str, str], said: str
) -> None:
    content = yaml.safe_load((SOURCE / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    lines = [line for line in content[".containers"]["before_script"] if "docker" in line]
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "$* $(cat)" >> calls\n')
    docker.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    told = ["bash", "-eo", "pipefail", "-c", "\n".join(lines)]
    subprocess.run(told, cwd=tmp_path, env={"PATH": path, **variables}, check=True)
    assert (tmp_path / "calls").read_text() == said


def test_a_token_is_asked_of_the_environment_and_kept_nowhere(lab: Lab) -> None:
    """Where there is one, git asks for it at the project's own address, and nowhere else."""
    own = {"PUSH_TOKEN": "glpat-s3cret", "CI_PROJECT_URL": "https://gitlab.invalid/acme/demo"}
    author = Project(lab.author.path, {**lab.author.environment, **own, "PROPOSE": "yes"})
    lab.machine.install(author.path)
    author.run("make", "token")
    assert "glpat" not in (author.path / ".git/config").read_text()
    url = author.run("git", "remote", "get-url", "--push", "origin").stdout.strip()
    assert url == "https://gitlab.invalid/acme/demo.git"
    asked = "protocol=https\nhost=gitlab.invalid\n\n"
    filled = subprocess.run(
        ["git", "credential", "fill"],
        cwd=author.path,
        env=dict(author.environment),
        input=asked,
        text=True,
        capture_output=True,
        check=True,
    )
    assert "password=glpat-s3cret" in filled.stdout
    assert author.run("git", "config", "push.pushOption").stdout.strip() == "merge_request.create"
