"""monitor.json: what a monitor found, under one digest, as `mlops monitor` wrote it."""

import json
from pathlib import Path
from typing import Any

from ..errors import ProjectError
from .verdict import digest

FORMAT = 1
FOLDER = Path("reports/monitor")
REPORT, MARKDOWN, PAGE = "monitor.json", "monitor.md", "monitor.html"
VERDICTS = ("alert", "quiet", "not judged")
AGAIN = "run `mlops monitor` again"


class ReportError(ProjectError):
    """A report of the monitor is missing, or is not as the monitor wrote it."""


def read(path: Path) -> dict[str, Any]:
    """Return a report of the monitor after checking its digest; raises ReportError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stated, verdict, form = content["digest"], content["verdict"], content["format"]
        found = digest(content)
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ReportError(f"{path} is no report of the monitor: {AGAIN}") from error
    if form != FORMAT or verdict not in VERDICTS:
        raise ReportError(f"{path} has a format or verdict unknown here: {AGAIN}")
    if stated != found:
        raise ReportError(f"{path} was changed after it was written: {AGAIN}")
    if (verdict == "alert") != bool(content.get("alerts")):
        raise ReportError(f"{path} contradicts its own findings: {AGAIN}")
    return dict(content)
