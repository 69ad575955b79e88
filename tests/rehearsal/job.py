"""One job while it runs: its steps, as a runner runs them."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import actions, workflow
from .call import Call, Post
from .expressions import Known, Scope, evaluate, interpolate
from .functions import text, truthy
from .machine import hash_files
from .results import DEPENDABOT, Job, Run, Step
from .shell import LIMIT, Shell

if TYPE_CHECKING:
    from .runner import Runner


class JobRun:
    """One job while it runs."""

    def __init__(
        self, runner: "Runner", told: Mapping[str, Any], run: Run, name: str, job: Mapping[str, Any]
    ) -> None:
        self.runner, self.told, self.of, self.id, self.job = runner, told, run, name, job
        self.ok = True
        self.posts: list[Post] = []
        self.done: dict[str, Any] = Known()
        self.result = Job(name)
        place = runner.machine.folder / f"run-{runner.runs}/{name}"
        self.shell = Shell(runner.machine, place, run.event, self.result)
        self.ancestors = self._ancestors(job["needs"])

    def _ancestors(self, needs: list[str]) -> set[str]:
        return set(needs).union(*(self._ancestors(self.told["jobs"][n]["needs"]) for n in needs))

    def run(self) -> Job:
        event, needs = self.of.event, self.of.jobs
        self.result.permissions = workflow.permitted(self.told, self.id, event.fork)
        token = self.runner.github.issue_token(event.repository, self.result.permissions)
        given = {} if event.fork else self.runner.secrets
        if event.actor == DEPENDABOT:
            given = self.runner.secrets_of_bots
        hidden = dict.fromkeys(self.runner.secrets, "") | given
        self.contexts: dict[str, Any] = {
            "github": self.runner.about(event, self.of, self.id, token, self.shell.workspace),
            "inputs": Known(
                workflow.inputs(self.told, event.name, event.payload.get("inputs", {}))
            ),
            "vars": Known(self.runner.variables),
            "secrets": Known({**hidden, "GITHUB_TOKEN": token}),
            "needs": Known(
                {
                    name: Known(result=needs[name].result, outputs=needs[name].outputs)
                    for name in self.job["needs"]
                }
            ),
            "runner": Known(os="Linux", arch="X64", temp=str(self.shell.temp), name="rehearsal"),
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
        for folder in (self.shell.workspace, self.shell.temp):
            folder.mkdir(parents=True)
        self.contexts["env"] = self._environment()
        environment = interpolate(self.job.get("environment", ""), self._scope())
        self.result.environment = environment
        for at, step in enumerate(self.job["steps"]):
            self._step(step, f"step-{at}", self.contexts, self.done, self.result.steps)
        self._finish()
        return self.result

    def _scope(self, contexts: Mapping[str, Any] | None = None) -> Scope:
        status = {
            "success": lambda: self.ok,
            "failure": lambda: not self.ok,
            "always": lambda: True,
            "cancelled": lambda: False,
        }
        hashed = lambda *patterns: hash_files(self.shell.workspace, patterns)  # noqa: E731
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
        contexts = {**contexts, "env": Known({**contexts.get("env", {}), **self.shell.env})}
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
        return stand_in(Call(self, given, contexts))

    def _composite(
        self,
        uses: str,
        given: dict[str, str],
        contexts: dict[str, Any],
        at: str,
        into: list[Step],
    ) -> tuple[int, str, dict[str, str]]:
        told = workflow.load_action(self.shell.workspace / uses / "action.yml")
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
        folder = self.shell.workspace / text(interpolate(place, scope))
        if not folder.is_dir():
            return 1, f"bash cannot be started in {folder}: No such file or directory", {}
        program = self.shell.temp / f"{at}.sh"
        program.write_text(script)
        minutes = interpolate(
            step.get("timeout-minutes", self.job.get("timeout-minutes", 360)), scope
        )
        return self.shell.execute(
            ["bash", *options, str(program)], folder, contexts, at, min(float(minutes) * 60, LIMIT)
        )

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
