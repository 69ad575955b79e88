"""gate.md: what a reviewer reads in the pull request, the verdict first."""

from collections.abc import Iterable, Sequence
from typing import Any

from ..bundle import escaping
from ..bundle.escaping import code, text
from ..bundle.figures import estimate, figure, shown
from ..bundle.verdict import REPORT
from . import phrases
from .phrases import Content

EIGHTHS = " ▏▎▍▌▋▊▉█"
WIDTH = 8
TELLS = "these rows tell a loss of"


def markdown(content: Content) -> str:
    """Return the report as GitHub's Markdown; no text in it can act as markup."""
    parts = [
        f"## Gate: {content['verdict']}",
        text(phrases.lead(content)),
        *_reasons(content),
        *(f"> {text(note)}" for note in phrases.notes(content)),
        "### Metrics",
        _metrics(content),
        *_experiment(content),
        *_policy(content),
        *_data(content),
        *_slices(content),
        "### Rules",
        *(_rule(entry) for entry in [*content["checks"], *content["rules"]]),
        _digests(content),
    ]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already."""
    return escaping.table(header, rows, REPORT)


def bar(share: float) -> str:
    """Return a bar of up to WIDTH blocks."""
    eighths = round(min(max(share, 0.0), 1.0) * WIDTH * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def _reasons(content: Content) -> list[str]:
    if not content["reasons"]:
        return []
    lines = [
        f"- **{text(one['name'])}** {text(one['part'])}: {text(one['reason'])}"
        for one in content["reasons"]
    ]
    return ["### Why", "\n".join(lines)]


def _metrics(content: Content) -> str:
    compared = content["champion"] is not None and "champion" in content["metrics"][0]
    confidence = f"{content['policy']['confidence']:.0%}"
    header = ["metric", "candidate"]
    header += ["champion", f"difference ({confidence} interval)", TELLS] if compared else []
    rows = [
        [phrases.title(row["metric"]), estimate(row["candidate"]), *_compared(row)]
        for row in content["metrics"]
    ]
    return table(header, rows)


def _compared(row: Content) -> list[str]:
    if "champion" not in row:
        return []
    told = figure(row.get("tells"))
    return [estimate(row["champion"]), estimate(row["difference"], True), told]


def _slices(content: Content) -> list[str]:
    rows = content["slices"]
    if not rows:
        return ["### Worst slices", "No slice has enough rows to be looked at."]
    compared = "champion" in rows[0]
    header = ["slice", "rows", "candidate", "worse than the whole"]
    header += ["champion", "difference"] if compared else []
    lines = []
    for row, gap in zip(rows, _gaps(content), strict=True):
        cells = [code(row["slice"]), f"{row['rows']:,}", figure(row["candidate"]), bar(gap)]
        lines.append(cells + ([figure(row["champion"]), phrases.moved(row)] if compared else []))
    return [f"### Worst slices, by {phrases.title(rows[0]['metric'])}", table(header, lines)]


def _gaps(content: Content) -> list[float]:
    """Return how much worse each slice is than the whole, as a share of the largest gap."""
    rows = content["slices"]
    whole = next(one for one in content["metrics"] if one["metric"] == rows[0]["metric"])
    sign = 1 if whole["better"] == "more" else -1
    value = whole["candidate"]["value"] or 0.0
    gaps = [
        sign * (value - (value if row["candidate"] is None else row["candidate"])) for row in rows
    ]
    largest = max(gaps)
    return [gap / largest if largest > 0 else 0.0 for gap in gaps]


def _experiment(content: Content) -> list[str]:
    if content["configuration"] is None:
        return []
    title = "### What changed in the experiment since the champion"
    if not content["configuration"]:
        return [title, "Nothing: the same settings."]
    sides = ("champion", "candidate")
    decisive, search = phrases.of_search(content["configuration"])
    found = [_changes(decisive, sides)] if decisive else []
    if search:
        summary = f"<summary>{phrases.counted(search)}</summary>"
        found.append(f"<details>{summary}\n\n{_changes(search, sides)}\n\n</details>")
    return [title, *found]


def _changes(found: Iterable[Content], sides: tuple[str, str]) -> str:
    rows = [
        [code(one["key"]), *(_side(one, side) for side in ("before", "after"))] for one in found
    ]
    return table(["key", *sides], rows)


def _side(one: Content, side: str) -> str:
    return code(shown(one[side])) if side in one else "(none)"


def _data(content: Content) -> list[str]:
    data = content["data"]
    if data is None:
        return []
    now, was = data["rows"], data["rows_before"]
    counts = ", ".join(f"{text(role)} {was.get(role, 0):,} to {now[role]:,}" for role in now)
    rows = [
        [kind, code(file["name"]), _counted(file)]
        for kind in ("added", "removed", "changed")
        for file in data[kind]
    ]
    files = table(["", "file", "rows"], rows) if rows else "The same raw files."
    return ["### Data since the champion", f"Rows: {counts}. {data['kept']} files kept.", files]


def _counted(file: Content) -> str:
    before = f"{file['rows_before']:,} to " if "rows_before" in file else ""
    return f"{before}{file['rows']:,}"


def _policy(content: Content) -> list[str]:
    found = content["policy"]["branch"].get("changes")
    if not found:
        return []
    return ["### What this branch changes in the policy", _changes(found, ("base", "branch"))]


def _rule(entry: Content) -> str:
    head = f"<summary>{entry['verdict']}: <b>{text(entry['name'])}</b></summary>"
    about = [text(entry["about"]), _settings(entry["settings"])] if "about" in entry else []
    rows = [
        [
            one["verdict"],
            text(one.get("part", "")),
            text(one["reason"]),
            *("" if one.get(name) is None else figure(one[name]) for name in FIGURES),
        ]
        for one in entry["findings"]
    ]
    found = table(["verdict", "part", "reason", *FIGURES], rows)
    opened = " open" if entry["verdict"] == "rejected" else ""
    return "\n\n".join([f"<details{opened}>{head}", *(a for a in about if a), found, "</details>"])


FIGURES = ("value", "low", "high", "threshold")


def _settings(settings: dict[str, Any]) -> str:
    given = phrases.settings(settings).items()
    return ", ".join(f"{text(key)} {code(value)}" for key, value in given)


def _digests(content: Content) -> str:
    lines = table(
        ["what", "SHA-256"], [[what, code(one)] for what, one in phrases.digests(content)]
    )
    held = "Nothing of what was judged ran."
    if confinement := content["judge"]["confinement"]:
        held = f"What was judged was confined by {text(confinement)}."
    return f"<details><summary>Digests</summary>\n\n{lines}\n\n{held}\n\n</details>"
