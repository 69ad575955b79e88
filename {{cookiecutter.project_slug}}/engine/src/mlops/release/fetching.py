"""What a pull request needs of the data remote, fetched: nothing where it concerns no model."""

import os
from collections.abc import Iterator
from pathlib import Path

from ..bundle import verdict
from ..errors import ProjectError
from ..files import read_yaml, write_text
from ..git import dvc
from ..git.repository import Repository, RepositoryError
from . import proposal
from .declaration import DEPLOY

SETTINGS = Path(".dvc/config.local")
NO_SECRET = (
    "this run has no secret DVC_CONFIG: those of forks have none, and for Dependabot's "
    "`gh secret set DVC_CONFIG --app dependabot` sets it"
)


class FetchError(ProjectError):
    """The data remote cannot be read, or does not have what this commit pins."""


def fetch(repository: Repository, against: str) -> bool:
    """Fetch what the pipeline reads and has made, and say whether there was a reason to.

    Raises FetchError, and leaves its sentence for the report of the pull request.
    """
    told = repository.root / verdict.FOLDER / proposal.REFUSED
    told.unlink(missing_ok=True)
    if concerns_no_model(repository, against):
        return False
    try:
        _pull(repository)
    except FetchError as error:
        write_text(told, f"{error}\n")
        raise
    return True


def concerns_no_model(repository: Repository, against: str) -> bool:
    """Say whether `against` serves the candidate that HEAD pins, and no stage is behind.

    That needs no data: DVC compares what it has with what dvc.lock says.
    """
    try:
        return bool(proposal.known(repository, against)) and not dvc.is_behind(repository)
    except ProjectError:
        return False


def _pull(repository: Repository) -> None:
    hint = _hint(repository)
    try:
        dvc.pull(repository)
    except RepositoryError as error:
        said = str(error).removesuffix(": mend that and try again")
        remedy = hint or f"see that its credentials stand in {SETTINGS}"
        raise FetchError(f"the data remote cannot be read: {said}: {remedy}") from error
    for path, md5 in _pointers(repository):
        place = repository.root / path
        if not place.exists() or (place.is_dir() and dvc.dvc_digest(place) != md5):
            remedy = (
                hint or f"run `dvc push {path}.dvc` where they are: `git push` takes none along"
            )
            raise FetchError(f"the data of {path}.dvc are not in the data remote: {remedy}")


def _hint(repository: Repository) -> str:
    """Return why a run of a workflow reads nothing; nothing where it can."""
    has_secret = (repository.root / SETTINGS).is_file()
    return "" if has_secret or "GITHUB_ACTIONS" not in os.environ else NO_SECRET


def _pointers(repository: Repository) -> Iterator[tuple[str, str]]:
    """Yield what git names of the data by a pointer, and its digest; the bundles are not data."""
    for name in repository.git("ls-files", "-z").split("\0"):
        if not name.endswith(".dvc") or name.startswith((".dvc/", f"{DEPLOY}/")):
            continue
        for out in read_yaml(repository.root / name).get("outs", ()):
            yield f"{Path(name).parent / out['path']}", out.get("md5", "")
