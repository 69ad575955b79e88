"""actions.html: what each way to act brought, with pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..evaluation.report.rendering import render
from ..evaluation.report.svg import number
from ..files import write_text
from ..monitoring.page import FILTERS, TEMPLATES
from ..rollout.actions import Actions
from .page import ENGINE, intervals, row, sequence

PAGE = "actions.html"
TONES = {"pays": "good", "does not pay": "bad", "broken": "bad"}
Report = Mapping[str, Any]


def write(folder: Path, report: Report, about: Actions, templates: Path = TEMPLATES) -> Path:
    """Write the page; return where it is."""
    write_text(folder / PAGE, page(report, about, templates))
    return folder / PAGE


def page(report: Report, about: Actions, templates: Path = TEMPLATES) -> str:
    """Return the report, which needs neither the network nor a script."""
    arms = report["arms"]
    sequences = [(one["arm"], sequence(one["looks"], about.margin)) for one in arms]
    context = {
        "report": report,
        "pays": report["pays"],
        "tone": TONES.get(report["verdict"], ""),
        "alpha": about.alpha,
        "means": [_mean(name, one) for name, one in report["means"].items()],
        "net": intervals([(one["arm"], one["net"]) for one in arms if one["net"]]),
        "arms": [_arm(one) for one in arms],
        "sequences": [(name, plot) for name, plot in sequences if plot is not None],
        "slices": [
            (one["arm"], _slices(one), [row(part) for part in one["slices"]])
            for one in arms
            if one["slices"]
        ],
        "left": _left(report),
        "digests": [(name, report[name]) for name in ("model", "declaration")],
    }
    return render(PAGE, context, FILTERS, templates, ENGINE)


def _slices(one: Report) -> object:
    return intervals([(part["slice"], part) for part in one["slices"]])


def _mean(name: str, one: Report) -> list[str]:
    figures = [number(one[key]) if key in one else "unknown" for key in ("value", "cost", "net")]
    return [name, f"{one['units']:,}", *figures]


def _arm(one: Report) -> list[str]:
    net, roi = one["net"], one["roi"]
    if not net:
        return [one["arm"], one["verdict"], "unknown", "", ""]
    interval = f"{number(net['low'])} to {number(net['high'])}"
    back = f"{number(roi['effect'])} ({number(roi['low'])} to {number(roi['high'])})" if roi else ""
    return [one["arm"], one["verdict"], number(net["effect"]), interval, back]


def _left(report: Report) -> list[tuple[str, str]]:
    units, done = report["units"], report["done_as_drawn"]
    return [
        ("judged", f"{units['judged']:,}"),
        ("not old enough", f"{units['young']:,}"),
        ("in several arms", f"{units['crossed']:,}"),
        ("rows without a key", f"{units['rows_of_nobody']:,}"),
        ("done as drawn", "nobody said" if done is None else f"{done:.1%} of those told"),
    ]
