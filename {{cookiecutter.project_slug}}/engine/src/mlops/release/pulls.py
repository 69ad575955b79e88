"""Pull requests on GitHub, by its `gh` command. Runs with Python alone."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from ..errors import ProjectError

AUTOMATION = "app/github-actions"  # as gh calls whoever has a workflow's token
FIELDS = "number,url,state,isCrossRepository,author,headRefOid,headRefName"
MOST = 60_000  # signs of a body: GitHub refuses 65,536


class PullsError(ProjectError):
    """`gh` did not do what it was asked."""


class Pull(NamedTuple):
    """A pull request from a branch of this repository."""

    number: int
    url: str
    state: str  # OPEN, CLOSED or MERGED
    author: str
    commit: str


def usable() -> bool:
    """Say whether there is `gh`, and somebody it is logged in as for this repository.

    In automation there has to be.
    """
    if shutil.which("gh") is None:
        return False
    try:
        _gh("pr", "list", "--state", "open", "--limit", "1", "--json", "number")
    except PullsError:
        if "GITHUB_ACTIONS" in os.environ:
            raise
        return False
    return True


def of(branch: str) -> list[Pull]:
    """Return the pull requests from a branch of this repository, in any state; none from forks."""
    told = _gh("pr", "list", "--head", branch, "--state", "all", "--limit", "50", "--json", FIELDS)
    try:
        return [
            Pull(one["number"], one["url"], one["state"], one["author"]["login"], one["headRefOid"])
            for one in json.loads(told)
            if one["headRefName"] == branch and not one["isCrossRepository"]
        ]
    except (ValueError, LookupError, TypeError) as error:
        raise PullsError(f"`gh pr list` gave something unknown ({error}): update gh") from error


def create(branch: str, title: str, body: str) -> str:
    """Open a pull request into main and return its address."""
    told = ("--base", "main", "--head", branch, "--title", title)
    return _with_body(body, "pr", "create", *told)


def edit(number: int, title: str, body: str) -> None:
    """Write title and text of a pull request anew."""
    _with_body(body, "pr", "edit", str(number), "--title", title)


def comment(number: int, body: str) -> None:
    """Write this account's one comment on a pull request, or write it anew."""
    _with_body(body, "pr", "comment", str(number), "--edit-last", "--create-if-none")


def close(number: int) -> None:
    """Close a pull request."""
    _gh("pr", "close", str(number))


def start(workflow: str, branch: str) -> None:
    """Start a workflow on a branch: what automation pushes starts none."""
    _gh("workflow", "run", workflow, "--ref", branch)


def _with_body(body: str, *arguments: str) -> str:
    body = body if len(body) <= MOST else f"{body[:MOST]}\n\n…"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "body.md")
        file.write_text(body, encoding="utf-8")
        return _gh(*arguments, "--body-file", str(file))


def _gh(*arguments: str) -> str:
    shown = " ".join(("gh", *arguments[:2]))
    try:
        done = subprocess.run(["gh", *arguments], capture_output=True)
    except OSError as error:
        raise PullsError(f"`{shown}` cannot be started ({error}): install gh again") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise PullsError(f"`{shown}` failed ({said[-1]}): mend that and try again")
    return done.stdout.decode(errors="replace").strip()
