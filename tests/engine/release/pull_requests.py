"""The part of `gh` that a refresh uses, over a bare repository: a program of its own.

State is the file $PULLS; where $FAILS names what is asked for, it fails once, before or after.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def main(asked: list[str]) -> None:
    place = Path(os.environ["PULLS"])
    state: dict[str, Any] = json.loads(place.read_text())
    verb, given = " ".join(asked[:2]), dict(zip(asked, [*asked[1:], ""], strict=True))
    state["calls"].append(verb)
    if state["fails"] == verb:
        state["fails"] = ""
        place.write_text(json.dumps(state))
        sys.exit("gh: HTTP 502")
    match verb:
        case "pr list":
            kept = [one for one in state["pulls"] if _asked(one, given)]
            for one in kept:
                one["headRefOid"] = _tip(one["headRefName"]) or one["headRefOid"]
            print(json.dumps(kept))
        case "pr create":
            number = len(state["pulls"]) + 1
            made = {
                "number": number,
                "url": f"https://github.com/acme/churn/pull/{number}",
                "state": "OPEN",
                "isCrossRepository": False,
                "author": {"login": state["login"]},
                "headRefName": given["--head"],
                "headRefOid": _tip(given["--head"]),
                "title": given["--title"],
                "body": Path(given["--body-file"]).read_text(),
                "comments": [],
            }
            state["pulls"].append(made)
            print(made["url"])
        case "pr edit":
            pull = state["pulls"][int(asked[2]) - 1]
            pull |= {"title": given["--title"], "body": Path(given["--body-file"]).read_text()}
        case "pr comment":
            assert "--edit-last" in asked
            assert "--create-if-none" in asked
            pull = state["pulls"][int(asked[2]) - 1]
            pull["comments"] = [Path(given["--body-file"]).read_text()]
        case "pr close":
            state["pulls"][int(asked[2]) - 1]["state"] = "CLOSED"
        case "workflow run":
            state["started"].append([asked[2], given["--ref"]])
        case _:
            sys.exit(f"gh: not known here: {asked}")
    place.write_text(json.dumps(state))


def _asked(one: dict[str, Any], given: dict[str, str]) -> bool:
    wanted = given.get("--state", "open").upper()
    return wanted in ("ALL", one["state"]) and given.get("--head") in (None, one["headRefName"])


def _tip(branch: str) -> str:
    told = ["git", "-C", os.environ["ORIGIN"], "rev-parse", "--quiet", "--verify", branch]
    return subprocess.run(told, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main(sys.argv[1:])
