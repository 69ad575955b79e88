"""Commands of a job: what the runner puts into their environment, and what they leave."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baked import ended

from . import environment_files
from .environment_files import Files
from .functions import text
from .machine import Machine
from .results import Event, Job

LIMIT = 600  # seconds, whatever timeout-minutes allows
TOLD = (
    *("action", "actor", "api_url", "base_ref", "event_name", "head_ref", "job", "ref"),
    *("ref_name", "repository", "repository_owner", "run_attempt", "run_id", "run_number"),
    *("server_url", "sha", "triggering_actor", "workflow", "workspace"),
)


class Shell:
    """Runs the commands of one job; keeps what they add to its environment."""

    def __init__(self, machine: Machine, folder: Path, event: Event, result: Job) -> None:
        self.machine, self.folder, self.event, self.result = machine, folder, event, result
        self.workspace, self.temp, self.home = (folder / name for name in ("work", "temp", "home"))
        self.env: dict[str, str] = {}
        self.path: list[str] = []

    def execute(
        self,
        command: list[str],
        folder: Path,
        contexts: Mapping[str, Any],
        at: str,
        seconds: float = LIMIT,
    ) -> tuple[int, str, dict[str, str]]:
        """Run a command with what a runner puts into its environment, and read what it left."""
        files = Files.create(self.temp / f"{at}.files")
        environment = {**self._environment(contexts), **contexts["env"], **files.environment}
        code, said = ended(command, folder, environment, seconds)
        if code is None:
            return 1, f"{said}\nThe step has timed out after {seconds:g} s.", {}
        self.env |= environment_files.variables(files.env)
        self.path = [*reversed(files.path.read_text().split()), *self.path]
        self.result.summary += files.summary.read_text()
        return code, said, environment_files.read(files.output)

    def _environment(self, contexts: Mapping[str, Any]) -> dict[str, str]:
        github = contexts["github"]
        payload = self.temp / "event.json"
        payload.write_text(json.dumps(self.event.payload))
        machine = self.machine.environment(self.home)
        return {
            **machine,
            **{f"GITHUB_{name.upper()}": text(github[name]) for name in TOLD},
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_PATH": str(payload),
            "CI": "true",
            "RUNNER_TEMP": str(self.temp),
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "PATH": os.pathsep.join([*self.path, machine["PATH"]]),
        }
