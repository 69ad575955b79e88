"""experiment.html and experiment.md: what two models did to people, with pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..bundle.figures import figure
from ..evaluation.report.rendering import render
from ..evaluation.report.svg import Axis, Plot, number, padded, short
from ..files import write_text
from ..monitoring import charts
from ..monitoring.charts import Days
from ..monitoring.page import FILTERS, HEIGHT, TEMPLATES, WIDE
from ..rollout.declaration import Experiment

PAGE, MARKDOWN = "experiment.html", "experiment.md"
ENGINE = Path(__file__).with_name("templates")
TONES = {"better": "good", "passed": "good"} | dict.fromkeys(("worse", "broken", "stopped"), "bad")
ARMS = ("champion", "challenger")
ROW, NAME = 26, 150  # pixels of a slice's line, and of its name
Report = Mapping[str, Any]


def write(
    folder: Path, report: Report, about: Experiment, step: str, templates: Path = TEMPLATES
) -> Path:
    """Write the page and its short form; return where the page is. `step` says what comes next."""
    write_text(folder / MARKDOWN, markdown(report, step))
    write_text(folder / PAGE, page(report, about, step, templates))
    return folder / PAGE


def page(report: Report, about: Experiment, step: str, templates: Path = TEMPLATES) -> str:
    """Return the report, which needs neither the network nor a script."""
    context = {
        "report": report,
        "champion": report["champion"][:12],
        "challenger": report["challenger"][:12],
        "next": step,
        "tone": TONES.get(report["verdict"], ""),
        "measure": _measure(report),
        "alpha": about.alpha,
        "sequence": sequence(report["looks"], about.primary.margin),
        "value": sequence((report["value"] or {"looks": []})["looks"], 0.0),
        "levels": _levels(_valued(report)),
        "arms": _arms(report),
        "means": report["mode"] == "ab",
        "left": _left(report),
        "slices": intervals([(one["slice"], one) for one in report["slices"]]),
        "rows": [row(one) for one in report["slices"]],
        "digests": [(name, report[name]) for name in ("champion", "challenger", "declaration")],
    }
    return render(PAGE, context, {**FILTERS, "figure": figure}, templates, ENGINE)


def markdown(report: Report, step: str) -> str:
    """Return what a pull request says of it."""
    lines = [f"## Experiment: {report['verdict']}", "", f"Next: {step}.", ""]
    header = ["", "units", "share", "drawn"] + (["mean"] if report["mode"] == "ab" else [])
    lines += [f"| {' | '.join(header)} |", "|---|" + "---:|" * (len(header) - 1)]
    lines += [f"| {' | '.join(row)} |" for row in _arms(report)]
    if report["slices"]:
        lines += ["", "| slice | champion | challenger | difference | interval | p |"]
        lines += ["|---|---:|---:|---:|---:|---:|"]
        lines += [f"| {' | '.join(map(_cell, row(one)))} |" for one in report["slices"]]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Return a text of the log as code that no table cell ends at."""
    return f"`{text.replace('`', chr(39)).replace('|', '/')}`"


def _measure(report: Report) -> str:
    label = report["measure"]["label"]
    return str(report["measure"]["name"]) + (f" {label}" if label else "")


def _valued(report: Report) -> Sequence[Report]:
    """Return the looks at what units brought, whether that decides or not."""
    if report["value"]:
        return list(report["value"]["looks"])
    return report["looks"] if report["measure"]["name"] == "value" else []


def sequence(looks: Sequence[Report], margin: float) -> Plot | None:
    """Draw a difference by day with the band that holds it, beside none and the margin."""
    if not looks:
        return None
    points = [
        {"date": one["day"], "rows": sum(one["units"]), "value": one["effect"]}
        | {"low": one["low"], "high": one["high"]}
        for one in looks
    ]
    days = Days(points[0]["date"], points[-1]["date"])
    entry = {"metric": "difference", "sequence": points, "reference": 0.0}
    return charts.performance(entry, days, margin or None, WIDE, HEIGHT)


def _levels(looks: Sequence[Report]) -> Plot | None:
    """Draw what a unit of each arm brought, all units up to each day."""
    if not looks:
        return None
    days = Days(looks[0]["day"], looks[-1]["day"])
    ends = padded([0.0, *(mean for one in looks for mean in one["means"])])
    plot = days.plot("value by arm", Axis(*ends), WIDE, HEIGHT)
    for arm, name in enumerate(ARMS):
        line = [(float(days.at(one["day"])), one["means"][arm]) for one in looks]
        if len(line) == 1:  # so as to be seen
            line = [(line[0][0] + side, line[0][1]) for side in (-0.5, 0.5)]
        plot.line(line, f"line s{arm}", f"{name}: {number(looks[-1]['means'][arm])}")
    for one in looks:
        at, (first, second) = days.at(one["day"]), map(number, one["means"])
        tip = f"{one['day']}: {ARMS[0]} {first}, {ARMS[1]} {second}"
        plot.rect((at - 0.5, at + 0.5), ends, "hover", tip)
    return plot


def _arms(report: Report) -> list[list[str]]:
    units, share = report["units"], report["share"]
    total = units["champion"] + units["challenger"]
    rows = []
    for name, drawn in (("champion", 1 - share), ("challenger", share)):
        part = units[name] / total if total else 0.0
        row = [name, f"{units[name]:,}", f"{part:.2%}", f"{drawn:.2%}"]
        if report["mode"] == "ab":
            mean = report["means"][name]
            row.append("unknown" if mean is None else number(mean))
        rows.append(row)
    return rows


def _left(report: Report) -> list[tuple[str, str]]:
    units = report["units"]
    unknown = units["unknown"]
    return [
        ("judged", f"{units['judged']:,}"),
        ("not old enough", f"{units['young']:,}"),
        ("met both", f"{units['crossed']:,}"),
        ("no outcome yet", f"{unknown[0]:,} and {unknown[1]:,}"),
        ("rows without a key", f"{units['rows_of_nobody']:,}"),
    ]


def row(one: Report) -> list[str]:
    """Return a slice as a row of a table."""
    first, second = one["units"]
    interval = f"{number(one['low'])} to {number(one['high'])}"
    cells = [one["slice"], f"{first:,}", f"{second:,}", number(one["effect"]), interval]
    return [*cells, f"{one['p']:.2g}"]


def intervals(found: Sequence[tuple[str, Report]]) -> Plot | None:
    """Draw differences with their intervals, each with its name, beside no difference."""
    if not found:
        return None
    ends = padded([0.0, *(value for _, one in found for value in (one["low"], one["high"]))])
    down = Axis(len(found) - 0.5, -0.5, fixed=())
    height = ROW * len(found) + 60
    plot = Plot("slices", Axis(*ends), down, WIDE, height, left=NAME).axes(rows=False)
    plot.line([(0.0, -0.5), (0.0, len(found) - 0.5)], "line ref", "no difference")
    for at, (name, one) in enumerate(found):
        tip = f"{name}: {number(one['effect'])} ({number(one['low'])} to "
        tip += f"{number(one['high'])})"
        plot.line([(one["low"], at), (one["high"], at)], "line s0", tip)
        plot.dot(one["effect"], at, "dot s0", tip)
        plot.text(NAME - 10, plot.y(at) + 4, short(name, 22), "tick end", name)
    return plot
