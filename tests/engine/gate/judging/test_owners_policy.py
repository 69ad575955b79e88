"""A metric and a rule of the owner's in one pull request: the base judges by what it knows."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlops.bundle import verdict
from mlops.gate.rerun import REQUEST
from mlops.release.evidence import check_judge

METRIC = """from mlops.metrics.catalogue import metric


@metric(title="Novelty", greater_is_better=True, tasks=["binary"], unit=True)
def novelty(target, predictions, weights):
    return (weights * predictions).sum() / weights.sum()
"""
RULE = '''from mlops.gate.rule import Finding, Rule


class Never(Rule, frozen=True):
    """Reject everything."""

    def judge(self, case):
        return [Finding("rejected", "no model ever")]
'''


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUEST, raising=False)


def measured(primary: str, value: float = 0.3) -> Any:
    """Return an edit of a bundle that measures the new metric."""

    def change(bundle: Path, _: dict[str, Any]) -> None:
        figures = json.loads((bundle / "metrics.json").read_text())
        figures["holdout"]["novelty"] = {"value": value, "low": 0.2, "high": 0.4}
        (bundle / "metrics.json").write_text(json.dumps(figures))
        text = (bundle / "resolved.yaml").read_text()
        text = text.replace("primary: roc_auc", f"primary: {primary}")
        (bundle / "resolved.yaml").write_text(text)

    return change


@pytest.mark.parametrize("primary", ["roc_auc", "novelty"])
def test_a_metric_that_only_the_branch_knows_is_named_and_passes(second: Any, primary: str) -> None:
    second.write("src/policy/metrics.py", METRIC)
    second.edit(measured(primary))
    assert second.gate() == 0
    report, told = second.report, second.told("gate.md")
    assert report["unknown_metrics"]["names"] == ["novelty"]
    assert "novelty" not in [row["metric"] for row in report["metrics"]]
    assert {row["metric"] for row in report["slices"]} == {"roc_auc"}
    assert "does not know yet: novelty" in told
    assert ("leads with another" in told) is (primary == "novelty")


def test_what_main_knows_is_computed_again(second: Any) -> None:
    second.on_main(("src/policy/metrics.py", METRIC))
    second.edit(measured("novelty", value=0.999))
    assert second.gate() == 1
    (reason,) = [one["reason"] for one in second.report["reasons"] if one["name"] == "candidate"]
    assert "and it says 0.999" in reason
    assert "needs another name" in reason


def test_the_rules_of_main_judge_and_those_of_the_branch_are_told(second: Any) -> None:
    never = second.policy + "  never: {}\n"
    second.write("src/policy/rules.py", RULE)
    second.write("conf/gate/standard.yaml", never)
    assert second.gate() == 0
    assert "no rule 'never'" in second.report["policy"]["branch"]["error"]
    second.on_main(("src/policy/rules.py", RULE), ("conf/gate/standard.yaml", never))
    second.write("src/policy/rules.py", RULE.replace("rejected", "passed"))
    assert second.gate() == 1
    assert [one["name"] for one in second.report["reasons"]] == ["never"]


def test_the_digest_of_the_judge_covers_the_owners_policy(second: Any) -> None:
    assert second.gate() == 0
    before, main = second.report, second.git("rev-parse", "main")
    check_judge(second.repository, before, main)
    assert before["judge"]["sha256"] == verdict.judge_sha256(second.root)
    second.on_main(("src/policy/rules.py", RULE))
    assert second.gate() == 0
    assert second.report["judge"]["sha256"] != before["judge"]["sha256"]
    wrong = second.report | {"judge": before["judge"]}
    with pytest.raises(verdict.VerdictError, match="not judged by the code of"):
        check_judge(second.repository, wrong, second.git("rev-parse", "main"))


def test_a_broken_policy_of_main_ends_in_two_with_file_and_line(
    second: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    second.on_main(("src/policy/rules.py", "\nimport nothing_of_this_name\n"))
    assert second.gate() == 2
    assert "src/policy/rules.py:2 cannot be imported" in capfd.readouterr().err


def test_the_page_is_by_the_template_of_main(
    second: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    name = "src/policy/templates/gate.html"
    own = '{% extends "engine/gate.html" %}{% block before %}\nNoted by OURS{% endblock %}'
    second.on_main((name, own))
    second.write(name, own.replace("OURS", "A BRANCH"))
    assert second.gate() == 0
    assert "Noted by OURS" in second.told("gate.html")
    assert "A BRANCH" not in second.told("gate.html")
    second.on_main((name, own.replace("OURS", "{{ nothing }}")))
    assert second.gate() == 2
    assert f"{name}:2 cannot be rendered ('nothing' is undefined)" in capfd.readouterr().err
    assert not list((second.root / "reports/gate").iterdir())
