"""monitor.md: what a person reads in an issue, a pull request or a job's summary."""

from ..bundle.escaping import SHOWN, code, table, text
from ..bundle.figures import figure
from . import phrases
from .phrases import Content, Feature

REPORT = "monitor.json"
SINCE = "From the first day on, where an alert may be of the latest weeks alone"


def markdown(content: Content) -> str:
    """Return the report as GitHub's Markdown; no text in it can act as markup."""
    parts = [
        f"## Monitor: {content['verdict']}",
        text(phrases.lead(content)),
        *_next(content),
        *_found("Alerts", content["alerts"]),
        *_found("Notes", content["notes"]),
        *_performance(content),
        *_features(content),
        *_unjudged(content),
        *_rules(content),
        _digests(content),
    ]
    return "\n\n".join(parts) + "\n"


def sentence(words: str) -> str:
    """Return a sentence that acts as no markup, with its commands as code."""
    return "".join(
        code(piece) if is_code else _spaced(piece) for piece, is_code in phrases.ticked(words)
    )


def _spaced(piece: str) -> str:
    """Return escaped text that keeps the space between itself and code."""
    before, after = " " * piece[:1].isspace(), " " * piece[-1:].isspace()
    return f"{before}{text(piece)}{after}"


def _next(content: Content) -> list[str]:
    if not content["next"]:
        return []
    return ["### What to do next", "\n".join(f"- {sentence(one)}" for one in content["next"])]


def _found(title: str, entries: list[Content]) -> list[str]:
    if not entries:
        return []
    lines = [
        f"- **{text(one['rule'])}** {text(one['part'])}: {sentence(one['reason'])}"
        for one in entries[:SHOWN]
    ]
    rest = len(entries) - SHOWN
    more = [f"- {rest} more stand in {REPORT}."] if rest > 0 else []
    return [f"### {title}", "\n".join([*lines, *more])]


def _performance(content: Content) -> list[str]:
    rows = [
        [
            text(phrases.title(one["metric"])),
            code(one["slice"]) if one["slice"] else "all",
            f"{one['sequence'][-1]['rows']:,}",
            figure(one["sequence"][-1]["value"]),
            _interval(one["sequence"][-1]),
            figure(one["reference"]),
            figure(one["margin"]),
        ]
        for one in content["performance"]
        if one["sequence"]
    ]
    header = ["metric", "slice", "rows", "value", "interval", "reference", "margin"]
    shown = ["No outcome is old enough to measure by."]
    if rows:
        shown = [f"{SINCE}:", table(header, rows, REPORT)]
    if estimated := content["estimated"]:
        metric, value = phrases.title(estimated["metric"]), figure(estimated["value"])
        shown.append(
            f"Estimated without outcomes, and no reason for an alert: {text(metric)} {value}."
        )
    return ["### Performance", *shown]


def _interval(point: Content) -> str:
    if None in (point["low"], point["high"]):
        return "none"
    return f"{figure(point['low'])} to {figure(point['high'])}"


def _features(content: Content) -> list[str]:
    if not content["features"]:
        return []
    header = ["", "feature", "importance", "median", "before", "missing", "before"]
    body = table(header, [_feature(one) for one in phrases.ordered(content)], REPORT)
    summary = f"<summary>Features: the last {phrases.RECENT} days beside the reference</summary>"
    return [f"<details>{summary}\n\n{body}\n\n</details>"]


def _feature(one: Feature) -> list[str]:
    about, recent = one.about, one.about["days"][-phrases.RECENT :]
    medians = [day["median"] for day in recent if day.get("median") is not None]
    before = about["reference"]
    return [
        one.mark,
        code(about["name"]),
        _known(about.get("importance")),
        _known(sum(medians) / len(medians) if medians else None),
        _known(before.get("median")),
        f"{phrases.mean(recent, 'missing'):.1%}",
        f"{before.get('missing') or 0:.1%}",
    ]


def _known(value: float | None) -> str:
    return "" if value is None else figure(value)


def _unjudged(content: Content) -> list[str]:
    rows = [[text(rule), text(part), text(why)] for rule, part, why in phrases.unjudged(content)]
    if not rows:
        return []
    body = table(["rule", "part", "why"], rows, REPORT)
    return [f"<details><summary>Not judged: {len(rows)}</summary>\n\n{body}\n\n</details>"]


def _rules(content: Content) -> list[str]:
    rows = [
        [
            rule["verdict"],
            text(rule["name"]),
            text(rule["about"]),
            ", ".join(f"{text(key)} {code(value)}" for key, value in phrases.settings(rule)),
        ]
        for rule in content["rules"]
    ]
    body = table(["verdict", "rule", "what it asks", "settings"], rows, REPORT)
    summary = f"<summary>Rules: {phrases.counts(content['rules'])}</summary>"
    return [f"<details>{summary}\n\n{body}\n\n</details>"]


def _digests(content: Content) -> str:
    lines = table(
        ["what", "SHA-256"], [[what, code(one)] for what, one in phrases.digests(content)], REPORT
    )
    return f"<details><summary>Digests</summary>\n\n{lines}\n\n</details>"
