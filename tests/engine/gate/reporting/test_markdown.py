"""What a reviewer reads says what the report holds, and nothing in it acts as markup."""

import re
from pathlib import Path
from typing import Any

import pytest

from mlops.bundle.escaping import SHOWN
from mlops.gate.markdown import bar, markdown, table
from mlops.gate.page import page
from mlops.gate.phrases import summary


def test_the_verdict_comes_first_then_the_reasons(content: dict[str, Any]) -> None:
    said = markdown(content)
    assert said.startswith("## Gate: rejected\n")
    places = [said.index(head) for head in re.findall(r"^### .*", said, re.MULTILINE)]
    assert places == sorted(places)
    assert said.index("### Why") < said.index("### Metrics") < said.index("### Rules")


def test_figures_come_with_interval_and_difference(content: dict[str, Any]) -> None:
    said = markdown(content)
    line = "| ROC AUC ↑ | 0.8123 (0.79 to 0.83) | 0.8123 (0.79 to 0.83) | -0.01 (no interval) |"
    assert line in said
    assert "| 1,200 | 0.5 | ████████ | 0.75 | -0.25 |" in said
    assert "| 1,200 | 1 |  | undefined | undefined |" in said
    assert "| 1,200 | undefined |  | 0.7 | undefined |" in said
    assert "train 100 to 110, holdout 20 to 22. 3 files kept." in said
    assert "(none)" in said


def test_what_a_reviewer_must_know_is_said(content: dict[str, Any]) -> None:
    said = markdown(content)
    for part in (
        "judged itself",
        "not the commit",
        "changes the policy",
        "Landlock",
    ):
        assert part in said
    assert "send data by UDP" not in said
    for held in ("Landlock (ABI 7) and seccomp", "Landlock (ABI 7)", ""):
        content["judge"]["confinement"] = held
        assert ("send data by UDP" in markdown(content)) == (held == "Landlock (ABI 7)")
    assert "Nothing of what was judged ran." in markdown(content)
    assert "engine/ of this branch" not in said
    content["candidate"]["engine"] = {"version": "0.2.0", "intact": False}
    assert "engine/ of this branch is not as version 0.2.0 made it" in markdown(content)
    content["policy"]["branch"] = {"error": "nothing there"}
    assert "does not take: nothing there" in markdown(content)


def test_what_is_still_to_come_is_said_everywhere(content: dict[str, Any]) -> None:
    for said in (markdown(content), page(content), summary(content, Path("reports/gate"))):
        assert "Still to come" not in said
        assert "pending" not in said
    content |= {"verdict": "passed", "reasons": [], "pending": ["reproduced"]}
    content["rules"][0] |= {"name": "reproduced", "verdict": "pending"}
    for said in (markdown(content), page(content), summary(content, Path("reports/gate"))):
        assert "Still to come: reproduced." in said
        assert "mlops gate --rederive" in said
    assert "0 rejected, 1 pending" in page(content)


def test_a_first_model_has_nothing_to_compare(content: dict[str, Any]) -> None:
    content |= {"champion": None, "configuration": None, "data": None, "slices": []}
    del content["metrics"][0]["champion"], content["metrics"][0]["difference"]
    said = markdown(content)
    assert "first model" in said
    assert "| metric | candidate |\n" in said
    assert "No slice has enough rows" in said


def test_hostile_names_stay_names(content: dict[str, Any]) -> None:
    said = markdown(content)
    assert "<script" not in said
    assert "@team" not in said
    assert "](http" not in said
    assert "**bold**" not in said
    assert "`code`" not in said
    assert "\n# head" not in said
    lines = [line for line in said.splitlines() if line.startswith("|")]
    tables = re.findall(r"(?:^\|.*\n)+", said, re.MULTILINE)
    assert sum(one.count("\n") for one in tables) == len(lines)
    for one in tables:
        assert len({line.count("|") for line in one.splitlines()}) == 1
    tags = set(re.findall(r"</?([a-z]+)", said))
    assert tags == {"details", "summary", "b", "code"}


def test_a_long_table_says_where_the_rest_is() -> None:
    assert "2 more stand in gate.json" in table(["a"], [["x"]] * (SHOWN + 2))


@pytest.mark.parametrize(
    ("share", "drawn"),
    [(0.0, ""), (0.5, "████"), (1.0, "████████"), (0.05, "▍"), (7.0, "████████")],
)
def test_a_bar_is_as_long_as_its_share(share: float, drawn: str) -> None:
    assert bar(share) == drawn


def test_settings_of_the_search_are_folded_away(content: dict[str, Any]) -> None:
    search = [{"key": f"model.search.{n}.low", "before": 1, "after": 2} for n in range(12)]
    lead = {"key": "model.use", "before": "boosting", "after": "forest"}
    told = markdown(content | {"configuration": [search[0], lead, *search[1:]]})
    before, _, folded = told.partition("<details><summary>and 12 settings of the search</summary>")
    assert "model.use" in before
    assert "model.search" not in before
    assert folded.partition("</details>")[0].count("model.search") == 12
    assert told.index("What changed in the experiment") < told.index("Worst slices")
    assert "and 12 of the search</summary>" in page(content | {"configuration": [lead, *search]})
    alone = markdown(content | {"configuration": search[:1]})
    assert "and 1 setting of the search" in alone
