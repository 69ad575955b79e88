"""Policies, rules and reports that would let anything pass do not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops.bundle import verdict
from mlops.bundle.verdict import VerdictError
from mlops.gate.rerun import REQUEST

POLICY = "conf/gate/standard.yaml"
RULES = """
from math import inf, nan

from ..case import Case
from ..rule import Finding, Rule


class Raises(Rule, frozen=True):
    def judge(self, case: Case) -> list[Finding]:
        raise ValueError("broken")


class Swallows(Rule, frozen=True):
    def judge(self, case: Case) -> list[Finding]:
        try:
            return [Finding("passed", str(case.nothing))]
        except AttributeError:
            pass


class Empty(Rule, frozen=True):
    def judge(self, case: Case) -> list[Finding]:
        return []


class Agrees(Rule, frozen=True):
    def judge(self, case: Case) -> list[Finding]:
        return True


class Unknown(Rule, frozen=True):
    def judge(self, case: Case) -> list[Finding]:
        return [Finding("approved", "it looks fine")]


class NotANumber(Rule, frozen=True):
    def judge(self, case: Case) -> list[Finding]:
        return [Finding("passed", "it looks fine", value=nan)]


class Infinite(Rule, frozen=True):
    def judge(self, case: Case) -> list[Finding]:
        return [Finding("passed", "it looks fine", value=1.0, high=inf)]


class Silent(Rule, frozen=True):
    def judge(self, case: Case) -> list[Finding]:
        return [Finding("passed", " ")]


class Leaves(Rule, frozen=True):
    def judge(self, case: Case) -> list[Finding]:
        raise SystemExit(0)
"""
BROKEN = {
    "raises": "ValueError: broken",
    "swallows": "found nothing",
    "empty": "found nothing",
    "agrees": "found nothing",
    "unknown": "no verdict",
    "not_a_number": "value nan is no finite number",
    "infinite": "high inf is no finite number",
    "silent": "gave no reason",
    "leaves": "SystemExit",
}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  lineage: {}", "  lineages: {}", "there is no rule 'lineages'"),
        ("  lineage: {}", "  lineage: {skip: true}", "skip"),
        ("  lineage: {}", "  lineage: false", "got `bool`"),
        ("at_least: 0.7, by: value", "at_least: 0.7", "by"),
        ("at_least: 0.7", "at_least: .nan", "finite"),
        ("at_least: 0.7", "at_least: -.inf", "finite"),
        ("at_least: 0.7", "at_least: low", "at_least"),
        ("resamples: 200", "resamples: 200\ndry_run: true", "dry_run"),
        ("resamples: 200", "resamples: many", "resamples"),
        ("resamples: 200", "resamples: 3", "resamples"),
        ("confidence: 0.95", "confidence: 1.5", "confidence"),
        ("rules:\n", "rules: {}\nunused:\n", "unused"),
    ],
)
def test_a_policy_that_is_not_understood_is_not_judged_by(
    bench: Any, old: str, new: str, said: str
) -> None:
    bench.replace(POLICY, old, new)
    assert said in bench.outcome("start")["exit 2"]


def test_a_policy_without_rules_is_not_judged_by(bench: Any) -> None:
    bench.write(POLICY, "seed: 0\nresamples: 200\nconfidence: 0.95\nrules: {}\n")
    assert "has no rules" in bench.outcome("start")["exit 2"]


@pytest.mark.parametrize(
    ("rule", "entry", "said"),
    [
        ("metric: {metric: rmse, at_most: 9, by: value}", "metric", "rmse"),
        ("metric: {metric: colour, at_least: 0, by: value}", "metric", "colour"),
        ("non_inferiority: {margins: {roc_auc: 0.02}, sides: two}", "policy", "no rule"),
        ("time_order: {}", "policy", "no rule of the policy passed"),
        (
            "slices: {metric: roc_auc, at_least: 0.5, min_rows: 50, min_class_rows: 10,"
            " max_categories: 12, required: [plan=gold]}",
            "slices plan=gold",
            "a required slice has no rows",
        ),
        (
            "slices: {metric: roc_auc, at_least: 0.5, min_rows: 9999, min_class_rows: 10,"
            " max_categories: 12, required: []}",
            "slices",
            "no slice has the ",
        ),
        (
            "fairness: {measure: error_gap, at_most: 1, min_rows: 9999, threshold: 0.5,"
            " required: [], by: value}",
            "fairness gender",
            "fewer than two groups have support",
        ),
    ],
)
def test_a_rule_that_cannot_judge_rejects(bench: Any, rule: str, entry: str, said: str) -> None:
    head = "seed: 0\nresamples: 200\nconfidence: 0.95\nrules:\n"
    bench.write(POLICY, f"{head}  {rule}\n")
    assert said in bench.outcome("start")[entry]


def test_rules_that_misbehave_reject(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUEST, raising=False)
    entries = "".join(f"  {name}: {{}}\n" for name in BROKEN)
    text = (bench.root / POLICY).read_text()
    bench.project.on_main(
        ("engine/src/mlops/gate/rules/broken.py", RULES), (POLICY, text + entries)
    )
    assert bench.project.gate() == 1
    reasons = {one["name"]: one["reason"] for one in bench.project.report["reasons"]}
    for name, said in BROKEN.items():
        assert said in reasons[name]


def test_a_branch_changes_neither_policy_nor_judge_nor_report(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worse model, and everything on its branch says that it passes."""
    monkeypatch.delenv(REQUEST, raising=False)
    bench.replace("params.yaml", "max_iter: 60", "max_iter: 2")
    bench.write(POLICY, "rules: {metric: {metric: roc_auc, at_least: 0, by: value}}\n")
    bench.write("engine/src/mlops/gate/judge.py", "raise SystemExit(0)\n")
    bench.write("sitecustomize.py", "import os\nos._exit(0)\n")
    passing = {"verdict": "passed", "reasons": []}
    bench.write("reports/gate/gate.json", json.dumps(passing))
    bench.remake(prepare=False)
    assert bench.project.gate() == 1
    report = bench.project.report
    assert "non_inferiority" in {one["name"] for one in report["reasons"]}
    assert report["policy"]["branch"]["changes"]


