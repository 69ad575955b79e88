"""What a rule is: named, configured by data, and either it passes or it says why not."""

import importlib
import math
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any, ClassVar, Literal

import msgspec

from .. import owner
from ..errors import ProjectError
from .case import Case

# The first that one of its findings has is the verdict of a rule.
Verdict = Literal["rejected", "pending", "passed", "not applicable"]

OWN = "policy.rules"  # src/policy/rules.py


class PolicyError(ProjectError):
    """The policy asks for what no rule does."""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one rule found, once or for each slice, group or column (`part`).

    `value` is the figure that was compared with `threshold`, `low` and `high` its interval.
    A figure that is missing or not finite never passes.
    """

    verdict: Verdict
    reason: str
    part: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every rule: a subclass declares its settings as fields and judges a case.

    `needs_champion` rules do not apply to a first model. A rule `on_earlier_rows` judges twice
    where rows were added: on all, and on those that the champion was judged on. `source` is where
    the method comes from. The first line of the docstring is what `mlops gate --explain` prints.
    """

    needs_champion: ClassVar[bool] = False
    on_earlier_rows: ClassVar[bool] = False
    source: ClassVar[str] = ""

    @classmethod
    def named(cls) -> str:
        """Return the name that a policy calls the rule by: the class name in snake case."""
        return "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")

    def judge(self, case: Case) -> list[Finding]:
        """Return at least one finding. An exception counts as a rejection."""
        raise NotImplementedError


@cache
def rules() -> Mapping[str, type[Rule]]:
    """Return every rule by name: of the folder rules/, and of src/policy/rules.py."""
    from . import rules as folder

    names = [entry.name for entry in pkgutil.iter_modules(folder.__path__)]
    modules = [importlib.import_module(f"{folder.__name__}.{name}") for name in names]
    if (mine := owner.module(OWN)) is not None:
        modules.append(mine)
    found: dict[str, type[Rule]] = {}
    for module in modules:
        for kind in _declared(module):
            if found.setdefault(kind.named(), kind) is not kind:
                which = "the one in src/policy/rules.py" if module is mine else "one"
                raise PolicyError(f"two rules are named {kind.named()}: rename {which}")
    return dict(sorted(found.items()))


def _declared(module: ModuleType) -> list[type[Rule]]:
    """Return the rules that a module defines, those it imports aside."""
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type)
        and kind.__module__ == module.__name__
        and issubclass(kind, Rule)
        and not kind.__name__.startswith("_")
    ]


def configured(name: str, section: Mapping[str, Any]) -> Rule:
    """Return the rule that one entry of a policy asks for.

    Raises PolicyError for an unknown rule, and for a setting it does not have.
    """
    if not isinstance(section, Mapping):
        raise PolicyError(f"gate.rules.{name} must be a mapping of the rule's settings")
    kind = section.get("rule", name)
    if not isinstance(kind, str) or kind not in rules():
        raise PolicyError(
            f"gate.rules.{name}: there is no rule {kind!r}: choose from {', '.join(rules())}"
        )
    settings = {key: value for key, value in section.items() if key != "rule"}
    try:
        return msgspec.convert(settings, rules()[kind])
    except msgspec.ValidationError as error:
        raise PolicyError(f"gate.rules.{name}: {error}") from error


def compared(
    value: float,
    threshold: float,
    *,
    at_least: bool,
    said: str,
    part: str = "",
    low: float | None = None,
    high: float | None = None,
) -> Finding:
    """Return the finding of `value` at least (or at most) `threshold`; not finite is rejected."""
    if not math.isfinite(value) or not math.isfinite(threshold):
        reason = f"{said} cannot be computed on these rows"
        return Finding("rejected", reason, part, None, low, high, threshold)
    passed = value >= threshold if at_least else value <= threshold
    sign = ("at least" if passed else "below") if at_least else ("at most" if passed else "above")
    reason = f"{said} is {value:.4g}, {sign} {threshold:.4g}"
    return Finding("passed" if passed else "rejected", reason, part, value, low, high, threshold)
