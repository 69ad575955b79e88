"""What every report of the monitor says in the same words, and in which order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..bundle.figures import shown
from ..metrics.catalogue import known

Content = Mapping[str, Any]

WINDOWS = {"day": 1, "week": 7, "four weeks": 28}  # days that a finding's window has
RECENT = 7  # days that stand for how a feature is now
ALERT, NOTE = "alert", "note"


class Feature(NamedTuple):
    """A feature as it is shown: its counts, how far it is from its reference, what was found."""

    about: Content
    effect: float
    findings: list[Content]  # each with its verdict, alerts first

    @property
    def mark(self) -> str:
        """The gravest of what was found."""
        return str(self.findings[0]["verdict"]) if self.findings else ""

    @property
    def weight(self) -> float:
        """Importance times effect; an importance that nobody measured counts as none."""
        return max(self.about.get("importance") or 0.0, 0.0) * self.effect


def lead(content: Content) -> str:
    """Return what was judged, in a sentence."""
    log, subject = content["log"], f"{content['name']} ({content['task']})"
    if not log["rows"]:
        return f"{subject}: the log holds no row of this model."
    days = f"{log['days']:,} day{'s' * (log['days'] != 1)}"
    outcomes = f"{log['outcomes']:,}" if log["outcomes"] else "no"
    outcomes += f" mature outcome{'s' * (log['outcomes'] != 1)}"
    return (
        f"{subject} on {log['rows']:,} rows of {days}, {log['first']} to {log['last']}, with "
        f"{outcomes}; judged to the end of {content['at']} (UTC)."
    )


def found(one: Content) -> str:
    """Return a finding as a line."""
    part = f" ({one['part']})" if one.get("part") else ""
    return f"{one['rule']}{part}: {one['reason']}"


def ticked(sentence: str) -> list[tuple[str, bool]]:
    """Return the pieces of a sentence, and whether each stood between backticks."""
    pieces = sentence.split("`")
    if len(pieces) % 2 == 0:
        return [(sentence, False)]
    return [(piece, at % 2 == 1) for at, piece in enumerate(pieces) if piece]


def title(metric: str) -> str:
    """Return what a metric is called, with an arrow to where it is better."""
    about = known().get(metric)
    return metric if about is None else f"{about.title} {'↑' if about.greater_is_better else '↓'}"


def bound(entry: Content) -> float | None:
    """Return the value beyond which a metric is worse than its reference by more than the margin.

    None where there is none. What is no metric of the catalogue is a loss: less is better.
    """
    about = known().get(entry["metric"])
    if entry.get("reference") is None or entry.get("margin") is None:
        return None
    sign = -1 if about is not None and about.greater_is_better else 1
    return float(entry["reference"] + sign * entry["margin"])


def ordered(content: Content) -> list[Feature]:
    """Return the features: alerts first, then notes, each by importance times effect."""
    findings: dict[str, list[Content]] = {}
    for verdict, entries in ((ALERT, content["alerts"]), (NOTE, content["notes"])):
        for entry in entries:
            findings.setdefault(entry["part"], []).append({**entry, "verdict": verdict})
    features = [
        Feature(about, effect(about), findings.get(about["name"], []))
        for about in content["features"]
    ]
    grave = {ALERT: 0, NOTE: 1, "": 2}
    return sorted(
        features,
        key=lambda one: (
            grave[one.mark],
            -one.weight,
            -(one.about.get("importance") or 0.0),
            -one.effect,
            one.about["name"],
        ),
    )


def effect(about: Content) -> float:
    """Return how far the last days of a feature are from its reference: 0 where they are equal.

    Numbers: how far the median moved, in widths of the reference's 10 to 90 % band, one at most;
    categories: the share of rows that have another label; both: the missing share's difference.
    """
    reference, recent = about["reference"], about["days"][-RECENT:]
    rows = sum(day["rows"] for day in recent)
    if not rows:
        return 0.0
    gap = abs(mean(recent, "missing") - (reference.get("missing") or 0.0))
    if about["kind"] == "category":
        return max(gap, _other(reference.get("shares"), shares(recent)))
    medians = [day["median"] for day in recent if day.get("median") is not None]
    if not medians or reference.get("median") is None:
        return gap
    width = (reference["high"] - reference["low"]) or abs(reference["median"]) or 1.0
    moved = abs(sum(medians) / len(medians) - reference["median"]) / width
    return max(gap, min(moved, 1.0))


def mean(days: Sequence[Content], key: str) -> float:
    """Return the mean of a share over days, by their rows."""
    rows = sum(day["rows"] for day in days)
    total = sum((day.get(key) or 0.0) * day["rows"] for day in days)
    return total / rows if rows else 0.0


def shares(days: Sequence[Content]) -> list[float]:
    """Return the share of each label over days, by their rows."""
    told = [day for day in days if has_shares(day)]
    rows = sum(day["rows"] for day in told)
    columns = zip(*(day["shares"] for day in told), strict=False)
    weights = [day["rows"] / rows for day in told]
    return [sum(w * s for w, s in zip(weights, column, strict=True)) for column in columns]


def has_shares(one: Content) -> bool:
    """Say whether any row of a day, or of the reference, has a label."""
    return sum(one.get("shares") or ()) > 0


def _other(before: Sequence[float] | None, now: Sequence[float]) -> float:
    if before is None or not now:
        return 0.0
    return sum(abs(a - b) for a, b in zip(before, now, strict=False)) / 2


def unjudged(content: Content) -> list[tuple[str, str, str]]:
    """Return rule, part and reason of all that was not judged."""
    return [
        (rule["name"], finding.get("part") or "", finding["reason"])
        for rule in content["rules"]
        for finding in rule["findings"]
        if finding["verdict"] == "not judged"
    ]


def counts(rules: Sequence[Content]) -> str:
    """Return how many rules have each verdict."""
    verdicts = [rule["verdict"] for rule in rules]
    kinds = ("alert", "note", "quiet", "not judged")
    return ", ".join(f"{verdicts.count(kind)} {kind}" for kind in kinds)


def settings(rule: Content) -> Iterator[tuple[str, str]]:
    """Yield those settings of a rule that were given a value, as they are written."""
    for key, value in rule.get("settings", {}).items():
        if value is not None:
            yield key, shown(value)


def digests(content: Content) -> list[tuple[str, str]]:
    """Return what was judged and by what, each with its SHA-256."""
    return [
        ("report", content["digest"]),
        ("model", content["model"]["sha256"] or "(none)"),
        ("policy", content["policy"]["sha256"]),
    ]
