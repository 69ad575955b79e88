"""What a rule of the gate is: configured by data, and either it passes or it says why not."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from ..policy import rule
from ..policy.finding import Finding as Finding  # which rules of the owner's import from here
from ..policy.rule import PolicyError as PolicyError
from ..policy.rule import Registry
from .case import Case

# The first that one of its findings has is the verdict of a rule.
Verdict = Literal["rejected", "pending", "passed", "not applicable"]


class Rule(rule.Rule, frozen=True, forbid_unknown_fields=True):
    """Base of every rule of the gate: a subclass declares its settings as fields, judges a case.

    `needs_champion` rules do not apply to a first model. A rule `on_earlier_rows` judges twice
    where rows were added: on all, and on those that the champion was judged on. A figure that is
    missing or not finite never passes.
    """

    needs_champion: ClassVar[bool] = False
    on_earlier_rows: ClassVar[bool] = False

    @classmethod
    def applies(cls) -> str:
        """Return a sentence on when the rule applies, where that is not always."""
        if not cls.needs_champion:
            return ""
        return "It compares with the champion: it does not apply to a first model."

    def judge(self, case: Case) -> list[Finding]:
        """Return at least one finding. An exception counts as a rejection."""
        raise NotImplementedError


RULES = Registry(Rule, f"{__package__}.rules", "policy.rules", "gate")


def rules() -> Mapping[str, type[Rule]]:
    """Return every rule by name: of the folder rules/, and of src/policy/rules.py."""
    return RULES.rules


def configured(name: str, section: Mapping[str, Any]) -> Rule:
    """Return the rule that one entry of a policy asks for; raises PolicyError."""
    return RULES.configured(name, section)


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
