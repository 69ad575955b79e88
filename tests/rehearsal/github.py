"""GitHub as far as the workflows use it: repositories over HTTP, tokens, statuses, comments.

Repositories are bare, served by git's own `http-backend`; a token may do what its permissions
say. A request that is not known is answered 404 and remembered: a rehearsal ends with none.
"""

import base64
import gzip
import json
import os
import re
import secrets
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

REPOSITORY = "acme/customer-churn"
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
class Pull:
    """A pull request; its base is main."""

    number: int
    repository: str
    branch: str
    head: str


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
    unknown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        handler = type("Handler", (_Handler,), {"github": self})
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

    def tip(self, branch: str, repository: str = REPOSITORY) -> str:
        """Return the commit of a branch."""
        return git(self.bare(repository), "rev-parse", f"refs/heads/{branch}").strip()

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


class _Handler(BaseHTTPRequestHandler):
    github: GitHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self._body()
        path, _, query = self.path.partition("?")
        if re.fullmatch(r"/[\w.-]+/[\w.-]+/(info/refs|git-(upload|receive)-pack)", path):
            self._git(path, query, body)
            return
        for method, pattern, scope, answer in ENDPOINTS:
            found = re.fullmatch(pattern, path)
            if found and method == self.command:
                self._api(found, scope, answer, json.loads(body or b"{}"))
                return
        self.github.unknown.append(f"{self.command} {self.path}")
        self._reply(404, {"message": "Not Found"})

    def _api(
        self,
        found: re.Match[str],
        scope: tuple[str, str],
        answer: Callable[..., tuple[int, Any]],
        content: dict[str, Any],
    ) -> None:
        token = self._token(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if token is None:
            self._reply(401, {"message": "Bad credentials"})
        elif token.repository != found["repository"] or not token.may(*scope):
            self._reply(403, {"message": "Resource not accessible by integration"})
        else:
            self._reply(*answer(self.github, found, content))

    def _git(self, path: str, query: str, body: bytes) -> None:
        repository = "/".join(path.split("/")[1:3]).removesuffix(".git")
        scheme, _, said = self.headers.get("Authorization", "").partition(" ")
        plain = base64.b64decode(said).decode() if scheme.lower() == "basic" else ""
        token = self._token(plain.partition(":")[2])
        writes = "git-receive-pack" in path + query
        if token is None:
            self._reply(401, {}, {"WWW-Authenticate": 'Basic realm="GitHub"'})
            return
        if token.repository != repository or not token.may("contents", ("read", "write")[writes]):
            self._reply(403, {"message": f"Permission to {repository}.git denied"})
            return
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.github.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PATH_INFO": path.replace(f"/{repository}/", f"/{repository}.git/"),
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "github-actions",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self._reply(int(headers.pop("Status", "200")[:3]), content, headers)

    def _token(self, said: str) -> Token | None:
        return self.github.tokens.get(said)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _reply(self, code: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _set_status(github: GitHub, found: re.Match[str], content: dict[str, Any]) -> tuple[int, Any]:
    known = {"state", "context", "description", "target_url"}
    states = ("error", "failure", "pending", "success")
    if set(content) - known or content.get("state") not in states:
        return 422, {"message": "Validation Failed"}
    if len(content.get("description", "")) > 140:
        return 422, {"message": "description is too long (maximum is 140 characters)"}
    github.statuses.append({"sha": found["sha"], "context": "default", **content})
    return 201, github.statuses[-1]


def _dispatch(github: GitHub, found: re.Match[str], content: dict[str, Any]) -> tuple[int, Any]:
    if set(content) != {"ref"}:
        return 422, {"message": "Validation Failed"}
    github.dispatches.append((found["file"], content["ref"]))
    return 204, b""


def _attested(github: GitHub, found: re.Match[str], _: dict[str, Any]) -> tuple[int, Any]:
    made = [one for one in github.attestations if one["subject-digest"] == found["digest"]]
    return (200, {"attestations": made}) if made else (404, {"message": "Not Found"})


ENDPOINTS: tuple[tuple[str, str, tuple[str, str], Callable[..., tuple[int, Any]]], ...] = (
    (
        "POST",
        r"/repos/(?P<repository>[\w.-]+/[\w.-]+)/statuses/(?P<sha>[0-9a-f]{40})",
        ("statuses", "write"),
        _set_status,
    ),
    (
        "POST",
        r"/repos/(?P<repository>[\w.-]+/[\w.-]+)/actions/workflows/(?P<file>[\w.-]+)/dispatches",
        ("actions", "write"),
        _dispatch,
    ),
    (
        "GET",
        r"/repos/(?P<repository>[\w.-]+/[\w.-]+)/attestations/(?P<digest>sha256:[0-9a-f]{64})",
        ("attestations", "read"),
        _attested,
    ),
)
