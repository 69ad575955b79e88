"""monitor.json: what the monitor found, as whoever acts on it reads it."""

import json
import sys
from pathlib import Path
from typing import Any

from ..errors import ProjectError
from .verdict import VerdictError, digest

FORMAT = 1
VERDICTS = ("alert", "quiet", "not judged")


def read(path: Path) -> dict[str, Any]:
    """Return a report of the monitor after checking its digest.

    Raises VerdictError for a file that is none, of another format, or edited.
    """
    again = "run `make monitor` again"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stated, verdict, form = content["digest"], content["verdict"], content["format"]
        found = digest(content)
    except FileNotFoundError as error:
        raise VerdictError(f"{path} is not there: run `make monitor` first") from error
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise VerdictError(f"{path} is no report of the monitor: {again}") from error
    if form != FORMAT or verdict not in VERDICTS:
        raise VerdictError(f"{path} has a format or verdict unknown here: {again}")
    if stated != found:
        raise VerdictError(f"{path} was changed after it was written: {again}")
    return dict(content)


if __name__ == "__main__":  # what a workflow reads of it
    try:
        print(f"verdict={read(Path(sys.argv[1]))['verdict']}")
    except ProjectError as error:
        sys.exit(f"monitor: {error}")
