"""`python -m mlops.workflows`, after a project was generated or upgraded: needs PyYAML alone."""

import sys

from ..errors import ProjectError
from ..git.repository import Repository
from .installation import install


def main() -> int:
    """Write the workflows and print their paths; return 2 where somebody has written there."""
    try:
        for path in install(Repository()):
            print(path)
    except ProjectError as error:
        print(f"workflows: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
