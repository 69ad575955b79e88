"""GitHub by its command line, `gh`: issues and labels, and nothing else."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import ProjectError
from .issues import LABEL, Action, Issue

PAGE = 100
SECONDS = 60.0  # that one request may take
LOCK = "mlops-monitor-writes"  # GitHub makes a label of one name only once: a lock for two runs
HELD = timedelta(minutes=10)  # after which a run that was killed holds it no longer
PATIENCE, PAUSE = 120.0, 0.5
VIEWER = "query={viewer{databaseId}}"


class GitHubError(ProjectError):
    """GitHub's command line is missing, or GitHub does not do what it is asked."""


class AbsentError(GitHubError):
    """GitHub's command line is not installed."""


def author() -> int:
    """Return the number of the account that the token is of, of an app too."""
    return int(_gh("api", "graphql", "-f", VIEWER)["data"]["viewer"]["databaseId"])


def issues() -> list[Issue]:
    """Return all issues that have the label."""
    found: list[Issue] = []
    page = 0
    while len(found) == page * PAGE:
        page += 1
        query = f"labels={LABEL}&state=all&sort=created&direction=asc&per_page={PAGE}&page={page}"
        found += [_issue(one) for one in _gh("api", f"{_repository()}/issues?{query}")]
    return found


def _issue(one: Mapping[str, Any]) -> Issue:
    # What GitHub lists beside issues, pull requests, has no head that counts.
    body = "" if "pull_request" in one else one["body"] or ""
    return Issue(one["number"], one["user"]["id"], one["state"] == "open", body)


def perform(action: Action) -> str:
    """Do what is to be done to one issue; return its address."""
    path = f"{_repository()}/issues"
    if action.number is None:
        content = {"title": action.title, "body": action.body, "labels": [LABEL]}
        return str(_send("POST", path, content)["html_url"])
    path = f"{path}/{action.number}"
    if action.comment is not None:
        _send("POST", f"{path}/comments", {"body": action.comment})
    changes = {"body": action.body, "state": action.state}
    return str(
        _send("PATCH", path, {k: v for k, v in changes.items() if v is not None})["html_url"]
    )


def make_label() -> None:
    """Make the label, unless it is there."""
    about = {"color": "d93f0b", "description": "What `mlops monitor` found, by itself"}
    _made_label(LABEL, about)


@contextmanager
def alone() -> Iterator[None]:
    """Have no other run write issues at the same time."""
    end = time.monotonic() + PATIENCE
    while not _made_label(LOCK, {"color": "ededed", "description": _until()}):
        if _is_stale():
            _release()
        elif time.monotonic() > end:
            raise GitHubError(
                f"another run is writing the monitor's issues: run again when it is done, or "
                f"remove the label {LOCK}"
            )
        else:
            time.sleep(PAUSE)
    try:
        yield
    finally:
        _release()


def _until() -> str:
    return f"until {(datetime.now(UTC) + HELD).isoformat(timespec='seconds')}"


def _is_stale() -> bool:
    try:
        about = _gh("api", f"{_repository()}/labels/{LOCK}")["description"] or ""
        return datetime.fromisoformat(about.removeprefix("until ")) < datetime.now(UTC)
    except (GitHubError, ValueError, TypeError):  # just removed, or written by hand
        return False


def _release() -> None:
    try:
        _gh("api", "--method", "DELETE", f"{_repository()}/labels/{LOCK}")
    except GitHubError as error:
        if "HTTP 404" not in str(error):  # another run took it for a killed one's
            raise


def _made_label(name: str, about: Mapping[str, str]) -> bool:
    """Make a label; say whether there was none."""
    try:
        _send("POST", f"{_repository()}/labels", {"name": name, **about})
    except GitHubError as error:
        if "HTTP 422" in str(error):
            return False
        raise
    return True


def _send(method: str, path: str, content: Mapping[str, Any]) -> Any:
    return _gh("api", "--method", method, path, "--input", "-", content=json.dumps(content))


def _repository() -> str:
    # Where nothing says it, gh fills in that of the folder.
    return f"repos/{os.environ.get('GITHUB_REPOSITORY') or '{owner}/{repo}'}"


def _gh(*arguments: str, content: str | None = None) -> Any:
    try:
        done = subprocess.run(
            ["gh", *arguments],
            input=content,
            stdin=subprocess.DEVNULL if content is None else None,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=SECONDS,
        )
    except FileNotFoundError as error:
        raise AbsentError(
            "`gh` is not installed: install GitHub's command line, or see with `--dry-run` which "
            "issues the report asks for"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise GitHubError(f"GitHub did not answer within {SECONDS:g} s: run again") from error
    if done.returncode:
        said = " ".join(done.stderr.split())[-300:] or f"exit code {done.returncode}"
        raise GitHubError(
            f"GitHub refuses ({said}): issues need a token with the permission `issues: write`, "
            "and a repository that has issues"
        )
    try:
        return json.loads(done.stdout or "null")
    except ValueError as error:
        raise GitHubError("`gh` answered something else than JSON: update it") from error
