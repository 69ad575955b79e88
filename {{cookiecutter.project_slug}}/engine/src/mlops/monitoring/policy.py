"""What the monitor goes by: rules and their settings, composed from conf/monitoring."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..bundle.verdict import canonical
from ..config.settings import Monitoring
from ..contract import Task
from ..errors import ProjectError
from .rule import RULES, PolicyError, Rule


class Policy(msgspec.Struct, frozen=True):
    """The rules by the names that the policy gives them, and what holds for all of them."""

    settings: Monitoring
    rules: dict[str, Rule]

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


def compose(folder: Path, task: Task, name: str) -> Policy:
    """Return the policy of the conf/ and params.yaml in `folder`, for a bundle's task.

    `name` is what messages call the folder. Raises PolicyError where it cannot be composed, has no
    rules, asks for an unknown rule, or leaves a setting of one open.
    """
    from ..config.compose import CONF, composed
    from ..config.experiment import EXPERIMENT, read_experiment

    try:
        content = read_experiment(folder / EXPERIMENT)
        data = content.get("data")
        content["data"] = {**(data if isinstance(data, Mapping) else {}), "task": task}
        section = composed(folder / CONF, content).get("monitoring")
        settings = msgspec.convert(section, Monitoring)
    except (ProjectError, msgspec.ValidationError) as error:
        reason = str(error).replace(f"{folder}/", "")
        raise PolicyError(
            f"the monitor's policy of {name} cannot be composed ({reason}): mend conf/monitoring"
        ) from error
    if not settings.rules:
        raise PolicyError(
            f"the monitor's policy of {name} has no rules: name some under `rules` in "
            "conf/monitoring"
        )
    rules = {entry: RULES.configured(entry, given) for entry, given in settings.rules.items()}
    return Policy(settings, rules)
