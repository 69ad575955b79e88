"""Issues, their labels and who asks, as GitHub's API tells them."""

import re
from typing import TYPE_CHECKING, Any

from .pulls import REPOSITORY

if TYPE_CHECKING:
    from .github import GitHub

BOT = 41898282  # the account of github-actions[bot]
INVALID = 422, {"message": "Validation Failed"}
MISSING = 404, {"message": "Not Found"}


def viewer(github: "GitHub", content: dict[str, Any]) -> tuple[int, Any]:
    """Say which account a token is of; nothing else is asked of GraphQL."""
    if content != {"query": "{viewer{databaseId}}"}:
        return 200, {"errors": [{"message": "not known in the rehearsal"}]}
    return 200, {"data": {"viewer": {"databaseId": BOT}}}


def listed(github: "GitHub", found: re.Match[str], asked: dict[str, Any]) -> tuple[int, Any]:
    """Return a page of the issues with a label, in the order in which they were opened."""
    label, state = asked["labels"], asked.get("state", "open")
    size, page = int(asked["per_page"]), int(asked["page"])
    known = [
        one
        for one in github.issues.values()
        if label in one["labels"] and state in ("all", one["state"])
    ]
    return 200, known[size * (page - 1) : size * page]


def opened(github: "GitHub", found: re.Match[str], content: dict[str, Any]) -> tuple[int, Any]:
    """Open an issue."""
    if set(content) != {"title", "body", "labels"} or len(content["body"]) > 65536:
        return INVALID
    number = github.next_number
    where = {"html_url": f"{github.url}/{REPOSITORY}/issues/{number}"}
    github.issues[number] = {"number": number, "user": {"id": BOT}, "state": "open"}
    github.issues[number] |= {**where, **content}
    return 201, github.issues[number]


def changed(github: "GitHub", found: re.Match[str], content: dict[str, Any]) -> tuple[int, Any]:
    """Change the text or state of an issue."""
    known = github.issues.get(int(found["number"]))
    if known is None:
        return MISSING
    if set(content) - {"title", "body", "state"}:
        return INVALID
    if content.get("state", "open") not in ("open", "closed"):
        return INVALID
    known.update(content)
    return 200, known


def labelled(github: "GitHub", found: re.Match[str], content: dict[str, Any]) -> tuple[int, Any]:
    """Make a label, unless there is one of that name."""
    if content["name"] in github.labels:
        return INVALID
    github.labels[content["name"]] = content["description"]
    return 201, content


def unlabelled(github: "GitHub", found: re.Match[str], _: dict[str, Any]) -> tuple[int, Any]:
    """Remove a label."""
    return MISSING if github.labels.pop(found["name"], None) is None else (204, b"")
