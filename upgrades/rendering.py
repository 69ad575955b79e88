"""A version of the template as a project of these answers has it, made by cookiecutter itself."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .origin import FILE, parsed
from .repository import Git, Tree, UpgradeError

ENGINE = "{{cookiecutter.project_slug}}/engine/"
NEEDED = ("cookiecutter.json", "hooks", "{{cookiecutter.project_slug}}")


class Rendered(NamedTuple):
    """The files, and all the answers that they are made of."""

    tree: Tree
    answers: dict[str, Any]


def rendered(project: Git, template: Git, commit: str, answers: Mapping[str, Any]) -> Rendered:
    """Return what a fresh project of a version has, its objects written to the project's git.

    Questions that have no answer yet take their defaults. The engine is the same in every project:
    its objects are taken as they are, which saves most of the files.
    """
    files = template.tree(commit, *NEEDED)
    engine = {path: entry for path, entry in files.items() if path.startswith(ENGINE)}
    if project.lend(template, [entry.object for entry in engine.values()]):
        files = {path: entry for path, entry in files.items() if path not in engine}
    else:
        engine = {}
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch, "template"), Path(scratch, "out")
        out.mkdir()
        template.extract(files, source)
        asked = _questions(source, commit)
        known = {name: answer for name, answer in answers.items() if name in asked}
        made = _generate(source, out, Path(scratch), known, commit)
        tree = _added(project, made, Path(scratch, "index"))
    tree |= {path.partition("/")[2]: entry for path, entry in engine.items()}
    told = tree.pop(FILE, None)
    said = parsed(project.blob(told.object).decode()).answers if told else known
    return Rendered(tree, dict(said))


def _questions(source: Path, commit: str) -> set[str]:
    try:
        return set(json.loads((source / "cookiecutter.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UpgradeError(
            f"{commit[:12]} is no version of a cookiecutter template: name another (TO=…)"
        ) from error


def _generate(
    source: Path, out: Path, scratch: Path, answers: Mapping[str, Any], commit: str
) -> Path:
    from cookiecutter.exceptions import CookiecutterException
    from cookiecutter.main import cookiecutter

    # A project that is made beside another, as here, is part of no repository that it lies in.
    os.environ["GIT_CEILING_DIRECTORIES"] = str(scratch.resolve())
    config = scratch / "config.yaml"  # nobody's own defaults
    config.write_text(f"cookiecutters_dir: {scratch}/repos\nreplay_dir: {scratch}/replay\n")
    try:
        return Path(
            cookiecutter(
                str(source),
                no_input=True,
                extra_context={name: _literal(answer) for name, answer in answers.items()},
                output_dir=str(out),
                config_file=str(config),
            )
        )
    except CookiecutterException as error:
        raise UpgradeError(
            f"the template of {commit[:12]} refuses the answers in {FILE} ({error}): correct them "
            "there and commit"
        ) from error


def _literal(answer: Any) -> Any:
    """Return an answer so that it is text to cookiecutter, which renders what it is given."""
    if not isinstance(answer, str) or "{" not in answer:
        return answer
    return "{{ " + json.dumps(answer, ensure_ascii=False) + " }}"


def _added(project: Git, folder: Path, index: Path) -> Tree:
    """Return the files of a folder as git takes them, whatever it is told to ignore."""
    own = {
        "GIT_INDEX_FILE": str(index),
        "GIT_DIR": project.say("rev-parse", "--absolute-git-dir"),
        "GIT_WORK_TREE": str(folder),
    }
    there = Git(folder)
    settings = ("-c", "core.fileMode=true", "-c", "core.symlinks=true", "-c", "core.excludesFile=")
    there.run(*settings, "add", "--all", "--force", ".", environment=own)
    name = there.run("write-tree", environment=own).stdout.decode().strip()
    return project.tree(name)
