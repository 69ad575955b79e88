"""A run of a workflow: its jobs in the order of their needs, each step as a runner runs it."""

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import actions, environment_files, workflow
from .environment_files import Files
from .expressions import Known, Scope, evaluate, interpolate
from .functions import text, truthy
from .github import OWNER, GitHub
from .machine import Machine, hash_files

LIMIT = 600  # seconds, whatever timeout-minutes allows


@dataclass
class Event:
    """What started a run, and what GitHub tells the run about it."""

    name: str
    repository: str
    ref: str
    sha: str
    payload: dict[str, Any] = field(default_factory=dict)
    base_ref: str = ""
    head_ref: str = ""
    fork: bool = False


@dataclass
class Step:
    """A step that was run or skipped."""

    name: str
    outcome: str
    conclusion: str
    output: str
    outputs: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class Job:
    """A job that was run or skipped."""

    name: str
    result: str = "skipped"
    outputs: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    summary: str = ""
    permissions: Mapping[str, str] = field(default_factory=dict)
    environment: str = ""

    @property
    def output(self) -> str:
        """Everything that its steps printed."""
        return "\n".join(f"# {step.name}: {step.conclusion}\n{step.output}" for step in self.steps)


@dataclass
class Run:
    """A run of a workflow."""

    workflow: str
    event: Event
    concurrency: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    artifacts: Path = Path()

    @property
    def result(self) -> str:
        """`success` unless a job failed."""
        return "failure" if any(j.result == "failure" for j in self.jobs.values()) else "success"

    @property
    def seconds(self) -> float:
        """How long the commands took."""
        return sum(step.seconds for job in self.jobs.values() for step in job.steps)

    @property
    def output(self) -> str:
        """Everything that was printed."""
        return "\n".join(
            f"## {name}: {job.result}\n{job.output}" for name, job in self.jobs.items()
        )


