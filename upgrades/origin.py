"""Where a project says that it came from: `.template.json`."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .repository import Git, Tree, UpgradeError

FILE = ".template.json"


@dataclass(frozen=True)
class Origin:
    """Address of the template, the commit that a project follows, what it was called, answers."""

    template: str | None
    commit: str | None
    checkout: str | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    dirty: bool = False

    @property
    def name(self) -> str:
        """What people call that version."""
        return self.checkout or (self.commit or "nowhere")[:12]

    def text(self) -> str:
        """Return the file, as a fresh project has it."""
        said: dict[str, Any] = {
            "template": self.template,
            "commit": self.commit,
            "checkout": self.checkout,
            "context": {"cookiecutter": dict(self.answers)},
        }
        return json.dumps(said, indent=2, ensure_ascii=False) + "\n"


def parsed(text: str) -> Origin:
    """Read the file; raises UpgradeError for what is none."""
    try:
        said = json.loads(text)
        answers = said["context"]["cookiecutter"]
        found = Origin(
            said["template"],
            said["commit"],
            said.get("checkout"),
            {name: answer for name, answer in answers.items() if not name.startswith("_")},
            bool(said.get("dirty")),
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UpgradeError(
            f"{FILE} does not say where this project comes from ({error!r}): restore it from an "
            "earlier commit, or remove it, and the version is found out anew"
        ) from error
    if found.commit is not None and not re.fullmatch(r"[0-9a-f]{40,64}", str(found.commit)):
        raise UpgradeError(f"{FILE} names no commit ({found.commit!r}): give its whole hash")
    return found


def guessed(git: Git, ours: Tree) -> dict[str, str]:
    """Return the answers that a project without the file was made with, as its files have them."""
    try:
        about = tomllib.loads(git.blob(ours["pyproject.toml"].object).decode())
        project, own = about["project"], about["tool"]["mlops"]
        image = str(own["image"])
        remote = git.blob(ours[".dvc/config"].object).decode() if ".dvc/config" in ours else ""
        found = {
            "project_name": str(own["title"]),
            "project_slug": str(project["name"]),
            "description": str(project["description"]),
            "owner": str(own["owner"]),
            "container_registry": image.rpartition("/")[0],
        }
    except (ValueError, LookupError, TypeError) as error:
        raise UpgradeError(
            f"this folder is no project of the template (pyproject.toml: {error!r}): run this in "
            "the project's own folder"
        ) from error
    if url := re.search(r"^\s*url\s*=\s*(.*?)\s*$", remote, re.MULTILINE):
        found["dvc_remote"] = url[1].strip("\"'")
    return found
