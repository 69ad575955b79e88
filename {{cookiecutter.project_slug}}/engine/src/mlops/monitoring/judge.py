"""The judgment: every rule on the windows that end with a day, corrected together, one report."""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, get_args

import msgspec

from ..bundle import alerts, verdict
from ..bundle.contents import Contents
from ..policy.finding import FIGURES, number
from . import overview
from .case import Case
from .log import Source
from .policy import Policy
from .rule import Finding, Rule, Verdict, unjudged
from .statistics import holm

SHOWN = 25  # quiet findings of a rule that a report holds, the least quiet first
DIGITS = 6
FAILED = "the rule failed"


def judge(source: Source, content: Contents, policy: Policy, case: Case) -> dict[str, Any]:
    """Return the sealed report of a case; the same case and policy give the same bytes."""
    ruled = ruling(policy, case)
    found = [
        {"rule": entry["name"], "kind": entry["kind"], **finding}
        for entry in ruled
        for finding in entry["findings"]
    ]
    alerted = _once([one for one in found if one["verdict"] == "alert"])
    noted = _once(sorted((one for one in found if one["verdict"] == "note"), key=_order))
    of_rows = [name for name, rule in policy.rules.items() if not rule.of_traffic]
    judged = [
        entry
        for entry in ruled
        if entry["verdict"] != "not judged" and (entry["name"] in of_rows or not of_rows)
    ]
    kind = "alert" if alerted else "quiet" if judged and not _failed(ruled) else "not judged"
    report = {
        "format": alerts.FORMAT,
        "verdict": kind,
        "name": content.manifest["name"],
        "task": content.manifest["task"],
        "at": case.at.isoformat(),
        "model": {"sha256": content.bundle_digest, "since": min(case.days, default=None)},
        "log": overview.log(case),
        "policy": {
            "sha256": policy.digest,
            "alpha": policy.settings.alpha,
            "maturity_days": policy.settings.maturity_days,
        },
        "alerts": [_told(one) for one in alerted],
        "notes": [_told(one) for one in noted],
        "rules": ruled,
        "features": overview.features(case),
        "predictions": overview.predictions(case),
        "performance": overview.performance(case, policy, alerted),
        "estimated": overview.estimated(case),
        "next": overview.following(alerted, noted, ruled),
    }
    return verdict.sealed(_rounded(report))


