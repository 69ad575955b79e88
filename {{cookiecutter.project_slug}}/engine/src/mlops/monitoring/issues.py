"""Which issue says what: one for each model, rule and part, whatever people do with its title."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from ..bundle.escaping import code, table, text
from ..bundle.figures import figure
from .markdown import REPORT, sentence
from .phrases import Content

LABEL = "mlops-monitor"
MOST = 20  # issues that one run opens: more alerts at once have one cause
LATEST = 7  # days of the table
TITLE = 200
# The first two lines of a body: whose issue it is; since when the alert goes on (nothing: it is
# gone) and the last day that was judged. Each part is quoted, so that none can end the comment.
HEAD = re.compile(
    r"<!-- mlops-alert: (?P<identity>[^\s/]+/[^\s/]+/[^\s/]*) -->\r?\n"
    r"<!-- mlops-days: (?P<since>\d{4}-\d\d-\d\d)?/(?P<at>\d{4}-\d\d-\d\d) -->\r?\n"
)


class Issue(NamedTuple):
    """An issue as GitHub has it."""

    number: int
    author: int  # the number of the account that opened it
    is_open: bool
    body: str


class Action(NamedTuple):
    """What is done to one issue; what is None stays as it is. Without a number, one is opened."""

    verb: str  # open, edit, reopen, close, or join: another issue is of the same alert
    subject: str  # for people: name, rule and part
    number: int | None
    title: str | None = None
    body: str | None = None
    comment: str | None = None
    state: str | None = None


class Known(NamedTuple):
    """An issue of ours, with what the head of its body says."""

    issue: Issue
    identity: str
    since: str | None
    at: str


def plan(report: Content, issues: Iterable[Issue], author: int, link: str = "") -> list[Action]:
    """Return what makes the issues say what the report does.

    Only issues that `author` opened count, whatever stands in others. One that a person closed
    while its alert goes on stays closed until the alert has gone and come back. A report of an
    earlier day than an issue's changes nothing there.
    """
    known, actions = _known(issues, author)
    alerts = _by_identity(report)
    opened = 0
    for identity, findings in alerts.items():
        one = known.pop(identity, None)
        if one is None:
            opened += 1
            if opened <= MOST:
                actions.append(_open(report, identity, findings, link))
        elif one.at <= report["at"]:
            actions += _goes_on(report, one, findings, link)
    for one in known.values():
        if one.since and one.at <= report["at"] and _is_gone(report, one.identity):
            actions.append(_gone(report, one, link))
    return actions


def left_out(
    report: Content, actions: Sequence[Action], issues: Iterable[Issue], author: int
) -> int:
    """Return how many alerts get no issue in this run, since too many came at once."""
    known, _ = _known(issues, author)
    new = [identity for identity in _by_identity(report) if identity not in known]
    return len(new) - sum(1 for action in actions if action.verb == "open")


def identity(name: str, rule: str, part: str) -> str:
    """Return what an issue is known by."""
    return "/".join(quote(piece, safe="") for piece in (name, rule, part))


def _known(issues: Iterable[Issue], author: int) -> tuple[dict[str, Known], list[Action]]:
    """Return the first issue of each identity, and what closes further ones."""
    known: dict[str, Known] = {}
    actions = []
    for issue in sorted(issues, key=lambda one: one.number):
        head = HEAD.match(issue.body)
        if issue.author != author or head is None:
            continue
        one = Known(issue, head["identity"], head["since"], head["at"])
        first = known.setdefault(one.identity, one)
        if first is not one and issue.is_open:
            said = f"The same alert as #{first.issue.number}, which goes on there."
            subject = f"#{issue.number}"
            actions.append(Action("join", subject, issue.number, comment=said, state="closed"))
    return known, actions


def _by_identity(report: Content) -> dict[str, list[Content]]:
    """Return the alerts: those of one rule and part, in several windows, are one."""
    found: dict[str, list[Content]] = {}
    for alert in report["alerts"]:
        key = identity(report["name"], alert["rule"], alert["part"])
        found.setdefault(key, []).append(alert)
    return found


def _open(report: Content, key: str, findings: list[Content], link: str) -> Action:
    body = _body(report, key, findings, report["at"], link)
    subject = _subject(report["name"], findings[0]["rule"], findings[0]["part"])
    return Action("open", subject, None, _title(subject), body)


def _goes_on(report: Content, one: Known, findings: list[Content], link: str) -> list[Action]:
    subject, number = (
        _subject(report["name"], findings[0]["rule"], findings[0]["part"]),
        one.issue.number,
    )
    if one.since is None and not one.issue.is_open:
        body = _body(report, one.identity, findings, report["at"], link)
        said = f"It is back: {sentence(findings[0]['reason'])}{_run(link)}"
        return [Action("reopen", subject, number, body=body, comment=said, state="open")]
    body = _body(report, one.identity, findings, one.since or report["at"], link)
    return [] if body == _lines(one.issue.body) else [Action("edit", subject, number, body=body)]


def _gone(report: Content, one: Known, link: str) -> Action:
    head, _, rest = _lines(one.issue.body).partition(f"<!-- mlops-days: {one.since}/{one.at} -->")
    body = f"{head}<!-- mlops-days: /{report['at']} -->{rest}"
    number, (name, rule, part) = one.issue.number, map(unquote, one.identity.split("/"))
    subject = _subject(name, rule, part)
    if not one.issue.is_open:
        return Action("edit", subject, number, body=body)
    said = f"Gone: it was judged to the end of {report['at']}, and nothing was found.{_run(link)}"
    return Action("close", subject, number, body=body, comment=said, state="closed")


def _is_gone(report: Content, key: str) -> bool:
    """Say whether rule and part of an issue were judged in some window, without an alert.

    A report leaves out most parts that are quiet: what a rule that judged says nothing of is so.
    """
    for rule in report["rules"]:
        if not key.startswith(identity(report["name"], rule["name"], "")):
            continue
        parts: dict[str, set[str]] = {}
        for finding in rule["findings"]:
            part = identity(report["name"], rule["name"], finding.get("part") or "")
            parts.setdefault(part, set()).add(finding["verdict"])
        verdicts = parts.get(key)
        if verdicts is None:
            of_all = parts.get(identity(report["name"], rule["name"], ""), set())
            return rule["verdict"] != "not judged" and "not judged" not in of_all
        return "alert" not in verdicts and verdicts != {"not judged"}
    return False


def _subject(name: str, rule: str, part: str) -> str:
    return " ".join(f"{name}: {rule} {part}".split())


def _title(subject: str) -> str:
    """Return a title that mentions nobody."""
    return subject.replace("@", "@\u200b").replace("`", "'")[:TITLE]


def _body(report: Content, key: str, findings: list[Content], since: str, link: str) -> str:
    first = findings[0]
    parts = [
        f"<!-- mlops-alert: {key} -->\n<!-- mlops-days: {since}/{report['at']} -->\n",
        *(
            f"**{text(one['rule'])}** {code(one['part']) if one['part'] else ''}: "
            f"{sentence(one['reason'])}"
            for one in findings
        ),
        f"Since {since}, judged to the end of {report['at']} (UTC), model "
        f"{code((report['model']['sha256'] or 'unknown')[:12])}.{_run(link)}",
        *_days(report, first),
        "### What to do next",
        "\n".join(f"- {sentence(one)}" for one in report["next"][:MOST]) or "- Look at the report.",
        "This issue closes by itself when the alert is gone, and opens again when it comes back. "
        "Closed by hand, it stays closed until then.",
    ]
    return "\n\n".join(parts) + "\n"


def _run(link: str) -> str:
    return f" [Report and run]({link})" if link else ""


def _days(report: Content, alert: Content) -> list[str]:
    """Return the last days of what the alert is of, as a table, where there are any."""
    part = alert["part"]
    for about in (*report["features"], *report["predictions"]):
        if about["name"] == part and part:
            header = ["day", "rows", "missing", "10 %", "median", "90 %"]
            rows = [_of_day(day) for day in about["days"][-LATEST:]]
            return [table(header, rows, REPORT)] if rows else []
    for entry in report["performance"]:
        if alert["kind"] == "performance" and part in (entry["slice"], entry["metric"]):
            header = ["day", "rows", "value", "low", "high"]
            rows = [
                [
                    text(p["date"]),
                    f"{p['rows']:,}",
                    *(figure(p[k]) for k in ("value", "low", "high")),
                ]
                for p in entry["sequence"][-LATEST:]
            ]
            reference, margin = figure(entry["reference"]), figure(entry["margin"])
            said = f"{code(entry['metric'])}: reference {reference}, margin {margin}."
            return [said, table(header, rows, REPORT)] if rows else []
    return []


def _of_day(day: Mapping[str, Any]) -> list[str]:
    quantiles = (day.get(key) for key in ("low", "median", "high"))
    return [
        text(day["date"]),
        f"{day['rows']:,}",
        f"{day.get('missing') or 0:.2%}",
        *("" if value is None else figure(value) for value in quantiles),
    ]


def _lines(body: str) -> str:
    """Return a body as it was written: GitHub's page stores other ends of lines."""
    return body.replace("\r\n", "\n")
