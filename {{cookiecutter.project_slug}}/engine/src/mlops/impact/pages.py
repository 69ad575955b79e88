"""Reports of what decisions are worth, as files: JSON, and a page of Markdown beside it."""

import json
from pathlib import Path
from typing import Any

from ..files import write_text


def write(folder: Path, name: str, content: dict[str, Any], page: str = "") -> Path:
    """Write a report, and a page beside it where there is one; returns where the report is."""
    path = folder / name
    if page:
        write_text(path.with_suffix(".md"), page)
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return path


def counterfactual(report: dict[str, Any]) -> str:
    """Return what a policy would have earned, for people."""
    rows = [
        ("doubly robust", report["doubly_robust"]),
        ("self-normalised (SNIPS)", report["snips"]),
        ("what was done", report["logged"]),
        ("gained against it", report["gain"]),
    ]
    return "\n".join(
        [
            f"# {report['policy']}",
            "",
            f"{report['rows']:,} rows of {report['units']:,} units, mature by {report['at']}; "
            f"{report['agreed']:.1%} were acted on as the policy does, which tell as much as "
            f"{report['effective']:,.0f} alike. Their mean weight is "
            f"{report['weight']['value']:.3f}, and 1 is due.",
            "",
            "| what a row brings, less the costs | | 95 % interval |",
            "|---|---|---|",
            *(
                f"| {name} | {one['value']:.4g} | {one['low']:.4g} to {one['high']:.4g} |"
                for name, one in rows
            ),
            "",
        ]
    )
