"""Which model an environment had when, by whom, and on what evidence: from git alone."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ..bundle.figures import estimate
from ..errors import ProjectError
from ..git.repository import Repository
from ..git.steps import Step
from .challenger import ended
from .declaration import DeclarationError, Declared, declared, paths

NUMBER = re.compile(r"^Merge pull request #(\d+)|\(#(\d+)\)$")
TITLE = re.compile(r"^Merge (pull request #\d+|branch) ")


class HistoryError(ProjectError):
    """The question is none that the history answers."""


class Entry(msgspec.Struct, frozen=True):
    """What was declared from one commit of the branch to the next; no manifest, nothing.

    `by` committed or merged it, `promoted_by` made the commit that was merged. `returned_to` is
    the earlier commit whose declaration a revert restored; its evidence counts again. `metric`
    is how the bundle's primary metric stood then. `trouble` says why it cannot be read.
    """

    environment: str
    since: str
    until: str | None
    bundle_digest: str | None = msgspec.field(name="manifest")
    name: str | None
    commit: str
    title: str
    by: str
    promoted_by: str
    approved: tuple[str, ...]
    pull_request: int | None
    returned_to: str | None
    verdict: str | None
    metric: dict[str, Any] | None
    trouble: str | None


def history(repository: Repository, environment: str, ref: str = "HEAD") -> list[Entry]:
    """Return the declarations of a branch, the newest first.

    A merge counts with its own date and author: from then on it held.
    """
    files = paths(environment)
    head = repository.commit_of(ref)
    if repository.is_shallow():
        raise HistoryError(
            "this clone has only the end of the history: fetch the rest (`git fetch --unshallow`)"
        )
    seen: dict[tuple[str | None, ...], str] = {}
    found: list[Entry] = []
    standing: tuple[str | None, ...] = (None,) * len(files)
    for step in reversed(repository.changed(head, files)):
        held = repository.blobs(step.commit, files)
        state = tuple(held.get(path) for path in files)
        if state == standing:
            continue
        if found:
            found[-1] = msgspec.structs.replace(found[-1], until=_utc(step.when))
        found.append(_entry(repository, environment, step, seen.get(state)))
        seen.setdefault(state, step.commit)
        standing = state
    return found[::-1]


class Experimented(msgspec.Struct, frozen=True):
    """What an experiment came to, as it is kept beside the declaration."""

    path: str
    at: str
    mode: str
    champion: str
    challenger: str
    verdict: str
    reason: str


def experiments(repository: Repository, environment: str, ref: str = "HEAD") -> list[Experimented]:
    """Return the experiments that ended, the newest first."""
    fields = ("at", "mode", "champion", "challenger", "verdict", "reason")
    return [
        Experimented(path, *(str(content.get(name, "")) for name in fields))
        for path, content in ended(repository, repository.commit_of(ref), environment)
    ]


def _entry(repository: Repository, environment: str, step: Step, before: str | None) -> Entry:
    one, trouble = None, None
    try:
        one = declared(repository, step.commit, environment)
    except DeclarationError as error:
        trouble = str(error)
    number = NUMBER.search(step.subject)
    says = step.body.strip().split("\n")[0] if TITLE.match(step.subject) else ""
    return Entry(
        environment=environment,
        since=_utc(step.when),
        until=None,
        bundle_digest=one.declaration.bundle_digest if one else None,
        name=one.declaration.name if one else None,
        commit=step.commit,
        title=says or step.subject,
        by=f"{step.author} <{step.email}>",
        promoted_by=repository.last_author(step.commit, paths(environment)),
        approved=step.approved,
        pull_request=int(number[1] or number[2]) if number else None,
        returned_to=before if one else None,
        verdict=one.declaration.verdict if one else None,
        metric=_metric(one) if one else None,
        trouble=trouble,
    )


def _metric(one: Declared) -> dict[str, Any] | None:
    rows = one.report.get("metrics") or []
    return next((row for row in rows if row["metric"] == one.declaration.primary), None)


def _utc(when: str) -> str:
    return datetime.fromisoformat(when).astimezone(UTC).isoformat(timespec="seconds")


def at(entries: list[Entry], date: str) -> list[Entry]:
    """Return the one entry that held at a date and time; for a day, at its end.

    Without a zone it is local time.
    """
    try:
        moment = datetime.fromisoformat(date)
    except ValueError as error:
        raise HistoryError(
            f"{date!r} is no date: give one like 2026-11-22 or 2026-11-22T14:30+01:00"
        ) from error
    if re.fullmatch(r"\d{4}-?\d\d-?\d\d", date):
        moment += timedelta(days=1, microseconds=-1)
    return [one for one in entries if datetime.fromisoformat(one.since) <= moment.astimezone()][:1]


def shown(
    entries: list[Entry],
    environment: str,
    as_json: bool = False,
    tried: Sequence[Experimented] = (),
) -> str:
    """Return the entries and the experiments as text, or as one JSON object."""
    if as_json:
        content = {"environment": environment, "declarations": msgspec.to_builtins(entries)}
        content["experiments"] = msgspec.to_builtins([*tried])
        return json.dumps(content, indent=2, ensure_ascii=False)
    if not entries:
        return f"{environment} declared nothing"
    blocks = [_lines(one) for one in entries] + [_tried(one) for one in tried]
    return "\n\n".join("\n".join(map(_printable, lines)) for lines in blocks)


def _tried(one: Experimented) -> list[str]:
    pair = f"{one.challenger[:12]} against {one.champion[:12]}"
    return [f"{one.at}: experiment of {pair}: {one.verdict}", f"  {one.reason}", f"  {one.path}"]


def _printable(line: str) -> str:
    """Return a line in which nothing that a commit says steers a terminal."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in line)


def _lines(one: Entry) -> list[str]:
    until = _minute(one.until) if one.until else "now"
    what = f"{one.name} {one.bundle_digest[:12]}" if one.bundle_digest else "nothing"
    lines = [f"{_minute(one.since)} to {until}: {what}"]
    if one.trouble:
        lines.append(f"  unreadable: {one.trouble}")
    if one.returned_to:
        lines.append(f"  returned to the declaration of {one.returned_to[:12]}")
    if one.metric:
        champion = one.metric.get("champion")
        against = f", champion {estimate(champion)}" if champion else ", first model"
        lines.append(f"  {one.metric['metric']} {estimate(one.metric['candidate'])}{against}")
    if one.verdict:
        lines.append(f"  verdict {one.verdict[:12]}")
    request = f", pull request #{one.pull_request}" if one.pull_request else ""
    lines.append(f"  commit {one.commit[:12]} by {one.by}{request}: {one.title}")
    if one.promoted_by != one.by:
        lines.append(f"  promoted by {one.promoted_by}")
    if one.approved:
        lines.append(f"  approved by {', '.join(one.approved)}")
    return lines


def _minute(when: str) -> str:
    return f"{datetime.fromisoformat(when).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
