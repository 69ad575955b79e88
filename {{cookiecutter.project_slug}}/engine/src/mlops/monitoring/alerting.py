"""Alerts brought to people: an issue for each, and a message of what is new or gone."""

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..errors import ProjectError
from . import github, phrases, webhook
from .issues import Action, Issue, left_out, plan
from .phrases import Content

NEW, GONE = ("open", "reopen"), ("close",)
SHOWN = 20  # lines of a message


class Done(NamedTuple):
    """What was done to an issue."""

    action: Action
    address: str

    def __str__(self) -> str:
        return f"{self.action.verb} {self.action.subject}: {self.address}"


def link() -> str:
    """Return the address of the run that this is a part of, where automation names one."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (os.environ.get(name, "") for name in names)
    address = f"{server}/{repository}/actions/runs/{run}"
    return address if re.fullmatch(r"https?://[\w.:/-]+/actions/runs/\d+", address) else ""


def planned(report: Content) -> list[str]:
    """Return what `bring` would do, and do nothing."""
    try:
        author, issues = github.author(), github.issues()
    except github.AbsentError:
        return _asked(report)
    actions = plan(report, issues, author, link())
    lines = [f"would {action.verb} {action.subject}" for action in actions]
    return [*lines, *_left_out(report, actions, issues, author)]


def _asked(report: Content) -> list[str]:
    """Return the issues that a report asks for, by itself."""
    actions = plan(report, [], 0, link())
    lines = [f"the report asks for an issue: {action.title}" for action in actions]
    lines += _left_out(report, actions, [], 0)
    lines = lines or ["the report asks for no issue"]
    return [*lines, "which issues are there already is not known without `gh`: install it"]


def bring(report: Content) -> Iterator[str]:
    """Have the issues say what the report does, then tell the webhook; yield what was done.

    The webhook is told of what was done even where a later issue failed.
    """
    address = os.environ.get(webhook.VARIABLE, "")
    if address:
        webhook.check(address)
    done: list[Done] = []
    failed: ProjectError | None = None
    try:
        yield from _settle(report, done)
    except ProjectError as error:
        failed = error
    if address and (message := told(report, done)):
        try:
            webhook.post(address, message)
        except ProjectError as error:
            failed = error if failed is None else type(failed)(f"{failed}; and {error}")
    if failed is not None:
        raise failed


def _settle(report: Content, done: list[Done]) -> Iterator[str]:
    author = github.author()
    github.make_label()
    with github.alone():
        issues = github.issues()
        actions = plan(report, issues, author, link())
        for action in actions:
            done.append(Done(action, github.perform(action)))
            yield str(done[-1])
    yield from _left_out(report, actions, issues, author)


def _left_out(
    report: Content, actions: Sequence[Action], issues: Sequence[Issue], author: int
) -> list[str]:
    rest = left_out(report, actions, issues, author)
    if not rest:
        return []
    return [f"{rest} more alerts get no issue in this run: so many at once have one cause"]


def told(report: Content, done: Sequence[Done]) -> dict[str, Any] | None:
    """Return the message of what is new or gone; None where nothing is."""
    new = [one for one in done if one.action.verb in NEW]
    gone = [one for one in done if one.action.verb in GONE]
    if not new and not gone:
        return None
    shown = [f"- new: {webhook.plain(one.action.subject)} {one.address}" for one in new]
    shown += [f"- gone: {webhook.plain(one.action.subject)} {one.address}" for one in gone]
    more = [f"- and {len(shown) - SHOWN} more"] if len(shown) > SHOWN else []
    head = f"{webhook.plain(report['name'])}: {report['verdict']} ({report['at']})"
    return {
        "text": "\n".join([head, *shown[:SHOWN], *more, *filter(None, [link()])]),
        "verdict": report["verdict"],
        "name": report["name"],
        "alerts": [phrases.found(one) for one in report["alerts"]],
        "notes": [phrases.found(one) for one in report["notes"]],
        "new": [one.action.subject for one in new],
        "gone": [one.action.subject for one in gone],
        "link": link(),
    }