def _failed(ruled: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether a rule failed: what was not looked at is not quiet."""
    return any(one["reason"].startswith(FAILED) for each in ruled for one in each["findings"])


def _once(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first of what was found of each part by a rule, with all of its windows."""
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for one in found:
        known = first.setdefault((one["rule"], one["part"]), {**one})
        if one["window"] not in known["window"].split(", "):
            known["window"] += f", {one['window']}"
    return [*first.values()]


def ruling(policy: Policy, case: Case) -> list[dict[str, Any]]:
    """Return an entry for each rule, with its findings corrected for the number of all."""
    given = {name: _found(rule, case) for name, rule in policy.rules.items()}
    families = sorted({rule.family for rule in policy.rules.values()})
    alpha = policy.settings.alpha / len(families)
    settled: dict[tuple[str, int], Finding] = {}
    for family in families:
        places = [
            (name, at)
            for name, rule in policy.rules.items()
            if rule.family == family
            for at, one in enumerate(given[name])
            if one.p is not None and one.verdict in ("alert", "note")
        ]
        chances = holm([given[name][at].p or 0.0 for name, at in places])
        for (name, at), chance in zip(places, chances, strict=True):
            one = msgspec.structs.replace(given[name][at], p=chance)
            if chance > alpha:
                one = msgspec.structs.replace(one, verdict="quiet")
            settled[name, at] = one
    found = {
        name: [settled.get((name, at), one) for at, one in enumerate(given[name])]
        for name in policy.rules
    }
    read = {name: about.columns for name, about in case.bundle.encoder.derived.items()}
    return [
        _entry(name, rule, _by_cause(rule, found[name], read))
        for name, rule in policy.rules.items()
    ]


def _by_cause(
    rule: Rule, findings: Sequence[Finding], read: Mapping[str, Sequence[str]]
) -> list[Finding]:
    """Return findings in which a feature whose column is broken is noted: it has one cause."""
    if rule.kind != "quality":
        return [*findings]
    broken = {one.part for one in findings if one.verdict == "alert"}
    return [
        msgspec.structs.replace(one, verdict="note", reason=f"{one.reason}, as {cause} is")
        if one.verdict == "alert"
        and (cause := next((name for name in read.get(one.part, ()) if name in broken), ""))
        else one
        for one in findings
    ]


def _found(rule: Rule, case: Case) -> list[Finding]:
    """Return sound findings, whatever the rule does: what is not sound is not judged."""
    try:
        findings = rule.judge(case)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a rule that leaves must not end the monitor
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return [unjudged(f"{FAILED}: {reason}")]
    if not isinstance(findings, list | tuple) or not findings:
        return [unjudged("the rule found nothing, and nothing is no reason to be quiet")]
    return [_sound(one) for one in findings]


def _sound(one: Any) -> Finding:
    if not isinstance(one, Finding) or one.verdict not in get_args(Verdict):
        return unjudged(f"the rule returned {type(one).__name__} and no verdict")
    figures = {name: number(getattr(one, name)) for name in FIGURES}
    for name, figure in figures.items():
        if figure is None and getattr(one, name) is not None:
            told = f"the rule gave {getattr(one, name)!r} as its {name}"
            return unjudged(told, str(one.part), str(one.window))
    chance = None if one.p is None else number(one.p)
    if one.p is not None and (chance is None or not 0 <= chance <= 1):
        return unjudged(f"the rule gave {one.p!r} as a chance", str(one.part), str(one.window))
    weight = number(one.weight) or 0.0
    return Finding(
        one.verdict,
        str(one.reason).strip(),
        str(one.part),
        window=str(one.window),
        p=chance,
        weight=weight,
        **figures,
    )


def _entry(name: str, rule: Rule, findings: Sequence[Finding]) -> dict[str, Any]:
    verdicts = {one.verdict for one in findings}
    kept = [one for one in findings if one.verdict != "quiet"]
    quiet = sorted((one for one in findings if one.verdict == "quiet"), key=_chance)
    # What one window does not judge may be quiet in another: who reads a part has to see both.
    partly = {one.part for one in kept if one.verdict == "not judged"}
    quiet = [one for at, one in enumerate(quiet) if at < SHOWN or one.part in partly]
    return {
        "name": name,
        "rule": rule.named(),
        "kind": rule.kind,
        "about": (type(rule).__doc__ or "").strip().partition("\n")[0],
        "source": rule.source,
        "settings": msgspec.to_builtins(rule),
        "verdict": next(one for one in get_args(Verdict) if one in verdicts),
        "judged": sum(one.verdict != "not judged" for one in findings),
        "findings": [msgspec.structs.asdict(one) for one in [*kept, *quiet]],
    }


def _chance(one: Finding) -> tuple[float, float, str, str]:
    """Return what quiet findings are ordered by: most chances are 1 when they are corrected."""
    far = abs(one.value or 0.0) / one.threshold if one.threshold else 0.0
    return 1.0 if one.p is None else one.p, -far, one.part, one.window


def _order(one: Mapping[str, Any]) -> tuple[float, str, str, str]:
    return -one.get("weight", 0.0), one["rule"], one.get("part", ""), one.get("window", "")


def _told(one: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key != "verdict"}


def _rounded(content: Any) -> Any:
    """Return content with DIGITS significant digits: the rest differs between processors."""
    match content:
        case float():
            if not math.isfinite(content):
                return None
            return float(f"{content:.{DIGITS}g}")
        case dict():
            return {key: _rounded(value) for key, value in content.items()}
        case list() | tuple():
            return [_rounded(value) for value in content]
    return content


def last_whole_day(now: date) -> date:
    """Return the day before: the one that `now` is in is not over."""
    return date.fromordinal(now.toordinal() - 1)
