"""Workflow and action files, read strictly: a key, event or name that is not known is refused."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from .expressions import STATUS, named, trees
from .functions import FUNCTIONS
from .grammar import ExpressionError, parse
from .places import PLACES

TOP = {"name", "run-name", "on", "permissions", "env", "defaults", "concurrency", "jobs"}
JOB = {
    *("name", "needs", "if", "runs-on", "permissions", "environment", "concurrency", "outputs"),
    *("env", "defaults", "steps", "timeout-minutes"),
}
STEP = {
    *("id", "if", "name", "uses", "run", "with", "env", "working-directory", "shell"),
    *("continue-on-error", "timeout-minutes"),
}
EVENTS = {
    "push": {"branches", "paths"},
    "pull_request": {"branches", "types", "paths"},
    "merge_group": {"branches", "types"},
    "schedule": {"cron"},
    "workflow_dispatch": {"inputs"},
}
USUAL = ("opened", "synchronize", "reopened")  # actions of pull requests where none are named
SCOPES = {
    *("actions", "attestations", "checks", "contents", "deployments", "id-token", "issues"),
    *("packages", "pages", "pull-requests", "security-events", "statuses"),
}
INPUT = {"description", "type", "default", "required"}
ACTION = {"name", "description", "inputs", "outputs", "runs"}


class WorkflowError(Exception):
    """A workflow says something that GitHub, or this rehearsal, does not know."""


def load(path: Path) -> dict[str, Any]:
    """Return a workflow, checked."""
    content = _mapping(read(path), TOP, path.name)
    for key in ("on", "jobs"):
        if not content.get(key):
            raise WorkflowError(f"{path.name}: {key} is missing")
    content["on"] = _events(content["on"], path.name)
    _permissions(content.get("permissions"), path.name)
    _expressions(content.get("env"), "env", f"{path.name}: env")
    _expressions(content.get("concurrency"), "concurrency", f"{path.name}: concurrency")
    _expressions(content.get("run-name"), "run-name", f"{path.name}: run-name")
    _defaults(content.get("defaults"), path.name)
    for name, job in content["jobs"].items():
        _job(job, content["jobs"], f"{path.name}: {name}")
    return content


def load_action(path: Path) -> dict[str, Any]:
    """Return a composite action of the repository, checked."""
    content = _mapping(read(path), ACTION, str(path))
    runs = _mapping(content.get("runs"), {"using", "steps"}, f"{path}: runs")
    if runs.get("using") != "composite":
        raise WorkflowError(f"{path}: only composite actions are known")
    for name, told in (content.get("inputs") or {}).items():
        _mapping(told, {"description", "required", "default"}, f"{path}: input {name}")
    for name, told in (content.get("outputs") or {}).items():
        _mapping(told, {"description", "value"}, f"{path}: output {name}")
        _expressions(told["value"], "action.outputs", f"{path}: output {name}")
    for at, step in enumerate(runs["steps"]):
        where = f"{path}: step {at}"
        if "run" in step and "shell" not in step:
            raise WorkflowError(f"{where}: an action's script needs its shell")
        _step(step, where, "action.step")
    return content


def permitted(told: Mapping[str, Any], job: str, fork: bool) -> dict[str, str]:
    """Return what the token of a job may do; that of a fork's pull request reads at most."""
    stated = told["jobs"][job].get("permissions", told.get("permissions"))
    if stated is None:
        raise WorkflowError(f"{job}: its permissions are not stated")
    allowed = {scope: level for scope, level in stated.items() if level != "none"}
    if fork:
        return {scope: "read" for scope in allowed if scope != "id-token"}
    return allowed


