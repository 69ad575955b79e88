"""Pipelines on GitLab, as `gitlab-ci-local` reads and runs them: in the place of a runner."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from linting import tool

REQUEST = {
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "7",
    "CI_MERGE_REQUEST_PROJECT_ID": "7",
}
FORK = {**REQUEST, "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "8"}
MAIN = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main"}
NIGHT = {**MAIN, "CI_PIPELINE_SOURCE": "schedule"}
TRAIN = {**REQUEST, "CI_MERGE_REQUEST_EVENT_TYPE": "merge_train"}
PREDEFINED = (*TRAIN, *MAIN, "CI_DEFAULT_BRANCH", "CI_COMMIT_SHA", "CI_REGISTRY", "CI_PROJECT_DIR")


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
