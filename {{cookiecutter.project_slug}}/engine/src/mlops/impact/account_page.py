"""impact.html and impact.md: the account for people who read no metrics, in their language."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..evaluation.report.rendering import render
from ..evaluation.report.svg import Axis, Plot, padded
from ..files import write_text
from ..monitoring.page import TEMPLATES
from .account import NAME
from .wording import LANGUAGES, Words

PAGE = f"{NAME}.html"
ENGINE = Path(__file__).with_name("templates")
WIDTH, HEIGHT = 940, 220
Account = Mapping[str, Any]


def write(folder: Path, account: Account, language: str, templates: Path = TEMPLATES) -> Path:
    """Write the account, its short form and its page; return where the page is."""
    words = LANGUAGES[language]
    text = json.dumps(account, indent=2, ensure_ascii=False) + "\n"
    write_text(folder / f"{NAME}.json", text)
    write_text(folder / f"{NAME}.md", markdown(account, words))
    write_text(folder / PAGE, page(account, words, templates))
    return folder / PAGE


def page(account: Account, words: Words, templates: Path = TEMPLATES) -> str:
    """Return the page, which needs neither the network nor a script."""
    context = {
        "account": account,
        "words": words,
        "lead": lead(account, words),
        "header": _header(words),
        "rows": [_row(one, words) for one in account["months"]],
        "charts": [
            (words.chart.format(currency=currency or "?"), _chart(account, currency))
            for currency in _currencies(account)
        ],
        "tried": [_tried(one, words) for one in account["experiments"]],
        "served": [_served(one, words) for one in account["models"]],
    }
    return render(PAGE, context, {}, templates, ENGINE)


def markdown(account: Account, words: Words) -> str:
    """Return the account as Markdown."""
    lines = [f"# {words.title}", "", lead(account, words), "", f"## {words.months}", ""]
    lines += _table(_header(words), [_row(one, words) for one in account["months"]])
    lines += ["", f"## {words.how}", "", *(f"- {one}" for one in words.explained)]
    if account["experiments"]:
        lines += ["", f"## {words.tried}", ""]
        header = [words.ended, words.model, words.verdict, words.before]
        lines += _table(header, [_tried(one, words) for one in account["experiments"]])
    lines += ["", f"## {words.served}", ""]
    served = [_served(one, words) for one in account["models"]]
    lines += _table([words.since, words.until, words.model], served)
    return "\n".join(lines) + "\n"


def lead(account: Account, words: Words) -> str:
    """Return the first sentence."""
    months = account["months"]
    return words.lead.format(
        environment=account["environment"],
        decisions=f"{sum(one['decisions'] for one in months):,}",
        people=f"{sum(one['people'] for one in months):,}",
        first=months[0]["month"],
        last=months[-1]["month"],
    )


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    return lines + [f"| {' | '.join(one.replace('|', '/') for one in row)} |" for row in rows]


def _header(words: Words) -> list[str]:
    counted = [words.month, words.model, words.decisions, words.people, words.decided]
    return [*counted, words.nothing, words.before]


def _row(one: Account, words: Words) -> list[str]:
    decided = ", ".join(f"{label} {count:,}" for label, count in one["labels"].items())
    earned = "; ".join(
        words.interval.format(**_ends(ends, currency)) for currency, ends in one["nothing"].items()
    )
    counts = [f"{one['decisions']:,}", f"{one['people']:,}", decided]
    model = f"{one['name'] or '?'} {one['model'][:12]}"
    against = _before(one["before"], one["nothing"], words)
    return [one["month"], model, *counts, earned or words.unknown, against]


def _before(against: Account | None, earned: Account, words: Words) -> str:
    if against is None:
        return words.untested
    if against["measure"]["name"] == "value":
        currency = next(iter(earned), "") if len(earned) == 1 else ""
        return words.interval.format(**_ends(against["difference"], currency))
    return words.points.format(**_ends(against["difference"], "", ".3f"))


def _ends(ends: list[float], currency: str, layout: str = "") -> dict[str, str]:
    unit = f" {currency}" if currency else ""
    names = ("value", "low", "high")
    return {name: f"{_money(end, layout)}{unit}" for name, end in zip(names, ends, strict=True)}


def _money(value: float, layout: str = "") -> str:
    if layout:
        return f"{value:+{layout}}"
    return f"{value:+,.0f}" if abs(value) >= 100 else f"{value:+,.2f}"


def _tried(one: Account, words: Words) -> list[str]:
    measure = one["measure"] or {}
    shown = words.untested
    if one["effect"]:
        layout = "" if measure.get("name") == "value" else ".3f"
        shown = words.points.format(**_ends(one["effect"], "", layout))
    verdict = words.verdicts.get(one["verdict"], one["verdict"])
    return [str(one["at"]), one["challenger"][:12], verdict, shown]


def _served(one: Account, words: Words) -> list[str]:
    return [one["since"], one["until"] or words.now, f"{one['name']} {one['model'][:12]}"]


def _currencies(account: Account) -> list[str]:
    return sorted({currency for one in account["months"] for currency in one["nothing"]})


def _chart(account: Account, currency: str) -> Plot:
    """Draw what each month earned, with its interval; models of a month are added up."""
    months: dict[str, list[float]] = {}
    for one in account["months"]:
        if currency in one["nothing"]:
            value, low, high = one["nothing"][currency]
            total, squares = months.get(one["month"], [0.0, 0.0])
            months[one["month"]] = [total + value, squares + ((high - low) / 2) ** 2]
    ends = {month: (v - s**0.5, v, v + s**0.5) for month, (v, s) in months.items()}
    limits = padded([0.0, *(value for three in ends.values() for value in three)])
    across = Axis(-0.5, len(ends) - 0.5, fixed=())
    plot = Plot(currency, across, Axis(*limits), WIDTH, HEIGHT, bottom=26).axes()
    plot.line([(-0.5, 0.0), (len(ends) - 0.5, 0.0)], "line ref")
    for at, (month, (low, value, high)) in enumerate(ends.items()):
        tip = f"{month}: {_money(value)} ({_money(low)} to {_money(high)})"
        plot.rect((at - 0.3, at + 0.3), (0.0, value), "bar", tip)
        plot.line([(at, low), (at, high)], "whisker ink", tip)
        plot.text(plot.x(at), plot.height - plot.bottom + 16, month, "tick middle")
    return plot
