"""Jobs of a GitLab pipeline under the name of their project, by edits at places of YAML nodes."""

from collections.abc import Callable, Iterator

import yaml

from ..git.placement import Placement
from .copies import PIPELINE
from .edits import Edits, WorkflowError, is_flow

ONCE = ("workflow", "stages")  # the top has them
ELSEWHERE = {
    "include": f"the {PIPELINE} at the top of the repository",
    **dict.fromkeys(
        ("image", "services", "cache", "before_script", "after_script"), "`default:` there"
    ),
}
SCRIPTS = ("before_script", "script", "after_script")
REFERENCE = "!reference"


class Jobs:
    """The edits of one reading of a project's pipeline."""

    def __init__(self, text: str, place: Placement) -> None:
        self._edits, self._place = Edits(text, PIPELINE), place
        self._top = self._edits.entries(self._edits.root)
        self._done: set[int] = set()  # a node with an alias is there more than once

    def written(self) -> str:
        """Return the pipeline with that done; raises WorkflowError for what cannot be brought."""
        edits, base = self._edits, self._called(".default")
        if found := sorted(self._top.keys() & ELSEWHERE.keys()):
            raise WorkflowError(
                f"{PIPELINE} has `{found[0]}:` for all jobs, those of neighbours as well: "
                f"move it to {ELSEWHERE[found[0]]}"
            )
        parts = [value for name, (_, value) in self._top.items() if name != "variables"]
        seen: set[int] = set()
        for reference in (one for part in parts for one in _references(part, seen)):
            self._rename(reference.value[0])
        for name, (key, value) in self._top.items():
            if name in ONCE:
                edits.remove(key, value)
            elif name == "variables":
                edits.entries(value)
                edits.replace(key, f"{self._called('.variables')}:\n  variables")
                lines = edits.raw(value).replace("\n", "\n  ")
                block = not is_flow(value) and value.start_mark.line > key.start_mark.line
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
            raise WorkflowError(f"{PIPELINE}: the job {name} has `{found[0]}:`: write `rules:`")
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
                f"{PIPELINE} has `{key}:` in line {script.start_mark.line + 1} without a list: "
                "write its commands as one"
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
