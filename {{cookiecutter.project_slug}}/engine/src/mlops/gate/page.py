"""gate.html: the verdict on one self-contained page, in the style of the holdout report."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..bundle.figures import estimate, figure, shown
from ..evaluation.report.rendering import render
from ..evaluation.report.svg import Axis, Plot, padded, short
from . import phrases
from .phrases import Content

WIDE, ROW, LEFT = 940, 24, 270
ENGINE = Path(__file__).with_name("templates")
# The owner's, of the folder whose code judges: what a branch changes in them holds from the merge.
TEMPLATES = Path(__file__).parents[4] / "src/policy/templates"


def page(content: Content, templates: Path = TEMPLATES) -> str:
    """Return the report, which needs neither the network nor a script.

    Where `templates` holds a gate.html, it is rendered in place of the engine's, with the same
    context.
    """
    context = {
        "report": content,
        "lead": phrases.lead(content),
        "notes": phrases.notes(content),
        "counts": _counts(content),
        "plots": {"slices": _slices(content)},
        "files": _files(content),
        "changed": dict(
            zip(
                ("decisive", "search"),
                phrases.of_search(content["configuration"] or []),
                strict=True,
            )
        ),
        "digests": phrases.digests(content),
        "origin": _origin(content),
    }
    return render("gate.html", context, FILTERS, templates, ENGINE)


def _counts(content: Content) -> str:
    rules = [entry["verdict"] for entry in content["rules"]]
    pending = ["pending"] if content.get("pending") else []
    verdicts = ("passed", "rejected", *pending, "not applicable")
    return ", ".join(f"{rules.count(one)} {one}" for one in verdicts)


def _settings(entry: Content) -> str:
    given = phrases.settings(entry.get("settings", {})).items()
    return ", ".join(f"{key} {value}" for key, value in given)


FILTERS: Mapping[str, Callable[..., Any]] = {
    "estimate": estimate,
    "shown": shown,
    "figure": figure,
    "metric": phrases.title,
    "settings": _settings,
}


def _slices(content: Content) -> Markup:
    rows = [row for row in content["slices"] if row["candidate"] is not None]
    return Markup(_chart(rows, phrases.title(rows[0]["metric"])) if rows else "")


def _chart(rows: list[Content], metric: str) -> Plot:
    known = [
        row[who] for row in rows for who in ("candidate", "champion") if row.get(who) is not None
    ]
    low, high = padded(known)
    height = 12 + ROW * len(rows) + 44
    plot = Plot("Slices", Axis(low, high, metric), Axis(len(rows), 0), WIDE, height, left=LEFT)
    plot.axes(rows=False)
    for line, row in enumerate(rows):
        at, words = line + 0.5, f"{row['slice']}: {row['rows']:,} rows"
        plot.text(8, plot.y(at) + 4, short(row["slice"], 30), "label", words)
        plot.text(LEFT - 14, plot.y(at) + 4, f"{row['rows']:,}", "tick end", words)
        if row.get("champion") is not None:
            ends = [(row["candidate"], at), (row["champion"], at)]
            plot.line(ends, "whisker s0")
            plot.dot(row["champion"], at, "dot s1", f"champion {row['champion']:.4g}")
        plot.dot(row["candidate"], at, "dot s0", f"candidate {row['candidate']:.4g}", 5)
    return plot


def _files(content: Content) -> list[tuple[str, Any]]:
    """Return how rows and raw files differ from the champion's."""
    if (data := content["data"]) is None:
        return []
    rows = data["rows"].items()
    facts = [(role, f"{data['rows_before'].get(role, 0):,} to {n:,} rows") for role, n in rows]
    facts += [
        (kind, ", ".join(f"{one['name']} ({one['rows']:,} rows)" for one in data[kind]))
        for kind in ("added", "removed", "changed")
        if data[kind]
    ]
    return [*facts, ("kept", f"{data['kept']} files")]


def _origin(content: Content) -> list[tuple[str, Any]]:
    policy = content["policy"]
    return [
        ("against", f"{content['against']['ref']} {content['against']['commit']}"),
        ("policy", f"{policy['ref']} {policy['commit']}"),
        ("resamples", f"{policy['resamples']:,}, seed {policy['seed']}"),
        ("candidate's commit", content["candidate"]["commit"] or "unknown"),
        ("the judged were confined by", content["judge"]["confinement"] or "nothing of it ran"),
        *content["judge"]["versions"].items(),
    ]
