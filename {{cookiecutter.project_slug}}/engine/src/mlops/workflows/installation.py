"""The workflows of a project among several, written to the top of its repository.

Each says which project it is of, and the digest of what was written: what somebody has edited or
written there is never overwritten.
"""

import tomllib
from pathlib import Path
from typing import NamedTuple

from ..files import write_text
from ..git.placement import ABOUT, Placement, name_of, placement, top
from ..git.repository import Repository, RepositoryError
from . import gitlab, owners
from .copies import FOLDER, PIPELINE, Written, copy, is_project, neighbours, written
from .edits import WorkflowError
from .names import prefix
from .scoping import pin, scoped


class Installation(NamedTuple):
    """What a project has at the top of its repository, and what it should have: texts by path."""

    root: Path
    place: Placement
    wanted: dict[str, str]
    written: dict[str, Written]  # by this project

    @property
    def is_there(self) -> bool:
        """Whether the project has written any."""
        return bool(self.written)


def install(repository: Repository) -> list[str]:
    """Write what differs and remove what is of no use any more; return those paths.

    Nothing is to be done for a project that is its repository. Raises a ProjectError, and changes
    nothing, where that would overwrite what somebody wrote.
    """
    if not placement(repository).folder:
        return []
    one = _read(repository)
    texts = {**one.wanted, **_shared(repository.root, one)}
    if edited := [path for path, about in one.written.items() if not about.is_whole]:
        raise _edited(edited[0], one.place)
    gone = sorted(one.written.keys() - one.wanted.keys())
    changed = [path for path, text in texts.items() if _text(one.root / path) != text]
    for path in changed:
        write_text(one.root / path, texts[path])
    for path in gone:
        (one.root / path).unlink()
    return sorted([*changed, *gone])


def check(repository: Repository) -> str:
    """Say how what is at the top stands; raises WorkflowError where it is not as it should be."""
    place = placement(repository)
    if not place.folder:
        return "the project is its repository: its workflows are read where they are"
    one = _read(repository)
    if not one.is_there:
        return f"{place.name} has no workflows at the top of the repository: `make workflows`"
    for path, about in sorted(one.written.items()):
        if about.folder != place.folder:
            raise WorkflowError(
                f"{path} is of {about.folder}, and {place.name} is in {place.folder}: run `make "
                "workflows` and commit what it writes"
            )
        if not about.is_whole:
            raise _edited(path, place)
    texts = {**one.wanted, **_shared(repository.root, one)}
    gone = one.written.keys() - one.wanted.keys()
    differing = [path for path, text in texts.items() if _text(one.root / path) != text]
    if differing := sorted([*differing, *gone]):
        raise WorkflowError(
            f"{differing[0]} is not what {place.folder} comes to: run `make workflows` and commit "
            "what it writes"
        )
    return f"the workflows of {place.name} at the top of the repository are as they should be"


def _read(repository: Repository) -> Installation:
    """Return what there is; raises WorkflowError where projects are in each other's way."""
    place, root = placement(repository), top(repository).root
    if is_project(root):
        raise WorkflowError(
            "the top of this repository is a project itself, which every change would concern: "
            "`git mv` it into a folder of its own first"
        )
    prefix(place)
    known = written(root)
    for folder in neighbours(root, place):
        _check_neighbour(root, folder, place)
    wanted = _wanted(repository.root, place)
    for path in wanted:
        if path not in known and (root / path).exists():
            raise WorkflowError(
                f"{path} was not written by `make workflows`, which would overwrite it: call it or "
                "the project otherwise"
            )
    return Installation(root, place, wanted, _own(root, known, wanted, place))


def _own(
    root: Path, known: dict[str, Written], wanted: dict[str, str], place: Placement
) -> dict[str, Written]:
    """Return what this project wrote: where it is, or where it was before it was moved."""

    def is_own(path: str, about: Written) -> bool:
        left = not is_project(root / about.folder)
        named = path in wanted or path.startswith(f"{FOLDER}/{place.name}-")
        return about.folder == place.folder or (left and named)

    return {path: about for path, about in known.items() if is_own(path, about)}


def _wanted(root: Path, place: Placement) -> dict[str, str]:
    sources = sorted((root / FOLDER).glob("*.y*ml"))
    texts = {path.name: path.read_text(encoding="utf-8") for path in sources}
    checkout = pin(list(texts.values()))
    made = {}
    for name, text in texts.items():
        body = scoped(text, name, place, list(texts), checkout)
        made[f"{FOLDER}/{place.workflow(name)}"] = copy(body, place)
    if (pipeline := _text(root / PIPELINE)) is not None:
        made[gitlab.file(place)] = copy(gitlab.scoped(pipeline, place), place, PIPELINE)
    return made


def _shared(root: Path, one: Installation) -> dict[str, str]:
    """Return what all projects of a repository have together, with this one's part of it."""
    top = gitlab.wanted(one.root) if gitlab.file(one.place) in one.wanted else {}
    return {**top, **owners.wanted(root, one.root, one.place)}


def _check_neighbour(root: Path, folder: str, place: Placement) -> None:
    """Raise where another project has the name of this one, or its image."""
    try:
        other, image = name_of(root / folder), _image(root / folder)
    except RepositoryError:
        return  # which is for that project to say
    if _plain(other) == _plain(place.name):
        raise WorkflowError(
            f"{folder} is called {other} too, as its branches and images are: call one of the two "
            f"otherwise (`name` in {ABOUT})"
        )
    if image and image == _image(root / place.folder):
        raise WorkflowError(
            f"{folder} has the image {image} too: give each its own (`image` in {ABOUT})"
        )


def _plain(name: str) -> str:
    return name.replace("_", "-")


def _image(root: Path) -> str:
    content = tomllib.loads((root / ABOUT).read_text(encoding="utf-8"))
    return str(content.get("tool", {}).get("mlops", {}).get("image") or "")


def _edited(path: str, place: Placement) -> WorkflowError:
    own = f"{FOLDER}/{Path(path).name.removeprefix(f'{place.name}-')}"
    source = place.path(own if path.startswith(FOLDER) else PIPELINE)
    return WorkflowError(
        f"{path} was edited by hand: change {source}, `git rm --quiet --force :/{path}`, "
        "and `make workflows`"
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
