"""The copies of workflows at the top of a repository: which project wrote them, and whether whole.

GitHub has one for each workflow of a project, GitLab one for its pipeline.

Runs with Python alone.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from ..git.placement import Placement

FOLDER = ".github/workflows"
GITLAB, PIPELINE = ".gitlab/projects", ".gitlab-ci.yml"
RULESET = "engine/github/rulesets/main.json"
ENGINE = "engine/VERSION"
HEAD = re.compile(
    r"# Written by `make workflows` in (?P<folder>.+): "
    r"edit (?:\.github/workflows|\.gitlab-ci\.yml) there, not this\.\n"
    r"# sha256 (?P<digest>[0-9a-f]{64})\n"
)


class Written(NamedTuple):
    """A workflow at the top that some project wrote, and whether it is as that wrote it."""

    folder: str
    is_whole: bool


def copy(body: str, place: Placement, source: str = FOLDER) -> str:
    """Return a workflow as it is written to the top: whose it is stands first."""
    return (
        f"# Written by `make workflows` in {place.folder}: edit {source} there, not "
        f"this.\n# sha256 {_digest(body)}\n{body}"
    )


def written(root: Path) -> dict[str, Written]:
    """Return every workflow at the top that a project wrote, by its path."""
    found: dict[str, Written] = {}
    for path in sorted(path for one in (FOLDER, GITLAB) for path in (root / one).glob("*.y*ml")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if head := HEAD.match(text):
            is_whole = _digest(text[head.end() :]) == head["digest"]
            found[path.relative_to(root).as_posix()] = Written(head["folder"], is_whole)
    return found


def neighbours(root: Path, place: Placement) -> list[str]:
    """Return the folders of the other projects that have workflows at the top."""
    folders = {one.folder for one in written(root).values()} - {place.folder}
    return sorted(folder for folder in folders if is_project(root / folder))


def is_project(folder: Path) -> bool:
    """Say whether a folder has a project, and not what one left that was moved or removed."""
    return (folder / ENGINE).is_file()


def ruleset(root: Path, place: Placement) -> dict[str, Any]:
    """Return the ruleset of main that requires the checks of the project in `root`."""
    content: dict[str, Any] = json.loads((root / RULESET).read_text(encoding="utf-8"))
    if place.name:
        content["name"] = f"{content['name']}: {place.name}"
        for one in _required(content):
            one["context"] = f"{place.name} {one['context']}"
    return content


def required(root: Path, place: Placement) -> list[str]:
    """Return the checks that have to pass."""
    return [one["context"] for one in _required(ruleset(root, place))]


def _required(content: dict[str, Any]) -> list[dict[str, Any]]:
    rules = [one for one in content["rules"] if one["type"] == "required_status_checks"]
    return [one for rule in rules for one in rule["parameters"]["required_status_checks"]]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
