"""GitHub as far as the workflows use it: repositories over HTTP, tokens, statuses, comments.

Repositories are bare, served by git's own `http-backend`; a token may do what its permissions
say. A request that is not known is answered 404 and remembered: a rehearsal ends with none.
"""

import secrets
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .pulls import REPOSITORY as REPOSITORY
from .pulls import Pull as Pull
from .server import Handler

OWNER, FORK = "acme", "stranger/customer-churn"
# A ruleset protects main; GITHUB_TOKEN may not change workflows. REMOTE_USER: came over HTTP.
UPDATE_HOOK = """#!/bin/sh
test -n "$REMOTE_USER" || exit 0
test "$1" != refs/heads/main || { echo "GH013: Repository rule violations found" >&2; exit 1; }
for commit in $(git rev-list "$3" --not --all); do
  if git diff-tree --no-commit-id --name-only -r "$commit" | grep -q '^\\.github/workflows/'; then
    echo "refusing to allow a GitHub App to create or update workflow" >&2
    exit 1
  fi
done
"""


@dataclass(frozen=True)
class Token:
    """What a job's token may do in which repository."""

    repository: str
    permissions: Mapping[str, str]

    def may(self, scope: str, level: str) -> bool:
        """Say whether the token has a permission."""
        return self.permissions.get(scope) in (
            ("write",) if level == "write" else ("read", "write")
        )


@dataclass
class GitHub:
    """The state of the platform, and the server that holds it."""

    folder: Path
    tokens: dict[str, Token] = field(default_factory=dict)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    dispatches: list[tuple[str, str]] = field(default_factory=list)
    attestations: list[dict[str, str]] = field(default_factory=list)
    pulls: dict[int, Pull] = field(default_factory=dict)
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    automation_opens: bool = True  # a setting: workflows may open pull requests

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        handler = type("Handler", (Handler,), {"github": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        for repository in (REPOSITORY, FORK):
            bare = self.bare(repository)
            if bare.exists():
                continue
            git(self.folder, "init", "--quiet", "--bare", "--initial-branch", "main", str(bare))
            # GitHub serves any commit that a reference of the repository reaches.
            git(bare, "config", "uploadpack.allowAnySHA1InWant", "true")
            hook = bare / "hooks/update"
            hook.parent.mkdir(exist_ok=True)
            hook.write_text(UPDATE_HOOK)
            hook.chmod(0o755)

    @property
    def url(self) -> str:
        """The address of the server, without a slash at its end."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        """Stop the server."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def bare(self, repository: str = REPOSITORY) -> Path:
        """Return where a repository is."""
        return self.folder / f"{repository}.git"

    @property
    def next_number(self) -> int:
        """The number of what is opened next: pull requests and issues have theirs in one row."""
        return len(self.pulls) + len(self.issues) + 1

    def tip(self, branch: str, repository: str = REPOSITORY) -> str:
        """Return the commit of a branch."""
        return git(self.bare(repository), "rev-parse", f"refs/heads/{branch}").strip()

    def tips(self) -> dict[str, str]:
        """Return the commit of every branch."""
        layout = "--format=%(refname:lstrip=2) %(objectname)"
        told = git(self.bare(), "for-each-ref", layout, "refs/heads").splitlines()
        return dict(line.rsplit(" ", 1) for line in told)

    def issue_token(self, repository: str, permissions: Mapping[str, str]) -> str:
        """Return a new token."""
        token = f"ghs_{secrets.token_hex(18)}"
        self.tokens[token] = Token(repository, dict(permissions))
        return token

    def status(self, commit: str) -> dict[str, str]:
        """Return the last state of each context on a commit."""
        return {one["context"]: one["state"] for one in self.statuses if one["sha"] == commit}

    def comment(self, token: str, number: int, marker: str, body: str) -> str:
        """Write the one comment that has this marker, as the sticky-comment action does."""
        if not self.tokens[token].may("pull-requests", "write"):
            return "Resource not accessible by integration"
        said = f"{body}\n{marker}"
        for comment in self.comments.values():
            if comment["issue"] == number and marker in comment["body"]:
                comment["body"] = said
                comment["edits"] += 1
                return ""
        self.comments[len(self.comments) + 1] = {"issue": number, "body": said, "edits": 0}
        return ""


def git(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run git in a folder and return what it prints."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, text=True, capture_output=True
    )
    assert done.returncode == 0, f"git {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout
