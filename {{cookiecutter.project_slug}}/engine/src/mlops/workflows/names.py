"""What a workflow names that a repository has once: for one project among several, its own name."""

import re
from collections.abc import Iterable

from ..git.placement import Placement, PlacementError

# Branches that automation writes, as `git/placement.py` names them.
BRANCH = re.compile(r"refs/heads/(refresh|ingest|experiment|upgrade|env)/")
VARIABLE = re.compile(r"\b(vars|secrets)\.([A-Za-z_][A-Za-z0-9_]*)")
SET = re.compile(r"(?<=set the variable )[A-Z_]+\b")
HASHED = re.compile(r"\bhashFiles\(([^()]*)\)")
TEXT = re.compile(r"'([^']*)'")
# What is read and written for one model: another's would be wrong, so that none stands in for it.
OWN = re.compile(r"MONITOR_LOG|INGEST_(SINCE|TABLE)|PREDICT_(INPUT|OUTPUT|PARTITION|LOG)")
GIVEN = ("GITHUB_TOKEN",)


def named(text: str, place: Placement, files: Iterable[str]) -> str:
    """Return a workflow in which branches, variables and workflow files are this project's."""
    text = BRANCH.sub(rf"refs/heads/\1/{place.name}/", text)
    text = VARIABLE.sub(lambda found: _variable(found[1], found[2], place), text)
    text = SET.sub(lambda found: f"{prefix(place)}{found[0]}", text)
    stems = "|".join(sorted(map(re.escape, files), key=len, reverse=True))
    return re.sub(rf"(?<![\w.-])(?:{stems})(?![\w.-])", lambda f: place.workflow(f[0]), text)


def _variable(context: str, name: str, place: Placement) -> str:
    if name in GIVEN:
        return f"{context}.{name}"
    own = f"{context}.{prefix(place)}{name}"
    return own if OWN.fullmatch(name) else f"({own} || {context}.{name})"


def prefix(place: Placement) -> str:
    """Return what the project's own variables and secrets begin with: CHURN_ for churn."""
    if place.name.startswith("github"):
        raise PlacementError(
            f"the project is called {place.name}, and GitHub has no variable whose name begins "
            "with GITHUB: call it otherwise in pyproject.toml"
        )
    return f"{place.name.replace('-', '_').upper()}_"


def hashed(text: str, place: Placement) -> str:
    """Return a text in which `hashFiles` looks into the project's folder."""

    def below(found: re.Match[str]) -> str:
        inside = TEXT.sub(lambda pattern: f"'{_below(pattern[1], place)}'", found[1])
        return f"hashFiles({inside})"

    return HASHED.sub(below, text)


def path(line: str, place: Placement) -> str:
    """Return a path that a step gives to an action, from the top; absolute ones stay."""
    told = line.lstrip()
    kept = not told or told.startswith(("~", "/", "${{ runner.", "${{ github.workspace"))
    return line if kept else f"{line[: len(line) - len(told)]}{_below(told, place)}"


def _below(told: str, place: Placement) -> str:
    sign, rest = ("!", told[1:]) if told.startswith("!") else ("", told)
    return f"{sign}{place.path(rest.removeprefix('./'))}"
