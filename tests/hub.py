"""A GitHub that has accounts, issues and labels, over HTTP, and a `gh` that asks it."""

import json
import re
import stat
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

BOT, PERSON = 41898282, 7
GH = """\
#!{python} -ES
import socket, sys
arguments = sys.argv[1:]
assert arguments.pop(0) == "api", arguments
method, body, paths = "GET", None, []
while arguments:
    match arguments.pop(0):
        case "--method": method = arguments.pop(0)
        case "--input": assert arguments.pop(0) == "-"; body = sys.stdin.buffer.read()
        case "-f": method, body = "POST", arguments.pop(0).encode()
        case path: paths.append(path)
[path] = paths
with socket.create_connection(("127.0.0.1", {port}), 60) as connection:
    size = len(body or b"")
    head = f"{{method}} /{{path}} HTTP/1.0\\r\\nContent-Length: {{size}}\\r\\n\\r\\n"
    connection.sendall(head.encode() + (body or b""))
    answer = connection.makefile("rb").read()
head, _, content = answer.partition(b"\\r\\n\\r\\n")
status = int(head.split()[1])
sys.stdout.buffer.write(content)
if status >= 400:
    sys.exit(f"gh: refused (HTTP {{status}})")
"""


class Hub:
    """The state of the platform."""

    def __init__(self, folder: Path) -> None:
        self.issues: list[dict[str, Any]] = []
        self.labels: dict[str, str] = {}
        self.comments: list[tuple[int, str]] = []
        self.requests: list[str] = []
        self.most_open = 0
        self.refuses = ""  # requests that it does not do
        self.page = 100
        self.lock = threading.Lock()
        handler = type("Handler", (Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.bin = folder / "bin"
        self.bin.mkdir()
        program = self.bin / "gh"
        program.write_text(GH.format(python=sys.executable, port=self.server.server_port))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def stop(self) -> None:
        """Stop the server."""
        self.server.shutdown()
        self.server.server_close()

    def open(self, body: str, author: int = BOT, state: str = "open", **more: Any) -> int:
        """Open an issue, as somebody may; return its number."""
        number = len(self.issues) + 1
        about = {"number": number, "user": {"id": author}, "state": state, "body": body}
        where = {"html_url": f"http://hub.invalid/issues/{number}"}
        self.issues.append({"title": "", "labels": ["mlops-monitor"], **about, **where, **more})
        return number

    def states(self) -> list[str]:
        """Return the state of each issue."""
        return [issue["state"] for issue in self.issues]

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: str) -> Any:
        """Return the status and content of one answer."""
        if self.refuses and re.search(self.refuses, f"{method} {path}"):
            return 403, {"message": "Resource not accessible by integration"}
        if path == "/graphql":
            return 200, {"data": {"viewer": {"databaseId": BOT}}}
        content = json.loads(body or "{}")
        path = path.removeprefix("/repos/acme/churn/")
        match method, path.split("/"):
            case "GET", ["issues"]:
                assert query["state"] == ["all"]
                of_label = [i for i in self.issues if query["labels"][0] in i["labels"]]
                size, page = int(query["per_page"][0]), int(query["page"][0])
                return 200, of_label[size * (page - 1) : size * page]
            case "POST", ["issues"]:
                number = self.open(
                    content["body"], title=content["title"], labels=content["labels"]
                )
                return 201, self.issues[number - 1]
            case "PATCH", ["issues", number]:
                self.issues[int(number) - 1].update(content)
                return 200, self.issues[int(number) - 1]
            case "POST", ["issues", number, "comments"]:
                self.comments.append((int(number), content["body"]))
                return 201, {}
            case "POST", ["labels"]:
                if content["name"] in self.labels:
                    return 422, {"message": "already_exists"}
                self.labels[content["name"]] = content["description"]
                return 201, {}
            case "GET", ["labels", name] if name in self.labels:
                return 200, {"description": self.labels[name]}
            case "DELETE", ["labels", name] if name in self.labels:
                del self.labels[name]
                return 204, None
        return 404, {"message": "Not Found"}


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _reply(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        path, _, query = self.path.partition("?")
        with self.hub.lock:
            self.hub.requests.append(f"{self.command} {path}")
            status, content = self.hub.answer(self.command, path, parse_qs(query), body)
        told = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = do_PATCH = do_DELETE = _reply  # noqa: N815
