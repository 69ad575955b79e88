"""monitor.html: what the monitor found on one self-contained page, in the style of the reports."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from ..bundle.figures import figure
from ..evaluation.report.rendering import render
from ..evaluation.report.svg import number
from . import charts, phrases
from .charts import Days
from .phrases import Content, Feature

ENGINE = Path(__file__).with_name("templates")
# The owner's, of the folder whose code judges.
TEMPLATES = Path(__file__).parents[4] / "src/policy/templates"

DRAWN = 12  # features that get a picture, and as many more as something was found in, up to MOST
MOST = 24
SLICES = 6  # slices with a picture of their performance
CLASSES = 12
LATEST = 120  # days of a picture
FINDINGS = 60  # lines of one rule
LISTED = 40
WIDTH, HEIGHT, WIDE = 460, 210, 940


def page(content: Content, templates: Path = TEMPLATES) -> str:
    """Return the report, which needs neither the network nor a script.

    Where `templates` holds a monitor.html, it is rendered in place of the engine's, with the same
    context.
    """
    features = phrases.ordered(content)
    found = sum(1 for one in features if one.mark)
    drawn = min(max(DRAWN, found), MOST)
    days = _days([*content["features"], *content["predictions"]])
    context = {
        "report": content,
        "lead": phrases.lead(content),
        "counts": phrases.counts(content["rules"]),
        "listed": LISTED,
        "performance": _performance(content["performance"]),
        "features": [_picture(one, days) for one in features[:drawn]],
        "others": [_row(one, days) for one in features[drawn:]],
        "predictions": [
            _picture(Feature(about, 0.0, _of(content, about)), days)
            for about in content["predictions"][:CLASSES]
        ],
        "classes": CLASSES,
        "unjudged": phrases.unjudged(content),
        "findings": FINDINGS,
        "digests": phrases.digests(content),
        "origin": _origin(content),
    }
    return render("monitor.html", context, FILTERS, templates, ENGINE)


def _sorted(rule: Content) -> list[Content]:
    """Return the findings of a rule, the gravest first."""
    order = ("alert", "note", "not judged", "quiet")
    return sorted(rule["findings"], key=lambda one: order.index(one["verdict"]))


def _ticked(sentence: object) -> Markup:
    """Return a sentence whose commands, between backticks, are shown as code."""
    pieces = phrases.ticked(str(sentence))
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if is_code else escape(piece)
        for piece, is_code in pieces
    )


FILTERS: Mapping[str, Callable[..., Any]] = {
    "figure": figure,
    "number": number,
    "metric": phrases.title,
    "settings": lambda rule: ", ".join(f"{key} {value}" for key, value in phrases.settings(rule)),
    "gravest": _sorted,
    "ticked": _ticked,
}


def _of(content: Content, about: Content) -> list[Content]:
    """Return what was found in predictions, each with its verdict."""
    return [
        {**entry, "verdict": verdict}
        for verdict, entries in (
            (phrases.ALERT, content["alerts"]),
            (phrases.NOTE, content["notes"]),
        )
        for entry in entries
        if entry["part"] == about["name"]
    ]


def _days(abouts: Sequence[Content]) -> Days | None:
    """Return the days that pictures show: the latest of all that something is known of."""
    dates = sorted({day["date"] for about in abouts for day in about["days"]})
    return Days(dates[max(0, len(dates) - LATEST)], dates[-1]) if dates else None


def _picture(one: Feature, days: Days | None) -> dict[str, Any]:
    about = one.about
    shown = {"name": about["name"], "importance": about.get("importance"), "mark": one.mark}
    shown |= {"findings": one.findings, "labels": [], "plots": [], "lacking": False}
    if days is None or not about["days"]:
        return shown
    about = _within(about, days)
    windows = [phrases.WINDOWS.get(finding["window"], 0) for finding in one.findings]
    window = max(windows, default=0)
    is_category = about["kind"] == "category"
    draw = charts.categories if is_category else charts.numbers
    lacking = charts.missing(about, days, WIDTH)
    shown["plots"] = [draw(about, days, window, WIDTH, HEIGHT)]
    shown["plots"] += [] if lacking is None else [lacking]
    shown["labels"] = charts.stack(about).names if is_category else []
    shown["lacking"] = lacking is not None
    return shown


def _within(about: Content, days: Days) -> dict[str, Any]:
    return {**about, "days": [day for day in about["days"] if days.at(day["date"]) >= 0]}


def _row(one: Feature, days: Days | None) -> dict[str, Any]:
    """Return the line of a feature that gets no picture."""
    about, recent = one.about, one.about["days"][-phrases.RECENT :]
    reference = about["reference"]
    medians = [day["median"] for day in recent if day.get("median") is not None]
    return {
        "name": about["name"],
        "mark": one.mark,
        "importance": about.get("importance"),
        "missing": phrases.mean(recent, "missing"),
        "missing_before": reference.get("missing") or 0.0,
        "median": sum(medians) / len(medians) if medians else None,
        "median_before": reference.get("median"),
        "spark": "" if days is None else charts.spark(_within(about, days), days) or "",
    }


def _performance(entries: Sequence[Content]) -> dict[str, Any]:
    """Return the pictures of metrics over all rows and of their worst slices, and all figures."""
    told = [one for one in entries if one["sequence"]]
    whole = [one for one in told if not one["slice"]]
    sliced = sorted((one for one in told if one["slice"]), key=_lost, reverse=True)
    drawn = [_metric(one) for one in [*whole, *sliced[:SLICES]]]
    return {"plots": drawn, "rows": [*whole, *sliced], "without": len(entries) - len(told)}


def _lost(entry: Content) -> float:
    """Return by how many margins a metric is worse than its reference, at the least."""
    bound, last = phrases.bound(entry), entry["sequence"][-1]
    ends = [last[key] for key in ("low", "high") if last[key] is not None]
    if len(ends) < 2 or bound is None or bound == entry["reference"]:
        return 0.0
    return min(float((end - entry["reference"]) / (bound - entry["reference"])) for end in ends)


def _metric(entry: Content) -> dict[str, Any]:
    sequence = entry["sequence"][-3 * LATEST :]
    days = Days(sequence[0]["date"], sequence[-1]["date"])
    width = WIDTH if entry["slice"] else WIDE
    bound = phrases.bound(entry)
    plot = charts.performance({**entry, "sequence": sequence}, days, bound, width, HEIGHT)
    name = phrases.title(entry["metric"]) + (f": {entry['slice']}" if entry["slice"] else "")
    return {"name": name, "slice": entry["slice"], "lost": _lost(entry), "plot": Markup(plot)}


def _origin(content: Content) -> list[tuple[str, Any]]:
    log, policy = content["log"], content["policy"]
    return [
        ("model since", content["model"]["since"] or "unknown"),
        ("rows", f"{log['rows']:,}"),
        ("days", f"{log['days']:,}, {log['first'] or 'none'} to {log['last'] or 'none'}"),
        ("mature outcomes", f"{log['outcomes']:,}"),
        ("outcomes are mature after", f"{policy['maturity_days']} days"),
        ("chance of a false alarm", policy["alpha"]),
    ]
