"""GitLab's jobs of one project among several, as a file that the one pipeline at the top includes.

Every file that a pipeline includes shares one namespace: jobs get the project's name, and what
holds for all jobs of a project goes to a hidden job that its others extend. Rules by path are
safe here, unlike on GitHub: what a merge request waits for is the pipeline, and not a job by name.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from ..git.placement import Placement
from .copies import GITLAB as FOLDER
from .copies import PIPELINE as SOURCE
from .edits import Edits, WorkflowError, quoted
from .names import prefix

INCLUDED = f"{FOLDER}/*.yml"
TOP = f"""\
# The projects of this repository bring their jobs, written by `make workflows` in each of them.
# This file is yours from here on: it stays as it is as long as it includes theirs.
include:
  - local: {INCLUDED}

workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event" && $CI_MERGE_REQUEST_TARGET_BRANCH_NAME == $CI_DEFAULT_BRANCH
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $CI_PIPELINE_SOURCE =~ /^(push|web|schedule)$/
      auto_cancel: {{on_new_commit: none}} # the next merge may be a neighbour's, which releases nothing of this one

stages: [judge, push, release, schedule]

# A merge request waits for a pipeline, and one without a job is none: where no project is concerned.
repository:
  stage: judge
  image: python:3.11-trixie
  interruptible: true
  variables: {{GIT_STRATEGY: none}}
  script:
    - echo "Each project of which something changed has jobs beside this one."
"""  # noqa: E501 (GitLab's conditions have one line each)
START = """\
.{name} folder: &in-folder |
{lines}

.{name} changes: &changes
  - {folder}
  - {own}

"""
# What is read and written for one model: another's would be wrong, so that none stands in for it.
PREDICT = ("PREDICT_INPUT", "PREDICT_OUTPUT", "PREDICT_PARTITION", "PREDICT_LOG")
OWN = re.compile(
    r"\$(\{?)(MONITOR_LOG|INGEST|INGEST_SINCE|INGEST_TABLE|PREDICT_INPUT|EXPERIMENT|MATERIALISE"
    r"|ONLINE_STORE|REFRESH_EVERY_DAYS)\b"
)
SHARED = ("DVC_CONFIG", "LOG_CONFIG", "SOURCE_CONFIG", "INGEST_ENV")  # may be set once for all
ROOT = re.compile(r"\$(?:CI_PROJECT_DIR\b|\{CI_PROJECT_DIR\})")
ONCE = ("workflow", "stages")  # the top has them
ELSEWHERE = {
    "include": f"the {SOURCE} at the top of the repository",
    **dict.fromkeys(
        ("image", "services", "cache", "before_script", "after_script"), "`default:` there"
    ),
}
SCRIPTS = ("before_script", "script", "after_script")
REFERENCE = "!reference"


def file(place: Placement) -> str:
    """Return the file at the top that has the project's jobs."""
    return f"{FOLDER}/{place.name}.yml"


def wanted(root: Path) -> dict[str, str]:
    """Return the pipeline at the top, by its path: as it is where it includes the projects'."""
    path = root / SOURCE
    text = path.read_text(encoding="utf-8") if path.is_file() else TOP
    if not any(INCLUDED in line.partition("#")[0] for line in text.splitlines()):
        raise WorkflowError(
            f"{SOURCE} at the top of the repository does not include the projects: write `include: "
            f"{INCLUDED}` there"
        )
    return {SOURCE: text}


def scoped(text: str, place: Placement) -> str:
    """Return the jobs of the project at `place` from its own pipeline.

    Raises WorkflowError for what cannot be brought to where the others' jobs are.
    """
    text = ROOT.sub(lambda found: f"{found[0]}/{place.folder}", text)
    text = OWN.sub(lambda found: f"${found[1]}{prefix(place)}{found[2]}", text)
    return _start(place) + _Jobs(text, place).written()


