"""`python -m mlops.workflows`, after a project was generated or upgraded: needs PyYAML alone."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import ProjectError
from ..git.placement import top
from ..git.repository import Repository, RepositoryError
from .installation import install


def main(argv: Sequence[str] | None = None) -> int:
    """Write the workflows and print their paths; return 2 where somebody has written there."""
    parser = argparse.ArgumentParser(prog="mlops.workflows", description=__doc__)
    parser.add_argument("remote", nargs="?", help="of a new project: where its data go")
    given = parser.parse_args(argv)
    repository = Repository()
    try:
        if given.remote is not None and _is_ignored(repository):
            return 0
        written = install(repository)
    except ProjectError as error:
        print(f"workflows: {error}", file=sys.stderr)
        return 2
    if given.remote is None:
        for path in written:
            print(path)
        return 0
    _ignore(given.remote, top(repository).root)
    print(f"One project of several: {len(written)} files are written to the top of the repository.")
    return 0


def _is_ignored(repository: Repository) -> bool:
    """Say whether a larger repository takes no notice of the project, which is then its own."""
    try:
        # The one command that knows no literal paths, which git is asked for elsewhere.
        told = {"GIT_LITERAL_PATHSPECS": "0"}
        return bool(repository.git("check-ignore", ".", environment=told))
    except RepositoryError:
        return False


def _ignore(remote: str, root: Path) -> None:
    """Have git leave a folder alone that keeps data, where that lies in the repository."""
    place = Path(".dvc", remote).resolve()
    if "://" not in remote and not remote.startswith("~") and place.is_relative_to(root.resolve()):
        place.mkdir(parents=True, exist_ok=True)
        (place / ".gitignore").write_text("*\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
