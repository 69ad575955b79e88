"""GitHub Enterprise Server: what the workflows have `gh` do arrives there, and nowhere else.

The `gh` is the real one, where there is one; the server is a stand-in at an address of its own,
by TLS, as gh demands of any but github.com. The rest of the workflows runs against a server other
than github.com in tests/rehearsal.
"""

import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from baked import SOURCE, Project
from rehearsal import workflow
from rehearsal.world import HERE

OWN = sorted((SOURCE / ".github/workflows").glob("*.yml"))
SEEN = {"GITHUB_REPOSITORY": "acme/demo", "GH_REPO": "acme/demo", "GITHUB_SHA": "1" * 40}
REQUIRED = "GH_REQUIRED"  # set where a missing gh is a failure


class Server(NamedTuple):
    """An Enterprise Server: its address, what reached it, and what a client on a runner has."""

    host: str
    requests: list[tuple[str, str, str]]  # method, path, credentials
    environment: dict[str, str]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A Server that agrees to anything. Whoever asks another finds a proxy that answers nothing."""
    lacking = [name for name in ("gh", "openssl") if shutil.which(name) is None]
    if lacking and REQUIRED not in os.environ:
        pytest.skip(f"`apt-get install {' '.join(lacking)}` brings what this asks with")
    assert not lacking, f"{lacking} are not installed, and ${REQUIRED} is set"
    own, requests = tmp_path / "tls", list[tuple[str, str, str]]()
    own.mkdir()
    about = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    kept = ["-keyout", str(own / "key"), "-out", str(own / "certificate"), "-days", "1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *kept, *about]
    subprocess.run(command, check=True, capture_output=True)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            requests.append((self.command, self.path, self.headers.get("Authorization", "")))
            self._answer({"id": 7, "ssh_keys": ["ssh-ed25519 AAAA"], "attestations": [{}]})

        do_POST = do_GET  # noqa: N815 (the library's name)

        def _answer(self, told: Any) -> None:
            body = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own / "certificate", own / "key")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        host = f"localhost:{listening.server_port}"
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        nobody = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")
        here = dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost")
        said = {"GITHUB_SERVER_URL": f"https://{host}", "GITHUB_ACTIONS": "true", **SEEN}
        trust = {"SSL_CERT_FILE": str(own / "certificate"), "GH_CONFIG_DIR": str(own / "none")}
        tokens = dict.fromkeys(("GH_TOKEN", "GH_ENTERPRISE_TOKEN"), "s3cret")
        yield Server(host, requests, {**nobody, **here, **said, **trust, **tokens})
        listening.shutdown()


def scripts(verb: str) -> list[str]:
    """Return the scripts of all workflows that call gh so."""
    return [
        step["run"]
        for path in OWN
        for job in workflow.read(path)["jobs"].values()
        for step in job["steps"]
        if f"gh {verb}" in step.get("run", "")
    ]


def ran(folder: Path, script: str, server: Server, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a runner does."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin/make").write_text("#!/bin/sh\n")
    (folder / "bin/make").chmod(0o755)
    path = f"{folder / 'bin'}:{Path(str(shutil.which('gh'))).parent}:/usr/bin:/bin"
    place = {"PATH": path, "HOME": str(folder), "GITHUB_OUTPUT": str(folder / "output")}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    environment = {**server.environment, **place, **more}
    return subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)


@pytest.mark.parametrize(
    ("verb", "count", "path"),
    [
        ("api", 4, "/api/v3/repos/acme/demo/"),
        ("workflow run", 1, "/api/v3/repos/acme/demo/actions/workflows/"),
    ],
)
def test_what_workflows_ask_reaches_the_server_with_its_token(
    tmp_path: Path, server: Server, verb: str, count: int, path: str
) -> None:
    found = scripts(verb)
    assert len(found) == count
    for script in found:
        told = {"COMMIT": "2" * 40, "BRANCH": "work", "STATE": "success", "DIGEST": "sha256:3"}
        done = ran(tmp_path, script, server, **told)
        assert done.returncode == 0, script + done.stderr
        assert server.requests, script
        assert all(asked.startswith(path) for _, asked, _ in server.requests)
        assert {credentials for _, _, credentials in server.requests} == {"token s3cret"}
        server.requests.clear()
        # Told of no server, it goes to github.com.
        done = ran(tmp_path, script.replace(HERE, ""), server, **told)
        assert "api.github.com" in done.stderr
        assert not server.requests


def test_git_pushes_there_with_that_token(tmp_path: Path, server: Server) -> None:
    found = scripts("auth setup-git")
    assert len(found) > 6
    for script in found:
        (tmp_path / ".gitconfig").unlink(missing_ok=True)
        assert ran(tmp_path, script, server).returncode == 0
        asked = f"printf 'protocol=https\nhost={server.host}\n\n' | git credential fill"
        assert "password=s3cret" in ran(tmp_path, asked, server).stdout


def test_make_asks_the_server_for_its_keys(project: Project, server: Server) -> None:
    """By which the deploy key is used: nobody else's are believed."""
    path = f"{project.environment['PATH']}:{Path(str(shutil.which('gh'))).parent}"
    told = {"ENV_KEY": "-----KEY-----", "PATH": path}
    there = Project(project.path, {**project.environment, **server.environment, **told})
    there.run("git", "init", "--quiet")
    there.run("git", "remote", "add", "origin", f"https://{server.host}/acme/demo")
    there.run("make", "deployer")
    assert server.requests == [("GET", "/api/v3/meta", "token s3cret")]
    known = (project.path / "build/keys/known_hosts").read_text()
    assert known == f"{server.host} ssh-ed25519 AAAA\n"
    where = there.run("git", "remote", "get-url", "--push", "origin").stdout.strip()
    assert where == f"git@{server.host}:acme/demo.git"
