"""What the judgment says of candidates good, bad and tampered with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops.bundle import manifest, verdict

Edit = Callable[[Path, dict[str, Any]], None]


def reasons(report: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["reason"] for one in report["reasons"]}


def verdicts(report: dict[str, Any], part: str) -> dict[str, str]:
    return {entry["name"]: entry["verdict"] for entry in report[part]}


def test_a_first_model_is_judged_by_absolute_rules_alone(first: Any) -> None:
    report = first.judged()
    assert report["verdict"] == "passed"
    assert report["champion"] is None
    assert report["configuration"] is report["data"] is None
    assert verdicts(report, "rules") == {"metric": "passed", "non_inferiority": "not applicable"}
    assert verdicts(report, "checks") == {"candidate": "passed", "champion": "not applicable"}


def test_a_better_one_passes_with_what_it_rests_on(second: Any) -> None:
    report = second.judged()
    assert report["verdict"] == "passed"
    assert report["reasons"] == []
    assert report["champion"]["sha256"] == manifest.bundle_digest(second.root / "trained/middle")
    assert report["candidate"]["sha256"] == manifest.bundle_digest(second.root / "trained/good")
    assert report["configuration"] == [{"key": "model.max_iter", "before": 10, "after": 60}]
    assert report["data"]["kept"] == 2
    assert report["digest"] == verdict.digest(report)
    for row in report["metrics"]:
        gained = row["candidate"]["value"] - row["champion"]["value"]
        assert row["difference"]["value"] == pytest.approx(gained, abs=1e-5)
    worst = [row["candidate"] for row in report["slices"]]
    assert worst == sorted(worst)


def test_the_same_case_gives_the_same_report(second: Any) -> None:
    one, other = second.judged(), second.judged()
    assert one["timings"] != other["timings"]
    assert one["digest"] == other["digest"]
    assert {**one, "timings": 0} == {**other, "timings": 0}


def test_a_worse_one_is_rejected_and_every_rule_is_heard(second: Any) -> None:
    second.put("poor")
    report = second.judged()
    assert report["verdict"] == "rejected"
    assert "must be at least -0.02" in reasons(report)["non_inferiority"]
    assert set(report["timings"]["rules"]) == {"metric", "non_inferiority"}


def test_the_champion_itself_is_no_candidate(second: Any) -> None:
    second.put("middle")
    assert "nothing to promote" in reasons(second.judged())["champion"]


def test_a_champion_without_todays_columns_rejects(second: Any) -> None:
    def rename(bundle: Path, _: dict[str, Any]) -> None:
        for name in ("contract.json", "resolved.yaml"):
            text = (bundle / name).read_text().replace("support_calls", "calls_to_support")
            (bundle / name).write_text(text)

    crown(second, rename)
    report = second.judged()
    assert "no column calls_to_support" in reasons(report)["champion"]
    assert "cannot be scored" in reasons(report)["non_inferiority"]
    assert verdicts(report, "rules")["metric"] == "passed"


def test_a_champion_that_answers_otherwise_than_when_promoted_rejects(second: Any) -> None:
    crown(second, other_golden)
    assert "no longer answers its golden rows" in reasons(second.judged())["champion"]


def test_a_champion_for_another_target_rejects(second: Any) -> None:
    def retarget(bundle: Path, _: dict[str, Any]) -> None:
        contract = json.loads((bundle / "contract.json").read_text())
        columns = contract["columns"]
        columns["auto_renew"]["role"] = "target"
        columns["churned"]["role"] = "ignored"
        (bundle / "contract.json").write_text(json.dumps(contract))

    crown(second, retarget)
    assert "today's is 'churned'" in reasons(second.judged())["champion"]


def crown(project: Any, edit: Edit) -> None:
    """Promote the middle one after an edit, and have the good one as candidate."""
    project.put("middle")
    project.edit(edit)
    project.promote()
    project.put("good")


def other_predictions(_: Path, content: dict[str, Any]) -> None:
    content["holdout"]["predictions"] = "0" * 64


def other_metrics(bundle: Path, _: dict[str, Any]) -> None:
    metrics = json.loads((bundle / "metrics.json").read_text())
    metrics["holdout"]["roc_auc"]["value"] = 0.999
    (bundle / "metrics.json").write_text(json.dumps(metrics))


def no_metrics(bundle: Path, _: dict[str, Any]) -> None:
    (bundle / "metrics.json").write_text('{"holdout": {}}')


def other_golden(bundle: Path, _: dict[str, Any]) -> None:
    rows = json.loads((bundle / "golden.json").read_text())
    rows[3]["prediction"] += 0.01
    (bundle / "golden.json").write_text(json.dumps(rows))


def no_golden(bundle: Path, _: dict[str, Any]) -> None:
    (bundle / "golden.json").write_text("[]")


def other_contract(bundle: Path, _: dict[str, Any]) -> None:
    contract = json.loads((bundle / "contract.json").read_text())
    contract["columns"]["plan"]["nullable"] = True
    (bundle / "contract.json").write_text(json.dumps(contract))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (other_predictions, "its manifest says"),
        (other_metrics, "roc_auc is"),
        (no_metrics, "holds no metric"),
        (other_golden, "no longer answers its golden rows"),
        (no_golden, "holds no golden rows"),
        (other_contract, "contract.json"),
    ],
)
def test_a_candidate_edited_with_its_manifest_is_rejected(
    first: Any, edit: Edit, reason: str
) -> None:
    first.edit(edit)
    assert reason in reasons(first.judged())["candidate"]


def test_settings_that_the_judge_does_not_know_are_rejected(first: Any) -> None:
    def add(bundle: Path, _: dict[str, Any]) -> None:
        text = (bundle / "resolved.yaml").read_text()
        (bundle / "resolved.yaml").write_text(f"{text}novelty: 1\n")

    first.edit(add)
    assert "merge the change of the code first" in reasons(first.judged())["candidate"]


def test_a_broken_policy_of_the_branch_is_told(first: Any, tmp_path: Path) -> None:
    first.write("conf/gate/standard.yaml", "rules: {colour: {}}\n")
    assert first.gate() == 0
    assert "no rule 'colour'" in first.report["policy"]["branch"]["error"]
    assert "does not take" in first.told("gate.md")
