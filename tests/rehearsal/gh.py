"""The part of GitHub's `gh` command that the workflows use; anything else fails.

A program of its own: it runs where a workflow calls `gh`. GitHub stands at an address of its own
here, as an Enterprise Server does: gh goes to github.com where GH_HOST names no other, and reads
the token of a Server from GH_ENTERPRISE_TOKEN. GH_TOKEN, of github.com, has to be there as well.
"""

import hashlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> None:
    """Run one command."""
    if not os.environ.get("GH_TOKEN"):
        sys.exit("gh: To use GitHub CLI in a GitHub Actions workflow, set GH_TOKEN")
    if arguments[:2] != ["auth", "git-credential"]:
        find_server()
    match arguments:
        case ["auth", "setup-git"]:
            helper = "!gh auth git-credential"
            name = f"credential.{os.environ['GITHUB_SERVER_URL']}.helper"
            subprocess.run(["git", "config", "--global", name, helper], check=True)
        case ["auth", "git-credential", "get"]:
            print(f"username=x-access-token\npassword={token()}")
        case ["auth", "git-credential", "store" | "erase"]:
            pass
        case ["api", "--silent", "--method", "POST", path, *fields]:
            call(path, dict(_fields(fields)))
        case ["api", "graphql", "-f", query] if query.startswith("query="):
            print(json.dumps(call("graphql", {"query": query.removeprefix("query=")})))
        case ["api", "--method", method, path, "--input", "-"]:
            print(json.dumps(call(path, json.load(sys.stdin), method)))
        case ["api", "--method", "DELETE", path]:
            call(path, method="DELETE")
        case ["api", path]:
            print(json.dumps(call(path)))
        case ["api", path, "--jq", ".attestations | length > 0"]:
            print("true" if call(path)["attestations"] else "false")
        case ["attestation", "verify", file, "--repo", repository, "--signer-workflow", signer]:
            verify(Path(file), repository, signer)
        case ["workflow", "run", file, "--ref", ref]:
            repository = os.environ["GH_REPO"]
            call(f"repos/{repository}/actions/workflows/{file}/dispatches", {"ref": ref})
        case ["pr", verb, *given]:
            COMMANDS.get(verb, unknown)(given)
        case _:
            sys.exit(f"gh: not known in the rehearsal: {' '.join(arguments)}")


def find_server() -> None:
    """Fail as gh does where nothing tells it of this server."""
    host = os.environ.get("GH_HOST") or "github.com"
    if host != os.environ["GITHUB_SERVER_URL"].partition("://")[2]:
        sys.exit(f"error connecting to {host}")


def token() -> str:
    """Return the token for this server; without one gh asks as a stranger, who may nothing."""
    return os.environ.get("GH_ENTERPRISE_TOKEN") or "none"


def verify(file: Path, repository: str, signer: str) -> None:
    """Fail unless a run of that workflow attested exactly this file."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    made = call(f"repos/{repository}/attestations/sha256:{digest}")["attestations"]
    if signer not in [one["signer"] for one in made]:
        sys.exit(f"gh: no attestation of {file} is by {signer}")
    print(f"{file} was attested by {signer}")


def listed(given: list[str]) -> None:
    """Print the pull requests that there are, as JSON."""
    _, told = _options(given, {"--head", "--state", "--limit", "--json"})
    wanted = told.get("--state", "open").upper()
    known = [
        one
        for one in call(_path())
        if wanted in ("ALL", one["state"])
        and told.get("--head", one["headRefName"]) == one["headRefName"]
    ]
    named = told["--json"].split(",")
    print(json.dumps([{name: one[name] for name in named} for one in known]))


def created(given: list[str]) -> None:
    """Open one, and print its address."""
    _, told = _options(given, {"--base", "--head", "--title", "--body-file"})
    content = {"base": told["--base"], "head": told["--head"], "title": told["--title"]}
    print(call(_path(), {**content, "body": _body(told)})["url"])


def edited(given: list[str]) -> None:
    """Write title and text of one anew."""
    (number,), told = _options(given, {"--title", "--body-file"})
    call(_path(number), {"title": told["--title"], "body": _body(told)}, "PATCH")


def closed(given: list[str]) -> None:
    """Close one."""
    (number,), _ = _options(given, set())
    call(_path(number), {"state": "closed"}, "PATCH")


def commented(given: list[str]) -> None:
    """Write a comment, or the last one of this account anew."""
    anew = "--edit-last" in given
    if anew != ("--create-if-none" in given):
        unknown(given)
    plain = [one for one in given if one not in ("--edit-last", "--create-if-none")]
    (number,), told = _options(plain, {"--body-file"})
    call(f"{_path(number)}/comments", {"body": _body(told), "edit_last": anew})


def unknown(given: list[str]) -> None:
    """Fail: nothing here does that."""
    sys.exit(f"gh: not known in the rehearsal: pr {' '.join(given)}")


def _path(number: str = "") -> str:
    own = f"/{number}" if number else ""
    return f"repos/{os.environ['GH_REPO']}/pulls{own}"


def _body(told: dict[str, str]) -> str:
    return Path(told["--body-file"]).read_text(encoding="utf-8")


def _options(given: list[str], known: set[str]) -> tuple[list[str], dict[str, str]]:
    """Separate what stands alone from options that have a value."""
    alone: list[str] = []
    told: dict[str, str] = {}
    rest = iter(given)
    for one in rest:
        if one.startswith("--") and one not in known:
            sys.exit(f"gh: not known in the rehearsal: {one}")
        if one.startswith("--"):
            told[one] = next(rest)
        else:
            alone.append(one)
    return alone, told


COMMANDS = {
    "list": listed,
    "create": created,
    "edit": edited,
    "close": closed,
    "comment": commented,
}


def _fields(arguments: list[str]) -> list[tuple[str, str]]:
    """Read `-f key=value …`."""
    flags, pairs = arguments[::2], [pair.partition("=") for pair in arguments[1::2]]
    if set(flags) - {"-f"} or len(flags) != len(pairs) or not all(pair[1] for pair in pairs):
        sys.exit(f"gh: not known in the rehearsal: {' '.join(arguments)}")
    return [(name, value) for name, _, value in pairs]


def call(path: str, content: dict[str, Any] | None = None, method: str | None = None) -> Any:
    """Send a request and return what it answers, or fail as `gh` does."""
    request = urllib.request.Request(
        f"{os.environ['GITHUB_API_URL']}/{path.lstrip('/')}",
        None if content is None else json.dumps(content).encode(),
        {"Authorization": f"Bearer {token()}"},
        method=method,
    )
    # No proxy of this machine stands between.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        return json.loads(opener.open(request).read() or b"{}")
    except urllib.error.HTTPError as error:
        sys.exit(f"gh: {json.loads(error.read())['message']} (HTTP {error.code})")


if __name__ == "__main__":
    main(sys.argv[1:])