def read(path: Path) -> Any:
    """Return the content of a YAML 1.2 file, in which `on` is a word and a key stands once."""
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def inputs(told: Mapping[str, Any], event: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a workflow is given as inputs: nothing of each where nobody dispatched it."""
    declared = (told["on"].get("workflow_dispatch") or {}).get("inputs") or {}
    dispatched = event == "workflow_dispatch"
    if unknown := set(given) - set(declared):
        raise WorkflowError(f"there is no input {', '.join(sorted(unknown))}")
    return {name: given.get(name, False) if dispatched else "" for name in declared}


def is_triggered(
    workflow: Mapping[str, Any], event: str, branch: str, changed: list[str], action: str = ""
) -> bool:
    """Say whether an event on (a pull request into) `branch` that changed these files runs it."""
    if event not in workflow["on"]:
        return False
    told = workflow["on"][event] or {}
    if isinstance(told, list):
        return True
    if event == "pull_request" and action not in told.get("types", USUAL):
        return False
    branches, paths = told.get("branches"), told.get("paths")
    if branches is not None and not any(_matches(branch, one) for one in branches):
        return False
    return paths is None or any(_matches(name, one) for name in changed for one in paths)


def _matches(name: str, pattern: str) -> bool:
    """Match as GitHub's filters do, for the signs `*` and `**` alone."""
    if re.search(r"[?+\[\]!]", pattern):
        raise WorkflowError(f"the filter {pattern!r} has a sign that is not known here")
    parts = re.split(r"(\*\*/?|\*)", pattern)
    known = {"**": ".*", "**/": "(.*/)?", "*": "[^/]*"}
    return bool(re.fullmatch("".join(known.get(part, re.escape(part)) for part in parts), name))


def _events(told: Any, where: str) -> dict[str, Any]:
    events = {told: None} if isinstance(told, str) else told
    events = dict.fromkeys(events) if isinstance(events, list) else events
    for event, details in events.items():
        if event not in EVENTS:
            raise WorkflowError(f"{where}: the event {event!r} is not known here")
        for one in details if isinstance(details, list) else [details]:
            given = _mapping(one or {}, EVENTS[event], f"{where}: on.{event}")
            for name, told in (given.get("inputs") or {}).items():
                _mapping(told, INPUT, f"{where}: input {name}")
                if told.get("type") != "boolean" or told.get("default") is not False:
                    raise WorkflowError(f"{where}: {name}: only a boolean that is false is known")
    return dict(events)


def _job(job: Any, jobs: Mapping[str, Any], where: str) -> None:
    _mapping(job, JOB, where)
    for key in ("runs-on", "steps"):
        if key not in job:
            raise WorkflowError(f"{where}: {key} is missing")
    job["needs"] = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
    if unknown := set(job["needs"]) - set(jobs):
        raise WorkflowError(f"{where}: needs {unknown}, which is not there")
    _permissions(job.get("permissions"), where)
    _defaults(job.get("defaults"), where)
    _condition(job.get("if"), "job.if", where)
    for key in ("name", "env", "environment", "outputs"):
        _expressions(job.get(key), f"job.{key}", f"{where}: {key}")
    for key in ("runs-on", "timeout-minutes", "concurrency"):
        _expressions(job.get(key), "job.other", f"{where}: {key}")
    for at, step in enumerate(job["steps"]):
        _step(step, f"{where}: step {at}", "step")
    for tree in _all_trees({key: job.get(key) for key in ("if", "env", "outputs", "steps")}):
        for need in _looked_up(tree, "needs"):
            if need not in job["needs"]:
                raise WorkflowError(f"{where}: uses needs.{need} without needing it")
        for step_id in _looked_up(tree, "steps"):
            if step_id not in {step.get("id") for step in job["steps"]}:
                raise WorkflowError(f"{where}: there is no step {step_id!r}")


def _step(step: Any, where: str, place: str) -> None:
    _mapping(step, STEP, where)
    if ("uses" in step) == ("run" in step):
        raise WorkflowError(f"{where}: it has to have one of uses and run")
    if "with" in step and "run" in step:
        raise WorkflowError(f"{where}: a script takes no with")
    if step.get("shell", "bash") != "bash":
        raise WorkflowError(f"{where}: only bash is known here")
    _condition(step.get("if"), f"{place}.if", where)
    for key in STEP - {"if", "id", "uses", "shell"}:
        _expressions(step.get(key), place, f"{where}: {key}")


def _condition(told: Any, place: str, where: str) -> None:
    if told is not None:
        _check(condition(told, where), place, f"{where}: if")


def condition(told: Any, where: str = "if") -> Any:
    """Return the tree of an `if`, with or without `${{ }}` around it."""
    said = str(told).lower() if isinstance(told, bool) else str(told).strip()
    if said.startswith("${{") and said.endswith("}}") and said.count("${{") == 1:
        said = said[3:-2]
    if "${{" in said:
        raise WorkflowError(f"{where}: text around an expression makes a condition always true")
    try:
        return parse(said)
    except ExpressionError as error:
        raise WorkflowError(f"{where}: {error}") from error


def asks_for_status(tree: Any) -> bool:
    """Say whether a condition names a status function, so that success() is not understood."""
    return bool(named(tree, "call") & set(STATUS))


def _expressions(told: Any, place: str, where: str) -> None:
    for tree in _all_trees(told, where):
        _check(tree, place, where)


def _all_trees(told: Any, where: str = "") -> Iterator[Any]:
    if isinstance(told, str):
        try:
            yield from trees(told)
        except ExpressionError as error:
            raise WorkflowError(f"{where}: {error}") from error
    elif isinstance(told, Mapping):
        for key, inner in told.items():
            if key == "if" and inner is not None:
                yield condition(inner, where)
            else:
                yield from _all_trees(inner, where)
    elif isinstance(told, list):
        for inner in told:
            yield from _all_trees(inner, where)


def _check(tree: Any, place: str, where: str) -> None:
    contexts, status, files = PLACES[place]
    allowed = {*FUNCTIONS, *(STATUS if status else ()), *(["hashfiles"] if files else [])}
    if unknown := named(tree, "call") - allowed:
        raise WorkflowError(f"{where}: no function {', '.join(sorted(unknown))} here")
    if unknown := named(tree, "context") - contexts:
        raise WorkflowError(f"{where}: no context {', '.join(sorted(unknown))} here")


def _looked_up(tree: Any, context: str) -> set[str]:
    """Return the first names that are looked up in a context."""
    own = set()
    if tree[0] == "index" and tree[1] == ("context", context) and tree[2][0] == "literal":
        own = {str(tree[2][1])}
    inner = (part for part in tree[1:] if isinstance(part, tuple))
    return own.union(*(_looked_up(part, context) for part in inner))


def _permissions(told: Any, where: str) -> None:
    if told is None:
        return
    for scope, level in _mapping(told, SCOPES, f"{where}: permissions").items():
        if level not in ("read", "write", "none") or (scope == "id-token" and level == "read"):
            raise WorkflowError(f"{where}: {scope}: {level} is no permission")


def _defaults(told: Any, where: str) -> None:
    run = _mapping(told or {}, {"run"}, f"{where}: defaults").get("run") or {}
    _mapping(run, {"shell", "working-directory"}, f"{where}: defaults.run")
    if run.get("shell", "bash") != "bash":
        raise WorkflowError(f"{where}: only bash is known here")


def _mapping(told: Any, known: set[str], where: str) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise WorkflowError(f"{where}: a mapping is missing")
    if unknown := set(told) - known:
        raise WorkflowError(f"{where}: {', '.join(map(str, sorted(unknown)))} is not known here")
    return told
