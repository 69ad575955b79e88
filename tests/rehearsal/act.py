"""`act` as the runner in place of ours: another reading of GitHub's rules, for a second opinion.

It decides what runs, in which order, with what expressions evaluate to; the platform, the machine
and the stand-ins for actions are the same. One token has what all jobs of a run may do together,
since act knows one, and their steps share one home.
"""

import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from baked import ended
from ruamel.yaml import YAML

from . import actions, workflow
from .call import Call, Post
from .expressions import Known, Scope, interpolate
from .functions import text
from .job import JobRun
from .results import DEPENDABOT, Event, Job, Run, Step
from .runner import Runner
from .shell import Shell

ACT = Path(sys.executable).with_name("act")
LIMIT = 900  # seconds of one workflow
SAID = ("error", "warning", "notice")  # commands that are printed as well
FORGIVEN = "Failed but continue next step"
# What an action of JavaScript does here: it asks the rehearsal, which has the stand-ins.
SCRIPT = """
const fs = require("fs"), phase = %(phase)s, given = {}
for (const name of %(inputs)s) {
  const value = process.env["INPUT_" + name.toUpperCase().replace(/ /g, "_")]
  if (value) given[name] = value
}
const env = process.env, body = JSON.stringify({
  phase, given, action: %(name)s, job: env.GITHUB_JOB, workspace: env.GITHUB_WORKSPACE,
  state: env.STATE_call || "",
})
fetch("%(url)s", {method: "POST", body}).then(answer => answer.json()).then(told => {
  console.log(told.said)
  for (const [name, value] of Object.entries(told.outputs))
    fs.appendFileSync(env.GITHUB_OUTPUT, `${name}<<END_OF_VALUE\\n${value}\\nEND_OF_VALUE\\n`)
  for (const one of told.path) fs.appendFileSync(env.GITHUB_PATH, one + "\\n")
  if (phase === "main") fs.appendFileSync(env.GITHUB_STATE, `call=${told.state}\\n`)
  process.exitCode = told.code
})
"""


def asked() -> bool:
    """Say whether act is to run what is rehearsed: MLOPS_RUNNER=act."""
    return os.environ.get("MLOPS_RUNNER") == "act"


def ours(difference: str) -> pytest.MarkDecorator:
    """Mark a test of what act does otherwise, with the difference."""
    return pytest.mark.skipif(asked(), reason=f"MLOPS_RUNNER=act: {difference}")


