"""monitor.json: what the monitor found, under one digest."""

import json
import sys
from pathlib import Path
from typing import Any

from ..errors import ProjectError
from .verdict import VerdictError, digest

FORMAT = 1
REPORT, MARKDOWN, PAGE = "monitor.json", "monitor.md", "monitor.html"
VERDICTS = ("alert", "quiet", "not judged")
AGAIN = "run `mlops monitor` again"


def read(path: Path) -> dict[str, Any]:
    """Return a report of the monitor after checking its digest; raises VerdictError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refused)
        stated, verdict, form = content["digest"], content["verdict"], content["format"]
        is_alert = bool(content["alerts"])
        computed = digest(content)
    except FileNotFoundError as error:
        raise VerdictError(f"{path} is not there: run `mlops monitor` first") from error
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise VerdictError(f"{path} is no report of the monitor: {AGAIN}") from error
    if form != FORMAT or verdict not in VERDICTS:
        raise VerdictError(f"{path} has a format or verdict unknown here: {AGAIN}")
    if stated != computed:
        raise VerdictError(f"{path} was changed after it was written: {AGAIN}")
    if (verdict == "alert") != is_alert:
        raise VerdictError(f"{path} contradicts its own findings: {AGAIN}")
    return dict(content)


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


if __name__ == "__main__":  # what a workflow reads of it
    try:
        print(f"verdict={read(Path(sys.argv[1]))['verdict']}")
    except ProjectError as error:
        sys.exit(f"monitor: {error}")
