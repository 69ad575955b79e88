"""What a person reads in an issue says what was found, and nothing in it acts as markup."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from mlops.monitoring.markdown import markdown, sentence

Content = dict[str, Any]
ISSUE = 65_536  # characters that GitHub takes


def test_what_to_do_comes_first_then_what_was_found(content: Content) -> None:
    said = markdown(content)
    assert said.startswith("## Monitor: alert\n\nchurn (binary) on 42,840 rows of 60 days, ")
    heads = re.findall(r"^### (.*)", said, re.MULTILINE)
    assert heads == ["What to do next", "Alerts", "Notes", "Performance"]
    assert "- **missing** monthly_fee: monthly_fee: 15 % of the rows" in said
    assert "| Log loss ↓ | all | 18,000 | 0.4592 | 0.4527 to 0.4656 | 0.41 | 0.02 |" in said
    assert "| alert | <code>monthly_fee</code> | 0.12 | 4.971 | 2 | 6.4% | 5.0% |" in said
    assert "Rules: 1 alert, 1 note, 0 quiet, 1 not judged" in said


def test_a_quiet_report_has_no_empty_heads(content: Content) -> None:
    content |= {"verdict": "quiet", "alerts": [], "notes": [], "next": [], "performance": []}
    said = markdown(content)
    assert re.findall(r"^### (.*)", said, re.MULTILINE) == ["Performance"]
    assert "No outcome is old enough" in said


def test_names_stay_names(content: Content, hostile: str) -> None:
    by = json.dumps(hostile)[1:-1]
    for name in ("monthly_fee", "plan", "region=north", "churn"):
        said = markdown(json.loads(json.dumps(content).replace(name, by)))
        for acting in ("<script", "@team", "](http", "**bold**", "`code`", "\n# head"):
            assert acting not in said
        for one in re.findall(r"(?:^\|.*\n)+", said, re.MULTILINE):
            assert len({line.count("|") for line in one.splitlines()}) == 1


def test_two_hundred_features_fit_into_an_issue(reported: Callable[..., Content]) -> None:
    content = reported(200, 90)
    finding = {**content["alerts"][0], "reason": "a reason of some hundred letters " * 4}
    content["alerts"] = [{**finding, "part": about["name"]} for about in content["features"]]
    said = markdown(content)
    assert len(said) < ISSUE
    assert "160 more stand in monitor.json" in said


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("run `make repro` now", "run <code>make repro</code> now"),
        ("`make repro`", "<code>make repro</code>"),
        ("one ` alone", "one &#96; alone"),
        ("`<b>` @x", "<code>&lt;b&gt;</code> &#64;&#8203;x"),
    ],
)
def test_commands_are_code(words: str, shown: str) -> None:
    assert sentence(words) == shown


def test_slices_and_mature_outcomes_are_named(content: Content) -> None:
    told = markdown(content)
    assert "30,211 mature outcomes; judged" in told
    assert "where an alert may be of the latest weeks alone:" in told
    assert "<code>region=north</code> |" in told
    log = {**content["log"], "outcomes": 0}
    early = markdown({**content, "log": log, "performance": []})
    assert "with no mature outcomes; judged" in early
    assert "latest weeks" not in early
    assert "1 mature outcome;" in markdown({**content, "log": {**log, "outcomes": 1}})
