"""The policy: which rules judge, composed from conf/gate and params.yaml of one folder."""

from pathlib import Path
from typing import Any

import msgspec

from ..bundle.verdict import canonical
from ..config.settings import Gate
from ..contract import Task
from ..errors import ProjectError
from ..policy import policy
from ..refusal import refusal
from .rule import PolicyError, Rule, configured


class Policy(policy.Policy, frozen=True):
    """The rules by the names that the policy gives them, and how intervals are drawn."""

    settings: Gate
    rules: dict[str, Rule]


def compose(folder: Path, task: Task, name: str) -> Policy:
    """Return the policy of the conf/ and params.yaml in `folder`, for the candidate's task.

    `name` is what messages call the folder. Raises PolicyError where it cannot be composed, has
    no rules, asks for an unknown rule, or leaves a setting of one open.
    """
    try:
        section = policy.section(folder, task, "gate")
    except ProjectError as error:
        reason = str(error).replace(f"{folder}/", "")
        raise PolicyError(f"the policy of {name} cannot be composed ({reason})") from error
    return parse(section, name)


def parse(section: Any, name: str) -> Policy:
    """Return the policy that the composed section `gate` describes."""
    try:
        settings = msgspec.convert(section, Gate)
    except msgspec.ValidationError as error:
        said = refusal(error, section, Gate, ("gate",)).said
        raise PolicyError(f"the policy of {name} is not valid ({said}): mend conf/gate") from error
    if not settings.rules:
        raise PolicyError(
            f"the policy of {name} has no rules, and what judges nothing passes everything: name "
            "some under `rules` in conf/gate"
        )
    rules = {entry: configured(entry, given) for entry, given in settings.rules.items()}
    found = Policy(settings, rules)
    try:
        canonical(found.content)
    except ValueError as error:
        raise PolicyError(
            f"the policy of {name} holds a number that is not finite: give one in conf/gate"
        ) from error
    return found
