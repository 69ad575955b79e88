"""gate.html: the verdict on one self-contained page, in the style of the holdout report."""

from collections.abc import Iterable
from html import escape

from ..bundle.figures import estimate, shown
from ..evaluation.report.html import card, figure, pair, table
from ..evaluation.report.style import STYLE
from ..evaluation.report.svg import Axis, Plot, padded, short
from . import phrases
from .phrases import Content

WIDE, ROW, LEFT = 940, 24, 270
EXTRA = (
    ".verdict { --c: var(--s2); } .verdict.rejected { --c: var(--s1); } "
    ".verdict .big { color: var(--c); font-size: 48px; } li { margin: 4px 0; } "
    "summary b { color: var(--ink); } details td { overflow-wrap: break-word; }"
)


def page(content: Content) -> str:
    """Return the report, which needs neither the network nor a script."""
    name = escape(content["candidate"]["name"])
    body = [
        f'<p class="eyebrow">Gate · {escape(content["candidate"]["task"])}</p><h1>{name}</h1>'
        f'<p class="muted">{escape(phrases.lead(content))}</p>',
        _verdict(content),
        "<h2>Every metric</h2>",
        f'<section class="card">{_metrics(content)}</section>',
        _slices(content),
        _changed(content),
        "<h2>Rules</h2>",
        *(_rule(entry) for entry in [*content["checks"], *content["rules"]]),
        _facts(content),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}: {content['verdict']}</title><style>{STYLE}{EXTRA}</style></head>\n"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _verdict(content: Content) -> str:
    reasons = "".join(
        f"<li><b>{escape(one['name'])}</b> {escape(one['part'])}: {escape(one['reason'])}</li>"
        for one in content["reasons"]
    )
    notes = "".join(f'<p class="muted note">{escape(one)}</p>' for one in phrases.notes(content))
    said = content["verdict"]
    rules = [entry["verdict"] for entry in content["rules"]]
    kinds = ("passed", "rejected", *(["pending"] if content["pending"] else []), "not applicable")
    counts = ", ".join(f"{rules.count(one)} {one}" for one in kinds)
    return (
        f'<div class="lead"><section class="card hero verdict {said}"><h3>Verdict</h3>'
        f'<p class="big">{said}</p><p class="muted">Rules: {counts}</p></section>'
        f'<section class="card"><h3>{"Why" if reasons else "Nothing speaks against it"}</h3>'
        f"<ul>{reasons}</ul>{notes}</section></div>"
    )


def _metrics(content: Content) -> str:
    rows = content["metrics"]
    compared = "champion" in rows[0]
    confidence = f"{content['policy']['confidence']:.0%} interval"
    header = ["Metric", f"Candidate ({confidence})"]
    header += ["Champion", "Difference"] if compared else []
    cells = []
    for row in rows:
        line = [
            f"<td>{escape(phrases.title(row['metric']))}</td>",
            _cell(estimate(row["candidate"])),
        ]
        if compared:
            line += [_cell(estimate(row["champion"])), _cell(estimate(row["difference"], True))]
        cells.append(line)
    return table(header, cells, numbers=1)


def _slices(content: Content) -> str:
    rows = [row for row in content["slices"] if row["candidate"] is not None]
    if not rows:
        return ""
    metric = phrases.title(rows[0]["metric"])
    compared = "champion" in rows[0]
    labels = ["candidate", "champion"] if compared else []
    caption = "The worst first. Each dot is the metric on the rows of one slice."
    chart = _chart(rows, metric)
    return "<h2>Worst slices</h2>" + figure(f"{metric} by slice", caption, chart, labels)


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


def _changed(content: Content) -> str:
    parts = []
    if content["configuration"]:
        shown = _changes(content["configuration"], "Champion", "Candidate")
        parts.append(f'<h2>Changed settings</h2><section class="card">{shown}</section>')
    if found := content["policy"]["branch"].get("changes"):
        shown = _changes(found, "Base", "Branch")
        parts.append(f'<h2>Changed policy</h2><section class="card">{shown}</section>')
    if (data := content["data"]) is not None:
        rows = data["rows"].items()
        facts = [(role, f"{data['rows_before'].get(role, 0):,} to {n:,} rows") for role, n in rows]
        facts += [
            (kind, ", ".join(f"{one['name']} ({one['rows']:,} rows)" for one in data[kind]))
            for kind in ("added", "removed", "changed")
            if data[kind]
        ]
        facts.append(("kept", f"{data['kept']} files"))
        parts.append("<h2>Data since the champion</h2>" + card("Raw files", facts))
    return "".join(parts)


def _changes(found: Iterable[Content], before: str, after: str) -> str:
    rows = [
        [f"<td>{escape(str(one['key']))}</td>"]
        + [
            f"<td>{escape(shown(one[side])) if side in one else ''}</td>"
            for side in ("before", "after")
        ]
        for one in found
    ]
    return table(["Key", before, after], rows, numbers=3)


def _rule(entry: Content) -> str:
    rows = [
        [
            f"<td>{one['verdict']}</td>",
            f"<td>{escape(one.get('part', ''))}</td>",
            f"<td>{escape(one['reason'])}</td>",
        ]
        for one in entry["findings"]
    ]
    about = f'<p class="muted">{escape(entry["about"])}</p>' if "about" in entry else ""
    given = phrases.settings(entry.get("settings", {})).items()
    settings = ", ".join(f"{key} {value}" for key, value in given)
    opened = " open" if entry["verdict"] == "rejected" else ""
    return (
        f"<details{opened}><summary>{entry['verdict']}: <b>{escape(entry['name'])}</b></summary>"
        f'<section class="card">{about}<p class="muted note">{escape(settings)}</p>'
        f"{table(['Verdict', 'Part', 'Reason'], rows, numbers=3)}</section></details>"
    )


def _facts(content: Content) -> str:
    champion, policy = content["champion"], content["policy"]
    digests: list[tuple[str, object]] = [
        ("report", content["digest"]),
        ("candidate", content["candidate"]["sha256"]),
        ("champion", champion["sha256"] if champion else "none"),
        ("policy", policy["sha256"]),
        ("code", content["judge"]["sha256"]),
        ("holdout", content["holdout"]["sha256"]),
    ]
    origin: list[tuple[str, object]] = [
        ("against", f"{content['against']['ref']} {content['against']['commit']}"),
        ("policy", f"{policy['ref']} {policy['commit']}"),
        ("resamples", f"{policy['resamples']:,}, seed {policy['seed']}"),
        ("candidate's commit", content["candidate"]["commit"]),
        *content["judge"]["versions"].items(),
    ]
    return "<h2>What this rests on</h2>" + pair(card("Digests", digests), card("Origin", origin))


def _cell(words: str) -> str:
    return f'<td class="n">{escape(words)}</td>'
