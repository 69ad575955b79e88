"""A repository of several projects, each made by the one command that the docs name."""

import re
from collections.abc import Sequence
from pathlib import Path

from baked import Project, sharing
from conftest import generate

NAMES = ("churn", "fraud")
MAKE = ("make", "--silent", "-o", ".venv/.installed")  # these tests' environment stands in
QUOTED = re.compile(r"`([^`]+)`")


def repository(
    template: Path, config: Path, top: Path, names: Sequence[str] = NAMES, **answers: str
) -> Project:
    """Return a fresh repository with projects in models/, committed; commands run at its top."""
    whole = sharing(top, top.parent)
    top.mkdir(parents=True)
    whole.run("git", "init", "--quiet", "--initial-branch", "main")
    for name in names:
        told = {"project_name": name.capitalize(), "project_slug": name, **answers}
        generate(str(template), top / "models", config, told)
    whole.commit("Start")
    return whole


def project(whole: Project, name: str) -> Project:
    """Return one of them, whose commands run with its own code."""
    beside = whole.path.parent / f"beside-{name}"
    beside.mkdir(exist_ok=True)
    return sharing(whole.path / "models" / name, beside)


def refused(one: Project, *command: str) -> str:
    """Have what a project would write at the top be refused, in one sentence; return it."""
    done = one.run("mlops", "workflows", *command, check=False)
    assert done.returncode == 2, done.stdout
    (line,) = done.stdout.splitlines()
    return line


def follow(one: Project, said: str, commands: re.Pattern[str] = QUOTED) -> None:
    """Run the commands that an error names, word for word."""
    for command in commands.findall(said):
        first, *rest = command.split()
        one.run(*(MAKE if first == "make" else (first,)), *rest)
