"""One rule on one case: what it found, made sure of, as the report holds it."""

import sys
import time
from collections.abc import Callable
from typing import Any, get_args

import msgspec

from ..policy.finding import FIGURES, number
from .case import Case
from .rule import Finding, Rule, Verdict

EARLIER = "on the champion's rows"
Entry = dict[str, Any]


def judged(name: str, rule: Rule, case: Case, unscored: str = "") -> tuple[Entry, float]:
    """Run one rule of the policy and return its entry with the seconds it took.

    `unscored` says why a champion that exists could not be scored: what is compared with it
    is rejected.
    """
    started = time.perf_counter()
    print(f"gate: {name}", end=" ", file=sys.stderr, flush=True)
    if not rule.needs_champion or (case.champion is not None and not unscored):
        findings = found(lambda: rule.judge(case))
        findings += _on_earlier_rows(rule, case) if rule.on_earlier_rows else []
    elif unscored:
        findings = [Finding("rejected", f"the champion cannot be scored: {unscored}")]
    else:
        findings = [Finding("not applicable", "there is no champion yet")]
    seconds = time.perf_counter() - started
    described = {
        "name": name,
        "rule": rule.named(),
        "about": (type(rule).__doc__ or "").strip().partition("\n")[0],
        "source": rule.source,
        "settings": msgspec.to_builtins(rule),
    }
    finished = {**described, **entry(findings)}
    print(f"{finished['verdict']} ({seconds:.1f} s)", file=sys.stderr, flush=True)
    return finished, seconds


def _on_earlier_rows(rule: Rule, case: Case) -> list[Finding]:
    """Return what a rule finds on the rows that the champion was judged on, where others came."""
    if (before := case.before) is None:
        return []
    if not (left := len(before.target)):
        return [Finding("not applicable", "none of them is left", EARLIER)]
    if case.cutoff_moved and 2 * left < (known := case.known):
        reason = f"{left:,} of {known:,} are left after the new cut-off: too few to tell by them"
        return [Finding("not applicable", reason, EARLIER)]
    return [
        msgspec.structs.replace(one, part=f"{one.part}, {EARLIER}" if one.part else EARLIER)
        for one in found(lambda: rule.judge(before))
    ]


def found(judge: Callable[[], Any]) -> list[Finding]:
    """Return sound findings, whatever the rule does: what is not sound is rejected."""
    try:
        findings = judge()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a rule that leaves must not end the gate
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return [Finding("rejected", f"the rule failed: {reason}")]
    if not isinstance(findings, list | tuple) or not findings:
        return [Finding("rejected", "the rule found nothing, and nothing is no reason to pass")]
    return [_sound(one) for one in findings]


def entry(findings: list[Finding]) -> Entry:
    """Return findings with the verdict that follows: rejected by one, else pending, else passed."""
    verdicts = {one.verdict for one in findings}
    verdict = next(one for one in get_args(Verdict) if one in verdicts)
    return {"verdict": verdict, "findings": [msgspec.to_builtins(one) for one in findings]}


def _sound(one: Any) -> Finding:
    """Return the finding with plain figures, or the rejection of one that proves nothing."""
    if not isinstance(one, Finding) or one.verdict not in get_args(Verdict):
        return Finding("rejected", f"the rule returned {type(one).__name__} and no verdict")
    part, reason = str(one.part), str(one.reason).strip()
    figures: dict[str, float | None] = {}
    broken = []
    for name in FIGURES:
        given = getattr(one, name)
        figures[name] = number(given)
        if given is not None and figures[name] is None:
            broken.append(f"{name} {given!r}")
    if not reason:
        return Finding("rejected", "the rule gave no reason", part, **figures)
    if broken and one.verdict != "rejected":
        reason = f"{', '.join(broken)} is no finite number, though the rule {one.verdict}: {reason}"
        return Finding("rejected", reason, part, **figures)
    return Finding(one.verdict, reason, part, **figures)
