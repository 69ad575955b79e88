"""Whole reports, as they are to be read: the files in expected/ change with what reports say."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mlops.gate.markdown import markdown
from mlops.gate.page import page

EXPECTED = Path(__file__).parent / "expected"


def plain(content: dict[str, Any], hostile: str) -> dict[str, Any]:
    """A candidate that a branch with its own policy and features made, against a champion."""
    told = json.dumps(content).replace(json.dumps(hostile)[1:-1], "region=north")
    read: dict[str, Any] = json.loads(told)
    read["champion"]["sha256"] = "7" * 64
    return read


def first(content: dict[str, Any], hostile: str) -> dict[str, Any]:
    """A first model that passes on grouped rows of too few kinds to slice."""
    told = plain(content, hostile) | {"champion": None, "configuration": None, "data": None}
    told |= {"verdict": "passed", "reasons": [], "slices": [], "head": "9" * 40}
    told["metrics"] = [
        {"metric": name, "better": "less", "candidate": told["metrics"][0]["candidate"]}
        for name in ("log_loss", "brier")
    ]
    told["policy"] |= {"commit": "b" * 40, "branch": {"sha256": "e" * 64, "changes": []}}
    told["judge"]["code"] = "base"
    told["holdout"]["groups"] = None
    told["candidate"] |= {"clean": True, "commit": "8" * 40, "features_of": "judge"}
    finding = {"verdict": "passed", "reason": "fine", "value": 0.123456, "low": 0.1, "high": 0.2}
    told["checks"] = [{"name": "champion", "verdict": "not applicable", "findings": []}]
    told["rules"][0] |= {"verdict": "passed", "findings": [finding | {"threshold": 0.05}]}
    return told


def again(content: dict[str, Any], hostile: str) -> dict[str, Any]:
    """The same settings and files as the champion's, a policy that is not taken, and an error."""
    told = plain(content, hostile) | {"configuration": []}
    told["policy"]["branch"] = {"error": "no rules"}
    told["data"] |= {"added": [], "changed": [], "rows_before": {}}
    told["metrics"] = [
        {"metric": "accuracy", "better": "more"},
        {"metric": "rmse", "better": "less"},
    ]
    for row in told["metrics"]:
        for at, who in enumerate(("candidate", "champion", "difference")):
            row[who] = {"value": 0.5 + at, "low": 0.4 + at, "high": 0.6 + at}
    slices = zip(("a=1", "b=2", "c=3"), (1.5, 0.75, None), strict=True)
    told["slices"] = [
        {"slice": name, "rows": 10, "metric": "rmse", "candidate": value, "champion": 1.0}
        for name, value in slices
    ]
    told["rules"][0]["settings"] = {"margins": {"rmse": 0.1}, "by": "value"}
    return told


class Skeleton(HTMLParser):
    """Lists tags with their attributes, and text, without the style sheet."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.style = tag == "style"
        self.lines.append(" ".join([f"<{tag}", *(f"{name}={value!r}" for name, value in attrs)]))

    def handle_endtag(self, tag: str) -> None:
        self.style = False

    def handle_data(self, data: str) -> None:
        if not self.style and data.strip():
            self.lines.append(data)


@pytest.mark.parametrize("kind", [plain, first, again])
def test_a_report_reads_as_expected(content: dict[str, Any], hostile: str, kind: Any) -> None:
    expected = EXPECTED / f"{kind.__name__}.md"
    assert markdown(kind(content, hostile)) == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [plain, first, again])
def test_a_page_shows_what_is_expected(content: dict[str, Any], hostile: str, kind: Any) -> None:
    skeleton = Skeleton()
    skeleton.feed(page(kind(content, hostile)))
    expected = EXPECTED / f"{kind.__name__}.txt"
    assert "\n".join(skeleton.lines) + "\n" == expected.read_text(encoding="utf-8")
