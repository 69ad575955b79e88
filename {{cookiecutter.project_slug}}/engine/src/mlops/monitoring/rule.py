"""What a rule of the monitor is: configured by data, it finds what changed."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from ..policy import finding, rule
from ..policy.rule import PolicyError as PolicyError  # which rules of the owner's import from here
from ..policy.rule import Registry
from .case import Case

# The first that one of its findings has is the verdict of a rule.
Verdict = Literal["alert", "note", "quiet", "not judged"]
Kind = Literal["quality", "drift", "performance", "estimate"]


class Finding(finding.Finding, frozen=True, omit_defaults=True):
    """What a rule found of one `part` in one `window`.

    With `p`, the chance of it where nothing that matters has changed, an alert or note stands only
    if that is small among all chances of the day (Holm). `weight` orders notes: how much the model
    relies on the part, times how far it moved.
    """

    window: str = ""
    p: float | None = None
    weight: float = 0.0


class Rule(rule.Rule, frozen=True, forbid_unknown_fields=True):
    """Base of every rule of the monitor: a subclass declares its settings, and judges a case.

    `kind` says what an alert of it means: broken data, or measured loss. Drift and estimates are
    for notes. `family` names the chances that are corrected together: each has its part of alpha.
    One `of_traffic` looks at no row: where no other judged anything, nothing was judged.
    """

    kind: ClassVar[Kind] = "drift"
    family: ClassVar[str] = "whole"
    of_traffic: ClassVar[bool] = False

    def judge(self, case: Case) -> Sequence[Finding]:
        """Return at least one finding. An exception counts as not judged, and is told."""
        raise NotImplementedError


RULES = Registry(Rule, f"{__package__}.rules", "policy.monitoring", "monitoring")


def unjudged(reason: str, part: str = "", window: str = "") -> Finding:
    """Return the finding that nothing can be said."""
    return Finding("not judged", reason, part, window=window)