class Runner:
    """Runs workflows against a rehearsed GitHub."""

    def __init__(
        self,
        github: GitHub,
        machine: Machine,
        secrets: Mapping[str, str],
        variables: Mapping[str, str],
        break_at: str = "",
    ) -> None:
        self.github, self.machine = github, machine
        self.secrets, self.variables = dict(secrets), dict(variables)
        self.break_at = break_at  # the name of a step that fails after it ran, as networks do
        self.runs = 0

    def run(self, path: Path, event: Event) -> Run:
        """Run a workflow file."""
        told = workflow.load(path)
        self.runs += 1
        run = Run(told.get("name", path.stem), event)
        run.artifacts = self.machine.folder / f"run-{self.runs}/artifacts"
        scope = Scope({"github": self._github(event, run, "", "", Path()), "inputs": Known()})
        scope.contexts = {**scope.contexts, "vars": Known(self.variables)}
        if "concurrency" in told:
            run.concurrency = _interpolated(told["concurrency"], scope)
        waiting = dict(told["jobs"])
        while waiting:
            ready = [name for name, job in waiting.items() if not set(job["needs"]) & set(waiting)]
            if not ready:
                raise workflow.WorkflowError(f"{path.name}: jobs need each other in a circle")
            for name in ready:
                run.jobs[name] = _JobRun(self, told, run, name, waiting.pop(name)).run()
        return run

    def _github(self, event: Event, run: Run, job: str, token: str, workspace: Path) -> Known:
        base = event.payload.get("repository", {})
        return Known(
            action="",
            actor="somebody",
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


class _JobRun:
    """One job while it runs."""

    def __init__(
        self, runner: Runner, told: Mapping[str, Any], run: Run, name: str, job: Mapping[str, Any]
    ) -> None:
        self.runner, self.told, self.of, self.id, self.job = runner, told, run, name, job
        self.folder = runner.machine.folder / f"run-{runner.runs}/{name}"
        self.workspace = self.folder / "work"
        self.temp = self.folder / "temp"
        self.ok = True
        self.env: dict[str, str] = {}
        self.path: list[str] = []
        self.posts: list[actions.Post] = []
        self.done: dict[str, Any] = Known()
        self.result = Job(name)
        self.ancestors = self._ancestors(job["needs"])

    def _ancestors(self, needs: list[str]) -> set[str]:
        return set(needs).union(*(self._ancestors(self.told["jobs"][n]["needs"]) for n in needs))

    def run(self) -> Job:
        event, needs = self.of.event, self.of.jobs
        self.result.permissions = self._permissions()
        token = self.runner.github.issue_token(event.repository, self.result.permissions)
        given = {} if event.fork else self.runner.secrets
        hidden = dict.fromkeys(self.runner.secrets, "") | given
        self.contexts: dict[str, Any] = {
            "github": self.runner._github(event, self.of, self.id, token, self.workspace),
            "inputs": Known(),
            "vars": Known(self.runner.variables),
            "secrets": Known({**hidden, "GITHUB_TOKEN": token}),
            "needs": Known(
                {
                    name: Known(result=needs[name].result, outputs=needs[name].outputs)
                    for name in self.job["needs"]
                }
            ),
            "runner": Known(os="Linux", arch="X64", temp=str(self.temp), name="rehearsal"),
            "job": Known(status="success"),
            "steps": self.done,
        }
        self.masks = [value for value in (*given.values(), token) if value]
        results = [needs[name].result for name in self.ancestors]
        status = {
            "success": lambda: all(one == "success" for one in results),
            "failure": lambda: "failure" in results,
            "always": lambda: True,
            "cancelled": lambda: False,
        }
        self.result.name = text(interpolate(self.job.get("name", self.id), self._scope()))
        if not _holds(self.job.get("if"), Scope(self.contexts, status)):
            return self.result
        for folder in (self.workspace, self.temp):
            folder.mkdir(parents=True)
        self.contexts["env"] = self._environment()
        environment = interpolate(self.job.get("environment", ""), self._scope())
        self.result.environment = environment
        for at, step in enumerate(self.job["steps"]):
            self._step(step, f"step-{at}", self.contexts, self.done, self.result.steps)
        self._finish()
        return self.result

    def _permissions(self) -> dict[str, str]:
        told = self.job.get("permissions", self.told.get("permissions"))
        if told is None:
            raise workflow.WorkflowError(f"{self.id}: its permissions are not stated")
        allowed = {scope: level for scope, level in told.items() if level != "none"}
        if self.of.event.fork:
            return {scope: "read" for scope in allowed if scope != "id-token"}
        return allowed

    def _scope(self, contexts: Mapping[str, Any] | None = None) -> Scope:
        status = {
            "success": lambda: self.ok,
            "failure": lambda: not self.ok,
            "always": lambda: True,
            "cancelled": lambda: False,
        }
        hashed = lambda *patterns: hash_files(self.workspace, patterns)  # noqa: E731
        return Scope(contexts or self.contexts, status, hashed)

    def _environment(self) -> Known:
        """Return the variables of the workflow and of the job."""
        levels = (self.told.get("env") or {}, self.job.get("env") or {})
        return Known(
            {key: text(interpolate(v, self._scope())) for one in levels for key, v in one.items()}
        )

    def _step(
        self,
        step: Mapping[str, Any],
        fallback: str,
        contexts: dict[str, Any],
        done: dict[str, Any],
        into: list[Step],
    ) -> None:
        contexts = {**contexts, "env": Known({**contexts.get("env", {}), **self.env})}
        contexts["job"] = Known(status="success" if self.ok else "failure")
        scope = self._scope(contexts)
        name = text(interpolate(step.get("name") or step.get("uses") or step.get("run"), scope))
        name = name.strip().splitlines()[0]
        if not _holds(step.get("if"), scope):
            made = Step(name, "skipped", "skipped", "")
        else:
            own = {key: text(interpolate(v, scope)) for key, v in (step.get("env") or {}).items()}
            contexts["env"] = Known({**contexts["env"], **own})
            started = time.monotonic()
            code, output, outputs = self._do(step, contexts, fallback, into)
            if code == 0 and self.runner.break_at and self.runner.break_at == name:
                code, output = 1, f"{output}\nthe rehearsal breaks here"
            outcome = "failure" if code else "success"
            forgiven = truthy(interpolate(step.get("continue-on-error", False), scope))
            conclusion = "success" if forgiven else outcome
            made = Step(name, outcome, conclusion, self._masked(output), outputs)
            made.seconds = time.monotonic() - started
        self.ok = self.ok and made.conclusion != "failure"
        done[step.get("id", f"__{fallback}")] = Known(
            outcome=made.outcome, conclusion=made.conclusion, outputs=made.outputs
        )
        into.append(made)

    def _do(
        self, step: Mapping[str, Any], contexts: dict[str, Any], at: str, into: list[Step]
    ) -> tuple[int, str, dict[str, str]]:
        scope = self._scope(contexts)
        if "run" in step:
            return self._script(step, text(interpolate(step["run"], scope)), contexts, at)
        given = {key: text(interpolate(v, scope)) for key, v in (step.get("with") or {}).items()}
        if step["uses"].startswith("./"):
            return self._composite(step["uses"], given, contexts, at, into)
        stand_in = actions.find(step["uses"])
        return stand_in(actions.Call(self, given, contexts))

    def _composite(
        self,
        uses: str,
        given: dict[str, str],
        contexts: dict[str, Any],
        at: str,
        into: list[Step],
    ) -> tuple[int, str, dict[str, str]]:
        told = workflow.load_action(self.workspace / uses / "action.yml")
        inputs = {key: text(d.get("default", "")) for key, d in (told.get("inputs") or {}).items()}
        if unknown := set(given) - set(inputs):
            raise workflow.WorkflowError(f"{uses}: no input {unknown}")
        own = {key: contexts[key] for key in ("github", "runner", "env", "job")}
        done: dict[str, Any] = Known()
        own |= {"inputs": Known({**inputs, **given}), "steps": done}
        inner: list[Step] = []
        for index, step in enumerate(told["runs"]["steps"]):
            self._step(step, f"{at}-{index}", own, done, inner)
        into.extend(inner)
        scope = self._scope(own)
        outputs = {
            key: text(interpolate(d["value"], scope))
            for key, d in (told.get("outputs") or {}).items()
        }
        failed = any(step.conclusion == "failure" for step in inner)
        return int(failed), "", outputs

    def _script(
        self, step: Mapping[str, Any], script: str, contexts: dict[str, Any], at: str
    ) -> tuple[int, str, dict[str, str]]:
        defaults = {
            **((self.told.get("defaults") or {}).get("run") or {}),
            **((self.job.get("defaults") or {}).get("run") or {}),
        }
        shell = step.get("shell", defaults.get("shell"))
        options = ["--noprofile", "--norc", "-eo", "pipefail"] if shell else ["-e"]
        place = step.get("working-directory", defaults.get("working-directory", "."))
        scope = self._scope(contexts)
        folder = self.workspace / text(interpolate(place, scope))
        program = self.temp / f"{at}.sh"
        program.write_text(script)
        minutes = interpolate(
            step.get("timeout-minutes", self.job.get("timeout-minutes", 360)), scope
        )
        return self.execute(
            ["bash", *options, str(program)], folder, contexts, at, min(float(minutes) * 60, LIMIT)
        )

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
        environment = {**self._machine(contexts), **contexts["env"], **files.environment}
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired as error:
            said = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else ""
            return 1, f"{said}\nThe step has timed out after {seconds:g} s.", {}
        self.env |= environment_files.variables(files.env)
        self.path = [*reversed(files.path.read_text().split()), *self.path]
        self.result.summary += files.summary.read_text()
        return done.returncode, done.stdout, environment_files.read(files.output)

    def _machine(self, contexts: Mapping[str, Any]) -> dict[str, str]:
        github, event = contexts["github"], self.of.event
        payload = self.temp / "event.json"
        payload.write_text(json.dumps(event.payload))
        told = [
            "action",
            "actor",
            "api_url",
            "base_ref",
            "event_name",
            "head_ref",
            "job",
            "ref",
            "ref_name",
            "repository",
        ]
        told += ["repository_owner", "run_attempt", "run_id", "run_number", "server_url", "sha"]
        told += ["triggering_actor", "workflow", "workspace"]
        machine = self.runner.machine.environment(self.folder / "home")
        return {
            **machine,
            **{f"GITHUB_{name.upper()}": text(github[name]) for name in told},
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_PATH": str(payload),
            "CI": "true",
            "RUNNER_TEMP": str(self.temp),
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "PATH": os.pathsep.join([*self.path, machine["PATH"]]),
        }

    def _masked(self, output: str) -> str:
        for secret in self.masks:
            for line in filter(None, secret.splitlines()):
                output = output.replace(line, "***")
        return output

    def _finish(self) -> None:
        """Let actions end, in the reverse order, and read the outputs."""
        for post in reversed(self.posts):
            post(self.ok)
        scope = self._scope()
        self.result.outputs = {
            name: text(interpolate(value, scope))
            for name, value in (self.job.get("outputs") or {}).items()
        }
        self.result.result = "success" if self.ok else "failure"


def _holds(told: Any, scope: Scope) -> bool:
    """Evaluate an `if`; one that does not ask for the status means `success() && …`."""
    if told is None:
        return scope.status["success"]()
    tree = workflow.condition(told)
    if not workflow.asks_for_status(tree) and not scope.status["success"]():
        return False
    return truthy(evaluate(tree, scope))