class Act(Runner):
    """Runs workflows by act against a rehearsed GitHub."""

    def run(self, path: Path, event: Event) -> Run:
        """Run a workflow file."""
        told = workflow.load(path)
        self.runs += 1
        run = Run(told.get("name", path.stem), event, path.name)
        folder = self.machine.folder / f"run-{self.runs}"
        run.artifacts = folder / "artifacts"
        (folder / "home").mkdir(parents=True)
        with _Bridge(self, run, self._token(told, event), folder) as bridge:
            broken = _broken(path, self.break_at, folder) if self.break_at else path
            command = self._command(broken, path.parents[2], event, folder, bridge)
            _, said = ended(command, path.parents[2], self._environment(folder), LIMIT)
        (folder / "said.json").write_text(said)
        run.jobs = _jobs(told, said)
        for name, job in run.jobs.items():
            job.permissions = workflow.permitted(told, name, event.fork)
        return run

    def _token(self, told: Mapping[str, Any], event: Event) -> str:
        """Return a token that may do what any job of the workflow may."""
        union: dict[str, str] = {}
        for name in told["jobs"]:
            for scope, level in workflow.permitted(told, name, event.fork).items():
                union[scope] = "write" if "write" in (level, union.get(scope)) else level
        return self.github.issue_token(event.repository, union)

    def _command(
        self, path: Path, workspace: Path, event: Event, folder: Path, bridge: "_Bridge"
    ) -> list[str]:
        secrets = {} if event.fork else self.secrets
        if event.actor == DEPENDABOT:
            secrets = self.secrets_of_bots
        # As GitHub sends them, which act holds a boolean against: texts.
        inputs = {key: text(one) for key, one in event.payload.get("inputs", {}).items()}
        payload = {"ref": event.ref, **event.payload, **({"inputs": inputs} if inputs else {})}
        files = {
            "event.json": json.dumps(payload),
            "secrets.yml": yaml.safe_dump({**secrets, "GITHUB_TOKEN": bridge.token}),
            "vars.yml": yaml.safe_dump(dict(self.variables)),
        }
        for name, content in files.items():
            (folder / name).write_text(content)
        about = {
            "GITHUB_REPOSITORY": event.repository,
            "GITHUB_REF": event.ref,
            "GITHUB_SERVER_URL": self.github.url,
            "GITHUB_API_URL": self.github.url,
            "GITHUB_RUN_ID": str(self.runs),
            "GITHUB_RUN_NUMBER": str(self.runs),
            "GITHUB_BASE_REF": event.base_ref,
            "GITHUB_HEAD_REF": event.head_ref,
            "SHA_REF": event.sha,
        }
        return [
            *(str(ACT), event.name, "--json", "--no-skip-checkout", "--no-cache-server"),
            *("--workflows", str(path), "--directory", str(workspace)),
            *("--platform", "ubuntu-24.04=-self-hosted", "--actor", event.actor),
            *("--eventpath", str(folder / "event.json"), "--concurrent-jobs", "1"),
            *("--secret-file", str(folder / "secrets.yml"), "--var-file", str(folder / "vars.yml")),
            *("--action-cache-path", str(folder / "act"), "--env-file", "/dev/null"),
            *(part for name, value in about.items() for part in ("--env", f"{name}={value}")),
            *bridge.repositories,
        ]

    def _environment(self, folder: Path) -> dict[str, str]:
        made = self.machine.environment(folder / "home")
        return {**made, "HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "home/cache")}


class _Bridge:
    """A server that answers for the actions of one run, and the folders in which act finds them."""

    def __init__(self, runner: Act, run: Run, token: str, folder: Path) -> None:
        self.runner, self.of, self.token, self.folder = runner, run, token, folder
        self.jobs: dict[str, _Place] = {}
        self.posts: dict[str, list[Post]] = {}
        handler = type("Handler", (_Handler,), {"bridge": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.repositories: list[str] = []

    def __enter__(self) -> "_Bridge":
        self.thread.start()
        for name, action in actions.ACTIONS.items():
            place = self.folder / "actions" / name
            place.mkdir(parents=True)
            inputs = {one: {"required": False} for one in sorted(action.inputs)}
            runs = {"using": "node20", "main": "main.js", "post": "post.js", "post-if": "success()"}
            about = {"name": name, "description": name, "inputs": inputs, "runs": runs}
            (place / "action.yml").write_text(yaml.safe_dump(about))
            for phase in ("main", "post"):
                told = {"phase": phase, "inputs": sorted(action.inputs), "name": name}
                url = f"http://127.0.0.1:{self.server.server_port}/"
                script = SCRIPT % {**{k: json.dumps(v) for k, v in told.items()}, "url": url}
                (place / f"{phase}.js").write_text(script)
            self.repositories += ["--local-repository", f"{name}@{action.commit}={place}"]
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Do what an action is asked for."""
        if told["phase"] == "post":
            for post in reversed(self.posts.pop(told["state"], [])):
                post(True)
            return {"code": 0, "said": "", "outputs": {}, "path": [], "state": ""}
        workspace = Path(told["workspace"])
        place = self.jobs.get(told["job"])
        if place is None or place.shell.workspace != workspace:
            place = self.jobs[told["job"]] = self._place(told["job"], workspace)
        place.shell.path, place.posts = [], []
        event = self.of.event
        github = self.runner.about(event, self.of, told["job"], self.token, workspace)
        contexts = {"github": github, "env": Known()}
        action = actions.ACTIONS[told["action"]]
        code, said, outputs = action.run(Call(cast(JobRun, place), told["given"], contexts))
        state = f"{told['job']}-{len(self.posts)}"
        self.posts[state] = place.posts
        path = place.shell.path
        return {"code": code, "said": said, "outputs": outputs, "path": path, "state": state}

    def _place(self, job: str, workspace: Path) -> "_Place":
        shell = Shell(self.runner.machine, self.folder / job, self.of.event, Job(job))
        shell.workspace, shell.home = workspace, self.folder / "home"
        shell.temp.mkdir(parents=True, exist_ok=True)
        return _Place(self.runner, self.of, shell, [])


@dataclass
class _Place:
    """What a stand-in touches of a job."""

    runner: Act
    of: Run
    shell: Shell
    posts: list[Post]


class _Handler(BaseHTTPRequestHandler):
    bridge: _Bridge

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(self.bridge.answer(told)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _broken(path: Path, name: str, folder: Path) -> Path:
    """Return a copy of a workflow whose script of this name fails after it ran."""
    editor = YAML()
    told = editor.load(path.read_text())
    for job in told["jobs"].values():
        for step in job["steps"]:
            script = str(step.get("run", "")).strip()
            if script and name in (step.get("name"), script):
                step["run"] = f"{script}\nexit 1\n"
    made = folder / path.name
    editor.dump(told, made)
    return made


def _jobs(told: Mapping[str, Any], said: str) -> dict[str, Job]:
    """Return the jobs of what act printed, a line of JSON for each thing that happened."""
    lines = []
    for line in said.splitlines():
        with suppress(ValueError):
            lines.append(json.loads(line))
    return {
        name: _job(job, [line for line in lines if line.get("jobID") == name])
        for name, job in told["jobs"].items()
    }


def _job(job: Mapping[str, Any], lines: list[dict[str, Any]]) -> Job:
    """Return a job; one that act says nothing of was skipped."""
    made = Job(str(job.get("name", "")))
    by_step: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        made.name = line["job"].partition("/")[2].strip()
        made.result = line.get("jobResult", made.result)
        if line.get("command") == "summary":
            made.summary += line["content"]
        if line.get("stage") == "Main":
            by_step.setdefault(line["stepID"][0], []).append(line)
    if made.result == "skipped":
        return made
    for at, step in enumerate(job["steps"]):
        own = by_step.get(step.get("id", str(at)), [])
        whole = [line for line in own if len(line["stepID"]) == 1]
        outcome = next((line["stepResult"] for line in whole if "stepResult" in line), "skipped")
        name = next((line["step"] for line in whole), str(step.get("name", at)))
        forgiven = outcome == "failure" and any(FORGIVEN in line["msg"] for line in whole)
        output = "".join(
            line["msg"] if line.get("raw_output") else line["raw"]
            for line in own
            if line.get("raw_output") or line.get("command") in SAID
        )
        output = output if "run" in step else output.removesuffix("\n")
        outputs = {
            line["name"]: line["arg"] for line in whole if line.get("command") == "set-output"
        }
        conclusion = "success" if forgiven else outcome
        made.steps.append(Step(name, outcome, conclusion, output, outputs))
    made.outputs = _outputs(job, made.steps)
    return made


def _outputs(job: Mapping[str, Any], steps: Sequence[Step]) -> dict[str, str]:
    """Return what a job hands over: act prints that of steps alone; jobs that need it show its."""
    known = {
        step.get("id", f"__{at}"): {"outputs": done.outputs, "outcome": done.outcome}
        for at, (step, done) in enumerate(zip(job["steps"], steps, strict=True))
    }
    scope = Scope({"steps": known})
    told = job.get("outputs") or {}
    return {name: text(interpolate(value, scope)) for name, value in told.items()}