def _start(place: Placement) -> str:
    own = prefix(place)
    lines = [f'cd "$CI_PROJECT_DIR/{place.folder}"']
    lines += [f'test -z "${own}{one}" || export {one}="${own}{one}"' for one in SHARED]
    lines.append(" ".join(["export", *(f'{one}="${own}{one}"' for one in PREDICT)]))
    return START.format(
        name=place.name,
        lines="\n".join(f"  {line}" for line in lines),
        folder=quoted(f"{place.folder}/**/*"),
        own=file(place),
    )


class _Jobs:
    """The edits of one reading of a project's pipeline."""

    def __init__(self, text: str, place: Placement) -> None:
        self._edits, self._place = Edits(text, SOURCE), place
        self._top = self._edits.entries(self._edits.root)
        self._done: set[int] = set()  # a node with an alias is there more than once

    def written(self) -> str:
        edits, base = self._edits, self._called(".default")
        for key in self._top.keys() & ELSEWHERE.keys():
            raise WorkflowError(
                f"{SOURCE} has `{key}:` for all jobs, which would be of the neighbours' too: move "
                f"it to {ELSEWHERE[key]}"
            )
        for reference in _references(edits.root, set()):
            self._rename(reference.value[0])
        for name, (key, value) in self._top.items():
            if name in ONCE:
                edits.remove(key, value)
            elif name == "variables":
                edits.replace(key, f"{self._called('.variables')}:\n  variables")
                lines = edits.raw(value).replace("\n", "\n  ")
                block = not value.flow_style and value.start_mark.line > key.start_mark.line
                edits.replace(value, f"  {lines}" if block else lines)
            elif name == "default":
                edits.replace(key, base)
                if "variables" in self._top:
                    edits.add(value, "extends", self._called(".variables"))
                self._inside(value)
            else:
                edits.replace(key, self._called(name))
                if isinstance(value, yaml.MappingNode):
                    self._job(name, value, base)
        if "default" in self._top:
            return edits.applied()
        shared = self._called(".variables") if "variables" in self._top else ""
        told = f"extends: {shared}" if shared else ""
        return f"{base}: {{{told}}}\n\n{edits.applied()}"

    def _called(self, name: str) -> str:
        hidden = name.startswith(".")
        return f"{'.' if hidden else ''}{self._place.name} {name[hidden:]}"

    def _job(self, name: str, job: yaml.Node, base: str) -> None:
        if not self._first(job):
            return
        edits, told = self._edits, self._edits.entries(job)
        if found := [key for key in ("only", "except") if key in told]:
            raise WorkflowError(f"{SOURCE}: the job {name} has `{found[0]}:`: write `rules:`")
        if "extends" in told:
            self._each(told["extends"][1], self._rename)
        else:
            edits.add(job, "extends", base)
        if not name.startswith(".") and not self._has_rules(name):
            edits.before(next(iter(told.values()))[0], "rules: [{changes: *changes}]")
        for need in self._items(told, "needs"):
            if isinstance(need, yaml.MappingNode):
                entries = edits.entries(need)
                if "job" in entries and not entries.keys() & {"pipeline", "project"}:
                    self._rename(entries["job"][1])
            else:
                self._rename(need)
        for one in self._items(told, "dependencies"):
            self._rename(one)
        self._inside(job)

    def _inside(self, job: yaml.Node) -> None:
        """Have what a job says be of the project: paths, and what a repository has once."""
        edits, told = self._edits, self._edits.entries(job)
        for key in SCRIPTS:
            if key in told:
                self._script(key, told[key][1])
        if "resource_group" in told:
            self._prefix(edits.short(told["resource_group"][1], "key"))
        if "environment" in told:
            self._prefix(edits.short(told["environment"][1], "name"))
        for cache in self._items(told, "cache"):
            self._cache(cache)
        for rule in self._items(told, "rules"):
            self._rule(rule)
        if "artifacts" in told and self._first(told["artifacts"][1]):
            artifacts = edits.entries(told["artifacts"][1])
            for key in ("paths", "exclude", "reports"):
                if key in artifacts:
                    self._each(artifacts[key][1], self._path)
            if "expose_as" in artifacts:
                edits.prefix(artifacts["expose_as"][1], f"{self._place.name} ")

    def _script(self, key: str, script: yaml.Node) -> None:
        if script.tag == REFERENCE or not self._first(script):
            return
        if not isinstance(script, yaml.SequenceNode) or not script.value:
            raise WorkflowError(
                f"{SOURCE} has `{key}:` in line {script.start_mark.line + 1} without a list: write "
                "its commands as one"
            )
        if script.flow_style:
            self._edits.insert(script.start_mark.index + 1, "*in-folder, ")
        else:
            indent = " " * script.start_mark.column
            self._edits.insert(script.start_mark.index, f"- *in-folder\n{indent}")

    def _cache(self, cache: yaml.Node) -> None:
        if cache.tag == REFERENCE or not self._first(cache):
            return
        told = self._edits.entries(cache)
        if "key" in told:
            key = told["key"][1]
            if isinstance(key, yaml.MappingNode):
                entries = self._edits.entries(key)
                for one in self._items(entries, "files"):
                    self._path(one)
                if "prefix" in entries:
                    self._prefix(entries["prefix"][1])
                else:
                    self._edits.add(key, "prefix", self._place.name)
            else:
                self._prefix(key)
        for one in self._items(told, "fallback_keys"):
            self._prefix(one)
        for one in self._items(told, "paths"):
            self._path(one)

    def _rule(self, rule: yaml.Node) -> None:
        if rule.tag == REFERENCE or not self._first(rule):
            return
        told = self._edits.entries(rule)
        for key in ("changes", "exists"):
            if key in told:
                self._each(self._edits.short(told[key][1], "paths"), self._path)
        if "changes" not in told:
            self._edits.add(rule, "changes", "*changes")

    def _has_rules(self, name: str) -> bool:
        """Say whether a job has rules, of its own or of one that it extends."""
        job = self._top[name][1] if name in self._top else None
        if not isinstance(job, yaml.MappingNode):
            return False
        told = self._edits.entries(job)
        parents = [one.value for one in self._items(told, "extends")]
        return bool(told.keys() & {"rules", "<<"}) or any(map(self._has_rules, parents))

    def _items(self, told: dict[str, tuple[yaml.Node, yaml.Node]], key: str) -> list[yaml.Node]:
        return self._edits.items(told[key][1]) if key in told else []

    def _each(self, node: yaml.Node, do: Callable[[yaml.Node], None]) -> None:
        """Do something with each text in a node."""
        if isinstance(node, yaml.ScalarNode):
            do(node)
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value != "coverage_format":
                    self._each(value, do)
        elif node.tag != REFERENCE:
            for one in node.value:
                self._each(one, do)

    def _rename(self, node: yaml.Node) -> None:
        if node.value in self._top and self._first(node):
            self._edits.replace(node, self._called(node.value))

    def _path(self, node: yaml.Node) -> None:
        if self._first(node):
            self._edits.change(node, self._below)

    def _below(self, line: str) -> str:
        kept = not line or line.startswith(("$", "/", "~"))
        return line if kept else self._place.path(line.removeprefix("./"))

    def _prefix(self, node: yaml.Node) -> None:
        if self._first(node):
            self._edits.prefix(node, f"{self._place.name}-")

    def _first(self, node: yaml.Node) -> bool:
        """Say whether a node is met for the first time."""
        known = id(node) in self._done
        self._done.add(id(node))
        return not known


def _references(node: yaml.Node, seen: set[int]) -> Iterator[yaml.Node]:
    """Yield each `!reference` below a node, once."""
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    if node.tag == REFERENCE and node.value:
        yield node
        return
    for one in node.value:
        for part in one if isinstance(one, tuple) else (one,):
            yield from _references(part, seen)
