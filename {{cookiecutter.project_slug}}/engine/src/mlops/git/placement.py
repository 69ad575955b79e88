"""Where a project lies in its repository, and what its branches and workflows are called by that.

A project at the top has the plain names. One in a folder is one of several: what git and GitHub
have once for a repository carries its name. Runs with Python alone.
"""

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

from .repository import Repository, RepositoryError

ABOUT = "pyproject.toml"
NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


class PlacementError(RepositoryError):
    """A project among several has no name that tells it from the others."""


class Placement(NamedTuple):
    """The folder of a project in its repository, and its name; neither of one at the top."""

    folder: str = ""
    name: str = ""

    def branch(self, kind: str, rest: str = "") -> str:
        """Return the branch of this project, like `env/production` or `env/churn/production`."""
        return "/".join((kind, *([self.name] if self.name else []), rest))

    def workflow(self, file: str) -> str:
        """Return the file of a workflow at the top, like `model.yml` or `churn-model.yml`."""
        return f"{self.name}-{file}" if self.name else file

    def path(self, path: str) -> str:
        """Return a path of the project from the top of the repository."""
        return f"{self.folder}/{path}" if self.folder else path


def placement(repository: Repository) -> Placement:
    """Return where the project is, outside git at the top; raises PlacementError without a name."""
    try:
        folder = repository.prefix().rstrip("/")
    except RepositoryError:
        return Placement()
    return Placement(folder, name_of(repository.root)) if folder else Placement()


def name_of(root: Path) -> str:
    """Return the name that the project in a folder states."""
    try:
        name = tomllib.loads((root / ABOUT).read_text(encoding="utf-8"))["project"]["name"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise PlacementError(
            f"{root / ABOUT} states no name of the project ({error!r}): give it one under [project]"
        ) from error
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PlacementError(
            f"{root / ABOUT} calls the project {name!r}: use lower-case letters and digits, joined "
            "by single hyphens, like customer-churn"
        )
    return name


def top(repository: Repository) -> Repository:
    """Return the whole repository that a project is in."""
    up = repository.git("rev-parse", "--show-cdup").removesuffix("\n")
    return Repository(repository.root / up) if up else repository
