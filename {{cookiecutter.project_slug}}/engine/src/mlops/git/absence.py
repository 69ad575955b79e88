"""Data that git knows and this folder lacks, and the commands that bring them back.

Where a folder is empty, `dvc repro` writes so into its pointer before any stage runs: what there
was is then known to git alone. `python -m mlops.git.absence` asks before DVC starts.
"""

import sys
from pathlib import Path

import yaml

from ..errors import ProjectError
from ..files import parse_yaml
from .repository import Repository, RepositoryError

RAW = Path("data/raw")
SAMPLE = (
    "write the sample with `mlops sample`, then `dvc add data/raw`, or bring a table with "
    "`mlops adopt FILE --target COLUMN`"
)


class AbsenceError(ProjectError):
    """A folder that the pipeline reads holds nothing."""


def way_back(repository: Repository, folder: Path) -> str | None:
    """Return the commands that bring back what a pointer of `folder` named last; None for none.

    `folder` is relative to the project. The pointer that stands there counts, and where that names
    nothing, the newest of this branch that does.
    """
    pointer = f"{folder.as_posix()}.dvc"
    pull = f"`dvc pull {pointer}`"
    place = repository.root / pointer
    if place.is_file() and _names_files(place.read_text(encoding="utf-8", errors="replace")):
        return pull
    try:
        commits = repository.commits([pointer])
        known = (one for one in commits if _names_files(repository.text_at(one, pointer) or ""))
        found = next(known, None)
    except RepositoryError:  # outside git, before the first commit, or no text
        return None
    if found is None:
        return None
    commit = "HEAD" if found == commits[0] else found[:12]
    return f"`git checkout {commit} -- {pointer}`, then {pull}"


def told(folder: Path, otherwise: str, root: Path = Path()) -> str:
    """Return what is wrong with a folder without files, with what brings them back.

    `otherwise` does it where git never knew any.
    """
    inside = folder.is_absolute() and folder.is_relative_to(root.absolute())
    name = folder.relative_to(root.absolute()) if inside else folder
    back = None if name.is_absolute() else way_back(Repository(root), name)
    known = f", and git knows what it held: {back}"
    return f"{name.as_posix()} holds no file{f': {otherwise}' if back is None else known}"


def check(repository: Repository) -> None:
    """Raise AbsenceError where data/raw, or a table that git knows rows of, holds nothing."""
    root = repository.root
    tables = sorted((root / "data/tables").glob("*.dvc"))
    for folder in (RAW, *(one.relative_to(root).with_suffix("") for one in tables)):
        empty = not (root / folder).is_dir() or not any((root / folder).iterdir())
        if empty and (folder == RAW or way_back(repository, folder)):
            raise AbsenceError(told(folder, SAMPLE, root))


def _names_files(pointer: str) -> bool:
    try:
        return any(out.get("nfiles", 1) for out in parse_yaml(pointer)["outs"])
    except (yaml.YAMLError, LookupError, TypeError, AttributeError):
        return False


if __name__ == "__main__":
    try:
        check(Repository())
    except ProjectError as error:
        sys.exit(str(error))
