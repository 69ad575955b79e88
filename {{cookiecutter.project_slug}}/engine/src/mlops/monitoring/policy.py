"""What the monitor goes by: rules and their settings, composed from conf/monitoring."""

from pathlib import Path

import msgspec

from ..config.settings import Monitoring
from ..contract import Task
from ..errors import ProjectError
from ..policy import policy
from ..refusal import refusal
from .rule import RULES, PolicyError, Rule


class Policy(policy.Policy, frozen=True):
    """The rules by the names that the policy gives them, and what holds for all of them."""

    settings: Monitoring
    rules: dict[str, Rule]


def compose(folder: Path, task: Task, name: str) -> Policy:
    """Return the policy of the conf/ and params.yaml in `folder`, for a bundle's task.

    `name` is what messages call the folder. Raises PolicyError where it cannot be composed, has no
    rules, asks for an unknown rule, or leaves a setting of one open.
    """
    try:
        section = policy.section(folder, task, "monitoring")
        settings = msgspec.convert(section, Monitoring)
    except ProjectError as error:
        raise _uncomposed(name, str(error).replace(f"{folder}/", "")) from error
    except msgspec.ValidationError as error:
        said = refusal(error, section, Monitoring, ("monitoring",)).said
        raise _uncomposed(name, said) from error
    if not settings.rules:
        raise PolicyError(
            f"the monitor's policy of {name} has no rules: name some under `rules` in "
            "conf/monitoring"
        )
    rules = {entry: RULES.configured(entry, given) for entry, given in settings.rules.items()}
    return Policy(settings, rules)


def _uncomposed(name: str, reason: str) -> PolicyError:
    return PolicyError(
        f"the monitor's policy of {name} cannot be composed ({reason}): mend conf/monitoring"
    )
