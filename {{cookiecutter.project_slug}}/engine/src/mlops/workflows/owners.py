"""The code owners of a project among several: its part of the one file at the top that is read.

Runs with Python alone: what a pull request changes is asked before anything is installed.
"""

import re
from pathlib import Path

from ..errors import ProjectError
from ..git.placement import Placement
from .copies import GITLAB

SOURCES = (".github/CODEOWNERS", ".gitlab/CODEOWNERS")
SOURCE = SOURCES[0]
BOTH = ("CODEOWNERS", "docs/CODEOWNERS")  # which either forge reads as well
PLACES = (*SOURCES, *BOTH)
WORKFLOWS, PIPELINE = "/.github/", "/.gitlab-ci.yml"
# What is of all projects at the top, by the line of a project that says who owns it.
SHARED = {WORKFLOWS: WORKFLOWS, PIPELINE: PIPELINE, "/.gitlab/": PIPELINE}


class OwnersError(ProjectError):
    """The file of code owners is not as `make workflows` left it."""


def wanted(project: Path, root: Path, place: Placement) -> dict[str, str]:
    """Return the file of the top with this project's part, by its path; nothing without owners."""
    name = next((one for one in SOURCES if (project / one).is_file()), None)
    if name is None:
        return {}
    path = next((one for one in (name, *BOTH) if (root / one).is_file()), name)
    there = (root / path).read_text(encoding="utf-8") if (root / path).is_file() else ""
    lines = (project / name).read_text(encoding="utf-8").splitlines()
    own = _part(lines, place)
    kept = _without(there, place, path)
    for pattern, like in reversed(SHARED.items()):
        who = _who(lines, like)
        if who and not re.search(rf"^{re.escape(pattern)}\s", kept, re.MULTILINE):
            # Whoever has the first project, so that nobody changes workflows without them.
            kept = f"{' '.join((pattern, *who))}\n{kept}"
    gap = "\n" if kept and not kept.endswith("\n\n") else ""
    return {path: f"{kept}{gap}{own}" if part(there, place.name) != own else there}


def part(text: str, name: str) -> str:
    """Return the part of a project in the file of the top; nothing where it has none."""
    begin, end = _marks(name)
    found = re.search(rf"^{re.escape(begin)}$.*?^{re.escape(end)}$\n?", text, re.M | re.S)
    return found[0] if found else ""


def _part(lines: list[str], place: Placement) -> str:
    begin, end = _marks(place.name)
    told = [_placed(line, place) for line in lines if line.strip() and not line.startswith("#")]
    copies = {
        f"{WORKFLOWS}workflows/{place.name}-*": WORKFLOWS,
        f"/{GITLAB}/{place.name}.yml": PIPELINE,
    }
    owned = {pattern: _who(lines, like) for pattern, like in copies.items()}
    files = [" ".join((pattern, *who)) for pattern, who in owned.items() if who]
    return "\n".join([begin, *files, *told, end]) + "\n"


def _who(lines: list[str], pattern: str) -> list[str]:
    """Return who owns what a pattern names."""
    return next((line.split()[1:] for line in lines if line.startswith(f"{pattern} ")), [])


def _placed(line: str, place: Placement) -> str:
    """Return a line for the project's folder; a name without a slash is meant at any depth."""
    pattern, *who = line.split()
    inside = pattern.rstrip("/")
    below = pattern.removeprefix("/") if "/" in inside else f"**/{pattern}"
    return " ".join((f"/{place.path(below)}".replace(" ", "\\ "), *who))


def _without(text: str, place: Placement, path: str) -> str:
    begin, _ = _marks(place.name)
    found = part(text, place.name)
    if not found and re.search(rf"^{re.escape(begin)}$", text, re.MULTILINE):
        raise OwnersError(
            f"{path} has the beginning of what `make workflows` wrote for {place.name}, and not "
            "its end: take that part out, and run it again"
        )
    return text.replace(found, "") if found else text


def _marks(name: str) -> tuple[str, str]:
    return f"# {name}: written by `make workflows`", f"# {name}: end"
