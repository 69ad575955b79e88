"""The server of a rehearsed GitHub: git over HTTP, and the part of the API that is used."""

import base64
import gzip
import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from . import issues
from .pulls import AUTOMATION, REPOSITORY, Pull

if TYPE_CHECKING:
    from .github import GitHub, Token


UNKNOWN = 401, {"message": "Bad credentials"}


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    github: "GitHub"
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self._body()
        path, _, query = self.path.partition("?")
        if re.fullmatch(r"/[\w.-]+/[\w.-]+/(info/refs|git-(upload|receive)-pack)", path):
            self._git(path, query, body)
            return
        content = dict(parse_qsl(query)) if self.command == "GET" else json.loads(body or b"{}")
        if (self.command, path) == ("POST", "/graphql"):
            known = self._token(self._bearer()) is not None
            self._reply(*(issues.viewer(self.github, content) if known else UNKNOWN))
            return
        for method, pattern, scope, answer in ENDPOINTS:
            found = re.fullmatch(pattern, path)
            if found and method == self.command:
                self._api(found, scope, answer, content)
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
        token = self._token(self._bearer())
        if token is None:
            self._reply(*UNKNOWN)
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

    def _bearer(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _token(self, said: str) -> "Token | None":
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


def _set_status(github: "GitHub", found: re.Match[str], content: dict[str, Any]) -> tuple[int, Any]:
    known = {"state", "context", "description", "target_url"}
    states = ("error", "failure", "pending", "success")
    if set(content) - known or content.get("state") not in states:
        return 422, {"message": "Validation Failed"}
    if len(content.get("description", "")) > 140:
        return 422, {"message": "description is too long (maximum is 140 characters)"}
    github.statuses.append({"sha": found["sha"], "context": "default", **content})
    return 201, github.statuses[-1]


def _dispatch(github: "GitHub", found: re.Match[str], content: dict[str, Any]) -> tuple[int, Any]:
    if set(content) != {"ref"}:
        return 422, {"message": "Validation Failed"}
    github.dispatches.append((found["file"], content["ref"]))
    return 204, b""


def _attested(github: "GitHub", found: re.Match[str], _: dict[str, Any]) -> tuple[int, Any]:
    made = [one for one in github.attestations if one["subject-digest"] == found["digest"]]
    return (200, {"attestations": made}) if made else (404, {"message": "Not Found"})


def _pulls(github: "GitHub", found: re.Match[str], _: dict[str, Any]) -> tuple[int, Any]:
    return 200, [_pull(github, one) for one in github.pulls.values()]


def _pull(github: "GitHub", one: "Pull") -> dict[str, Any]:
    crossed = one.repository != REPOSITORY
    tips = {} if crossed else github.tips()
    return {
        "number": one.number,
        "url": f"{github.url}/{REPOSITORY}/pull/{one.number}",
        "state": one.state,
        "isCrossRepository": crossed,
        "author": {"login": "app/github-actions" if one.author == AUTOMATION else one.author},
        "headRefName": one.branch,
        "headRefOid": tips.get(one.branch, one.head),
    }


def _open(github: "GitHub", found: re.Match[str], content: dict[str, Any]) -> tuple[int, Any]:
    if not github.automation_opens:
        said = "GitHub Actions is not permitted to create or approve pull requests"
        return 403, {"message": said}
    head, number = content["head"], github.next_number
    if head not in github.tips() or content["base"] != "main" or len(content["body"]) > 65536:
        return 422, {"message": "Validation Failed"}
    if any(one.branch == head and one.state == "OPEN" for one in github.pulls.values()):
        return 422, {"message": f"A pull request already exists for {head}."}
    text = {"title": content["title"], "body": content["body"]}
    made = Pull(number, REPOSITORY, head, github.tip(head), AUTOMATION, **text)
    github.pulls[number] = made
    return 201, _pull(github, made)


def _change(github: "GitHub", found: re.Match[str], content: dict[str, Any]) -> tuple[int, Any]:
    one = github.pulls.get(int(found["number"]))
    if one is None or (content != {"state": "closed"} and set(content) != {"title", "body"}):
        return 422, {"message": "Validation Failed"}
    if "state" in content:
        one.state = "CLOSED"
    else:
        one.title, one.body = content["title"], content["body"]
    return 200, _pull(github, one)


def _comment(github: "GitHub", found: re.Match[str], content: dict[str, Any]) -> tuple[int, Any]:
    """Write the last comment of automation on an issue or pull request anew, or a first one."""
    number = int(found["number"])
    last = [one for one in github.comments.values() if one["issue"] == number]
    if last and content.get("edit_last"):
        last[-1] |= {"body": content["body"], "edits": last[-1]["edits"] + 1}
    else:
        made = {"issue": number, "body": content["body"], "edits": 0}
        github.comments[len(github.comments) + 1] = made
    return 201, {}


REPO = r"/repos/(?P<repository>[\w.-]+/[\w.-]+)"
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
    ("GET", rf"{REPO}/pulls", ("pull-requests", "read"), _pulls),
    ("POST", rf"{REPO}/pulls", ("pull-requests", "write"), _open),
    ("PATCH", rf"{REPO}/pulls/(?P<number>\d+)", ("pull-requests", "write"), _change),
    ("POST", rf"{REPO}/pulls/(?P<number>\d+)/comments", ("pull-requests", "write"), _comment),
    ("GET", rf"{REPO}/issues", ("issues", "read"), issues.listed),
    ("POST", rf"{REPO}/issues", ("issues", "write"), issues.opened),
    ("PATCH", rf"{REPO}/issues/(?P<number>\d+)", ("issues", "write"), issues.changed),
    ("POST", rf"{REPO}/labels", ("issues", "write"), issues.labelled),
    ("DELETE", rf"{REPO}/labels/(?P<name>[\w.-]+)", ("issues", "write"), issues.unlabelled),
    ("POST", rf"{REPO}/issues/(?P<number>\d+)/comments", ("issues", "write"), _comment),
)
