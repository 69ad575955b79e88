"""Stand-ins for the actions that the workflows pin: each known by its commit and its inputs."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .call import Answer, Call
from .github import REPOSITORY
from .keeping import cache, download, upload
from .workflow import WorkflowError


@dataclass(frozen=True)
class Action:
    """A stand-in, the commit it stands in for, and the inputs that it knows."""

    commit: str
    inputs: frozenset[str]
    run: Callable[[Call], Answer]


def find(uses: str) -> Callable[[Call], Answer]:
    """Return the stand-in for `owner/name@commit`."""
    name, _, commit = uses.partition("@")
    action = ACTIONS.get(name)
    if action is None:
        raise WorkflowError(f"the action {name} has no stand-in")
    if commit != action.commit:
        raise WorkflowError(f"{name} is pinned to {commit}: not the commit that is known here")

    def run(call: Call) -> Answer:
        if unknown := set(call.given) - action.inputs:
            raise WorkflowError(f"{name}: the inputs {sorted(unknown)} are not known here")
        return action.run(call)

    return run


def _checkout(call: Call) -> Answer:
    """Fetch one commit, or everything, over HTTP with the job's token."""
    github, event = call.contexts["github"], call.job.of.event
    repository = call.given.get("repository", github["repository"])
    url = f"{github['server_url']}/{repository}"
    given = call.given.get("ref", "")
    branch = event.ref.removeprefix("refs/heads/") if not given else ""
    if given.startswith("refs/heads/"):
        branch, given = given.removeprefix("refs/heads/"), ""
        commit = call.job.runner.github.tip(branch)
    else:
        commit = given or event.sha
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise WorkflowError(f"actions/checkout: the ref {given!r} is no commit: not known here")
    plain = base64.b64encode(f"x-access-token:{call.token}".encode()).decode()
    header = [f"http.{github['server_url']}/.extraheader", f"AUTHORIZATION: basic {plain}"]
    whole = call.given.get("fetch-depth") == "0"
    wanted = ["+refs/heads/*:refs/remotes/origin/*", "--tags"] if whole else ["--depth=1"]
    place = ["--detach"] if given or branch.startswith("refs/") else ["-B", branch]
    commands = [
        ["git", "init", "--quiet", "--initial-branch", "main", "."],
        ["git", "remote", "add", "origin", url],
        ["git", "config", "--local", *header],
        ["git", "fetch", "--quiet", "--no-recurse-submodules", "origin", *wanted, commit],
        ["git", "checkout", "--quiet", "--force", *place, commit],
    ]
    if call.given.get("persist-credentials") != "true":
        commands.append(["git", "config", "--local", "--unset-all", header[0]])
    said = ""
    for at, command in enumerate(commands):
        code, output, _ = call.execute(f"checkout-{at}", *command)
        said += output
        if code:
            return code, said, {}
    return 0, said, {"commit": commit, "ref": given or event.ref}


def _python(call: Call) -> Answer:
    """Put a Python on PATH, and the environment that `make setup` would install."""
    machine = call.job.runner.machine
    call.job.shell.path = [str(machine.toolcache()), *call.job.shell.path]
    workspace = call.job.shell.workspace
    for place in (workspace, *workspace.glob("models/*")):
        if (place / "requirements").is_dir():
            machine.install(place)
    return 0, "", {}


def _sticky(call: Call) -> Answer:
    """Write the pull request's one comment of this kind."""
    job = call.job
    body = call.given.get("message", "")
    if file := call.given.get("path"):
        try:
            body = (job.shell.workspace / file).read_text(encoding="utf-8")
        except FileNotFoundError:
            return 1, f"ENOENT: no such file or directory, open '{file}'", {}
    marker = f"<!-- Sticky Pull Request Comment{call.given.get('header', '')} -->"
    if len(body) + len(marker) > 65536:
        return 1, "Body is too long (maximum is 65536 characters)", {}
    number = int(job.of.event.payload["pull_request"]["number"])
    token = call.given.get("GITHUB_TOKEN", call.token)
    wrong = job.runner.github.comment(token, number, marker, body)
    return int(bool(wrong)), wrong, {}


def _attest(call: Call) -> Answer:
    """Record what would be signed; needs an identity and the right to store it."""
    github = call.job.runner.github
    token = github.tokens[call.contexts["github"]["token"]]
    if not (token.may("id-token", "write") and token.may("attestations", "write")):
        return 1, "Failed to get ID token: the job needs id-token and attestations: write", {}
    given = {name: value for name, value in call.given.items() if name != "subject-path"}
    if path := call.given.get("subject-path"):
        if "subject-digest" in given:
            return 1, "Only one of subject-path and subject-digest may be provided", {}
        files = [one for one in call.job.shell.workspace.glob(path) if one.is_file()]
        digests = [f"sha256:{hashlib.sha256(one.read_bytes()).hexdigest()}" for one in files]
        if not files:
            return 1, f"Could not find subject at path {path}", {}
    else:
        digests = [given.get("subject-digest", "")]
    if not all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in digests):
        return 1, "subject-digest must be a sha256 digest", {}
    told = {**given, "repository": REPOSITORY, "signer": call.job.of.signer}
    github.attestations += [{**told, "subject-digest": digest} for digest in digests]
    return 0, "", {}


def _login(call: Call) -> Answer:
    """Log in to a registry: what the engine would keep is not needed here."""
    if not all(call.given.get(name) for name in ("registry", "username", "password")):
        return 1, "Username and password required", {}
    return 0, "Login Succeeded!", {}


def _nothing(_: Call) -> Answer:
    return 0, "", {}


def _action(run: Callable[[Call], Answer], commit: str, inputs: str) -> Action:
    return Action(commit, frozenset(inputs.split()), run)


ACTIONS: Mapping[str, Action] = {
    "actions/checkout": _action(
        _checkout,
        "3d3c42e5aac5ba805825da76410c181273ba90b1",
        "repository ref fetch-depth persist-credentials token",
    ),
    "actions/setup-python": _action(
        _python, "5fda3b95a4ea91299a34e894583c3862153e4b97", "python-version"
    ),
    "actions/cache": _action(
        cache, "27d5ce7f107fe9357f9df03efb73ab90386fccae", "path key restore-keys"
    ),
    "actions/upload-artifact": _action(
        upload,
        "043fb46d1a93c77aae656e7c1c64a875d1fc6a0a",
        "name path if-no-files-found retention-days include-hidden-files",
    ),
    "actions/download-artifact": _action(
        download, "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c", "name path"
    ),
    "marocchino/sticky-pull-request-comment": _action(
        _sticky, "5770ad5eb8f42dd2c4f34da00c94c5381e49af88", "header path message GITHUB_TOKEN"
    ),
    "actions/attest": _action(
        _attest,
        "1e69f48acb82d1966a394da916b4c1698aa569d6",
        "subject-path subject-name subject-digest sbom-path push-to-registry",
    ),
    "docker/login-action": _action(
        _login, "dbcb813823bdd20940b903addbd779551569679f", "registry username password"
    ),
    "docker/setup-buildx-action": _action(_nothing, "37fe631027851001ddb9b187196cc803df7f5f0e", ""),
}
