"""What the monitor found, as its reports and alerts get it."""

import math
import os
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hub import Hub

from mlops.bundle.verdict import sealed

LAST = date(2026, 11, 27)
HOSTILE = 'x"><script>alert(1)</script> | `code` **bold** @team [a](http://b.invalid) #1\n# head'
LABELS = ["basic", "plus", "premium"]

Content = dict[str, Any]


@pytest.fixture
def hostile() -> str:
    """A name that careless Markdown or HTML would act on."""
    return HOSTILE


def number(name: str, days: int, importance: float | None = 0.05, moved: float = 0.0) -> Content:
    """A number that moves by so much in its last week."""
    reference = {"rows": 12000, "missing": 0.05, "low": 1.0, "median": 2.0, "high": 5.0}
    told = []
    for at in range(days):
        wave = 0.2 * math.sin(at / 3) + (moved if at >= days - 7 else 0.0)
        missing = 0.05 + (0.1 if moved and at == days - 1 else 0.0)
        quantiles = {"low": 1 + wave, "median": 2 + wave, "high": 5 + wave}
        told.append({"date": day(days, at), "rows": 714, "missing": missing, **quantiles})
    about = {"name": name, "kind": "number", "labels": None, "importance": importance}
    empty = {"shares": None}
    return {
        **about,
        "reference": {**reference, **empty},
        "days": [{**one, **empty} for one in told],
    }


def category(name: str, days: int, importance: float | None = 0.02, moved: float = 0.0) -> Content:
    """A category whose first label loses so much to the last one in its last week."""
    empty = {"low": None, "median": None, "high": None}
    told = []
    for at in range(days):
        lost = 0.02 * math.sin(at / 4) + (moved if at >= days - 7 else 0.0)
        shares = [0.5 - lost, 0.3, 0.2 + lost]
        told.append({"date": day(days, at), "rows": 714, "missing": 0.0, **empty, "shares": shares})
    reference = {"rows": 12000, "missing": 0.0, **empty, "shares": [0.5, 0.3, 0.2]}
    about = {"name": name, "kind": "category", "labels": LABELS, "importance": importance}
    return {**about, "reference": reference, "days": told}


def day(days: int, at: int) -> str:
    """The date of one of so many days, of which the last is always the same."""
    return str(LAST - timedelta(days=days - 1 - at))


def found(rule: str, part: str, kind: str = "quality", window: str = "day") -> Content:
    """An alert or a note."""
    return {
        "rule": rule,
        "kind": kind,
        "part": part,
        "window": window,
        "reason": f"{part or 'all rows'}: 15 % of the rows of the last day, 5 % in the reference",
        "value": 0.15,
        "threshold": 0.01,
    }


def performance(days: int, part: str = "", lost: float = 0.0) -> Content:
    """A metric that gets so much worse to the end."""
    sequence = []
    for at in range(days):
        value = 0.41 + lost * at / days
        width = 0.05 / math.sqrt(1 + at)
        ends = {"value": value, "low": value - width, "high": value + width}
        sequence.append({"date": day(days, at), "rows": 300 * (at + 1), **ends})
    return {
        "metric": "log_loss",
        "slice": part,
        "reference": 0.41,
        "margin": 0.02,
        "sequence": sequence,
    }


def rule(name: str, kind: str, verdict: str, findings: list[Content]) -> Content:
    """A rule with its findings."""
    empty = {"value": None, "low": None, "high": None, "threshold": None, "p": None}
    return {
        "name": name,
        "rule": name,
        "kind": kind,
        "about": f"what {name} asks, in a sentence",
        "source": "engine",
        "settings": {"least": 0.01, "windows": ["day", "week"], "by": None},
        "verdict": verdict,
        "findings": [{**empty, "window": "day", **one} for one in findings],
    }


def report(features: int = 6, days: int = 60) -> Content:
    """A report with an alert, a note and what was not judged, not sealed yet."""
    numbers = features - features // 3
    abouts = [
        number("monthly_fee", days, 0.12, moved=3.0),
        *(number(f"amount_{at}", days, 0.1 / (at + 1)) for at in range(numbers - 1)),
        category("plan", days, 0.03, moved=0.2),
        *(category(f"kind_{at}", days, None) for at in range(features // 3 - 1)),
    ]
    alert, note = found("missing", "monthly_fee"), found("features", "plan", "drift", "week")
    judged = {"verdict": "alert", "part": "monthly_fee", "reason": alert["reason"]}
    quiet = [
        {"verdict": "quiet", "part": about["name"], "reason": "as in the reference"}
        for about in abouts[1:]
    ]
    late = {"verdict": "not judged", "part": "", "reason": "no outcome is 30 days old"}
    return {
        "format": 1,
        "verdict": "alert",
        "name": "churn",
        "task": "binary",
        "at": str(LAST),
        "model": {"sha256": "a" * 64, "since": day(days, 0)},
        "log": {
            "rows": 714 * days,
            "days": days,
            "first": day(days, 0),
            "last": str(LAST),
            "outcomes": 30211,
        },
        "policy": {"sha256": "b" * 64, "alpha": 0.005, "maturity_days": 30},
        "alerts": [alert],
        "notes": [note],
        "rules": [
            rule("missing", "quality", "alert", [*quiet, judged]),
            rule("features", "drift", "note", [{**judged, "verdict": "note", "part": "plan"}]),
            rule("performance", "performance", "not judged", [late]),
        ],
        "features": abouts,
        "predictions": [number("", days, None)],
        "performance": [performance(days, lost=0.05), performance(days, "region=north", 0.01)],
        "estimated": {"metric": "log_loss", "value": 0.4},
        "next": ["mend where `monthly_fee` comes from: `mlops data` says which source it has"],
    }


@pytest.fixture
def content() -> Content:
    """A report as it is read: sealed."""
    return sealed(report())


@pytest.fixture
def reported() -> Callable[..., Content]:
    """Make a report of so many features and days."""

    def made(features: int = 6, days: int = 60) -> Content:
        return sealed(report(features, days))

    return made


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A GitHub, which `gh` on the PATH asks as automation."""
    made = Hub(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/churn")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.invalid")
    monkeypatch.setenv("GITHUB_RUN_ID", "17")
    monkeypatch.delenv("MLOPS_WEBHOOK_URL", raising=False)
    yield made
    made.stop()
