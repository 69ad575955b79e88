"""A policy: rules by name with their settings, composed from conf/ and params.yaml of a folder."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..bundle.verdict import canonical
from ..contract import Task
from .rule import Rule


class Policy(msgspec.Struct, frozen=True):
    """The rules by the names that the policy gives them, and what holds for all of them."""

    settings: msgspec.Struct
    rules: Mapping[str, Rule]

    @property
    def content(self) -> dict[str, Any]:
        """The policy as plain data, with every setting of every rule."""
        rules = {
            name: {"rule": rule.named(), **msgspec.to_builtins(rule)}
            for name, rule in self.rules.items()
        }
        return {**msgspec.to_builtins(self.settings), "rules": rules}

    @property
    def digest(self) -> str:
        """The SHA-256 of the policy as canonical JSON."""
        return hashlib.sha256(canonical(self.content)).hexdigest()


def section(folder: Path, task: Task, part: str) -> Any:
    """Return one part of what a folder composes to, for a task; raises ProjectError."""
    from ..config.compose import CONF, composed
    from ..config.experiment import EXPERIMENT, read_experiment

    content = read_experiment(folder / EXPERIMENT)
    data = content.get("data")
    content["data"] = {**(data if isinstance(data, Mapping) else {}), "task": task}
    return composed(folder / CONF, content).get(part)
