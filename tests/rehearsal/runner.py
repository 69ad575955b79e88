"""A run of a workflow: its jobs, in the order of their needs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import workflow
from .expressions import Known, Scope, interpolate
from .github import OWNER, GitHub
from .job import JobRun
from .machine import Machine
from .results import Event, Run


class Runner:
    """Runs workflows against a rehearsed GitHub."""

    def __init__(
        self,
        github: GitHub,
        machine: Machine,
        secrets: Mapping[str, str],
        variables: Mapping[str, str],
        break_at: str = "",
        secrets_of_bots: Mapping[str, str] | None = None,
    ) -> None:
        self.github, self.machine = github, machine
        self.secrets, self.variables = dict(secrets), dict(variables)
        self.secrets_of_bots = dict(secrets_of_bots or {})  # what Dependabot's runs read
        self.break_at = break_at  # the name of a step that fails after it ran, as networks do
        self.runs = 0

    def run(self, path: Path, event: Event) -> Run:
        """Run a workflow file."""
        told = workflow.load(path)
        self.runs += 1
        run = Run(told.get("name", path.stem), event, path.name)
        run.artifacts = self.machine.folder / f"run-{self.runs}/artifacts"
        scope = Scope({"github": self.about(event, run, "", "", Path()), "inputs": Known()})
        scope.contexts = {**scope.contexts, "vars": Known(self.variables)}
        if "concurrency" in told:
            run.concurrency = _interpolated(told["concurrency"], scope)
        waiting = dict(told["jobs"])
        while waiting:
            ready = [name for name, job in waiting.items() if not set(job["needs"]) & set(waiting)]
            if not ready:
                raise workflow.WorkflowError(f"{path.name}: jobs need each other in a circle")
            for name in ready:
                run.jobs[name] = JobRun(self, told, run, name, waiting.pop(name)).run()
        return run

    def about(self, event: Event, run: Run, job: str, token: str, workspace: Path) -> Known:
        base = event.payload.get("repository", {})
        return Known(
            action="",
            actor=event.actor,
            api_url=self.github.url,
            base_ref=event.base_ref,
            event=event.payload,
            event_name=event.name,
            head_ref=event.head_ref,
            job=job,
            ref=event.ref,
            ref_name=event.ref.removeprefix("refs/heads/").removeprefix("refs/pull/"),
            repository=event.repository,
            repository_owner=event.repository.split("/")[0],
            run_attempt="1",
            run_id=str(self.runs),
            run_number=str(self.runs),
            server_url=self.github.url,
            sha=event.sha,
            token=token,
            triggering_actor=base.get("owner", OWNER),
            workflow=run.workflow,
            workspace=str(workspace),
        )


def _interpolated(told: Any, scope: Scope) -> Any:
    if isinstance(told, Mapping):
        return {key: _interpolated(inner, scope) for key, inner in told.items()}
    return interpolate(told, scope)