@pytest.fixture(scope="session")
def sealed(honest: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a candidate that is rejected, as the gate writes it."""
    root = tmp_path_factory.mktemp("sealed") / "project"
    shutil.copytree(honest.root, root)
    bench = honest._replace(project=honest.project._replace(root=root), root=root)
    bench.replace(POLICY, "at_least: 0.7", "at_least: 0.99")
    verdict.write(root, bench.report("start"), "", "")
    return root / verdict.REPORT


def passed(content: dict[str, Any]) -> None:
    content["verdict"] = "passed"


def findings_passed(content: dict[str, Any]) -> None:
    passed(content)
    for entry in content["rules"]:
        entry["verdict"] = "passed"


def figure(content: dict[str, Any]) -> None:
    content["metrics"][0]["candidate"]["value"] = 0.99


def candidate(content: dict[str, Any]) -> None:
    content["candidate"]["sha256"] = "0" * 64


def champion(content: dict[str, Any]) -> None:
    content["champion"] = {"sha256": "0" * 64}


def policy(content: dict[str, Any]) -> None:
    content["policy"]["sha256"] = "0" * 64


def holdout(content: dict[str, Any]) -> None:
    content["holdout"]["rows"] += 1


def no_digest(content: dict[str, Any]) -> None:
    del content["digest"]


def resealed(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def harm(content: dict[str, Any]) -> None:
        change(content)
        content["digest"] = verdict.digest(content)

    return harm


def other_word(content: dict[str, Any]) -> None:
    content["verdict"] = "approved"


def no_rules(content: dict[str, Any]) -> None:
    content |= {"verdict": "passed", "rules": [], "checks": []}


def other_format(content: dict[str, Any]) -> None:
    content["format"] = 0


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (passed, "was changed"),
        (findings_passed, "was changed"),
        (figure, "was changed"),
        (candidate, "was changed"),
        (champion, "was changed"),
        (policy, "was changed"),
        (holdout, "was changed"),
        (no_digest, "is no report"),
        (resealed(passed), "contradicts its own findings"),
        (resealed(no_rules), "contradicts its own findings"),
        (resealed(other_word), "verdict unknown here"),
        (resealed(other_format), "format or verdict unknown"),
    ],
)
def test_an_edited_report_is_not_read(
    sealed: Path, tmp_path: Path, harm: Callable[[dict[str, Any]], None], said: str
) -> None:
    content = json.loads(sealed.read_text())
    assert verdict.read(sealed) == content
    harm(content)
    edited = tmp_path / verdict.REPORT
    edited.write_text(json.dumps(content))
    with pytest.raises(VerdictError, match=said):
        verdict.read(edited)
