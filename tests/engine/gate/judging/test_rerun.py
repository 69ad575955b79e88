"""`mlops gate` as a command: whose code and policy judge, and how it ends."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sweeps import some

from mlops.gate.rerun import REQUEST

RULE = '''
from ..case import Case
from ..rule import Finding, Rule


class Own(Rule, frozen=True):
    """Fail in a way of its own."""

    def judge(self, case: Case) -> list[Finding]:
        raise SystemExit(0)
'''


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUEST, raising=False)


def test_a_better_one_passes(second: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert second.gate() == 0
    assert second.report["judge"]["code"] == "base"
    assert capsys.readouterr().out == "passed: reports/gate/gate.md\n"
    assert second.git("status", "--porcelain") == ""


def test_a_worse_one_is_rejected_by_the_base_whatever_the_branch_changes(
    second: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    second.put("poor")
    lax = second.policy.replace("roc_auc: 0.02", "roc_auc: 0.9")
    second.write("conf/gate/standard.yaml", lax)
    second.write("engine/src/mlops/gate/judge.py", "raise RuntimeError\n")
    second.write("json.py", "raise RuntimeError\n")
    assert second.gate() == 1
    assert "rejected: reports/gate/gate.md\n- non_inferiority" in capsys.readouterr().out
    changed = {"key": "rules.non_inferiority.margins.roc_auc", "before": 0.02, "after": 0.9}
    assert second.report["policy"]["branch"]["changes"] == [changed]
    for name in ("gate.md", "gate.html"):
        assert "This branch changes the policy" in second.told(name)


def test_another_policy_has_to_be_asked_for_and_is_shown(second: Any) -> None:
    second.put("poor")
    lax = second.policy.replace("roc_auc: 0.02", "roc_auc: 0.9")
    second.write("conf/gate/standard.yaml", lax)
    second.commit()
    assert second.gate("--against", "main", "--policy", "HEAD") == 0
    assert second.report["policy"]["commit"] == second.git("rev-parse", "HEAD")
    assert "somebody asked for that" in second.told("gate.md")


def test_a_handed_over_hearing_is_believed_only_from_its_own_folder(
    second: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    origin = '{"ref": "main", "commit": "0"}'
    request = f'{{"against": {origin}, "policy": {origin}, "folder": "{tmp_path}/x"}}'
    monkeypatch.setenv(REQUEST, request)
    second.put("poor")
    assert second.gate() == 1


def test_where_the_base_has_no_gate_the_branch_judges_itself_and_says_so(first: Any) -> None:
    first.git("checkout", "-q", "--orphan", "before")
    first.git("rm", "-rq", "--cached", "engine/src/mlops/gate", "conf/gate")
    first.git("commit", "-q", "-m", "x")
    assert first.gate("--against", "before") == 0
    assert first.report["judge"]["code"] == "branch"
    assert "judged itself" in first.told("gate.md")


FEATURES = "src/project/features.py"


def test_features_are_computed_by_the_code_of_each_commit(second: Any) -> None:
    """The branch renames its feature: the candidate has the new one, the champion the old one."""
    text = (second.root / FEATURES).read_text()
    second.write(FEATURES, text.replace("def per_unit(", "def for_each("))

    def rename(bundle: Path, _: dict[str, Any]) -> None:
        resolved = (bundle / "resolved.yaml").read_text()
        assert "function: per_unit" in resolved
        resolved = resolved.replace("function: per_unit", "function: for_each")
        (bundle / "resolved.yaml").write_text(resolved)

    second.edit(rename)
    assert second.gate() == 1  # no commit has it
    assert "no feature function" in second.report["reasons"][0]["reason"]
    second.commit()
    assert second.gate() == 0
    assert second.report["judge"]["confinement"] != "nothing"
    second.write(FEATURES, "raise RuntimeError('broken')\n")
    second.commit()
    assert second.gate() == 1
    (reason,) = second.report["reasons"]
    assert (reason["name"], reason["part"]) == ("candidate", "answers")
    assert "RuntimeError" in reason["reason"]
    for name in ("gate.md", "gate.html"):
        assert "it does not answer" in second.told(name)


TURNED = """
    import sys, os
    for name, module in list(sys.modules.items()):
        for what in ("judged", "verdict", "sealed", "found"):
            if hasattr(module, what):
                setattr(module, what, lambda *_, **__: "passed")
"""


def test_a_feature_that_turns_the_judge_is_nowhere_near_it(second: Any) -> None:
    """Once on main, six lines in a feature had a model that knows nothing pass."""
    text = (second.root / FEATURES).read_text()
    mark = "    return np.where(units > 0"
    second.on_main((FEATURES, text.replace(mark, TURNED + mark)))
    assert second.gate() == 0
    second.put("poor")
    assert second.gate() == 1
    assert second.report["reasons"]


HIDING = "engine/src/mlops/gate/** export-ignore\nsrc/policy/** export-ignore\n* export-subst\n"


def test_attributes_do_not_hide_the_judge(first: Any) -> None:
    first.on_main((".gitattributes", HIDING))
    assert first.gate() == 0
    assert first.report["judge"]["code"] == "base"


@pytest.mark.parametrize(
    ("name", "value"),
    some(
        [
            ("log.showSignature", "true"),
            ("core.quotePath", "true"),
            ("core.attributesFile", "hiding"),
            ("diff.external", "false"),
        ],
        every=2,
    ),
)
def test_settings_of_git_change_nothing(first: Any, name: str, value: str) -> None:
    (first.root / "hiding").write_text(HIDING)
    first.git("config", name, value)
    assert first.gate() == 0
    assert first.report["judge"]["code"] == "base"


LOOSE = "rules:\n  metric: {metric: roc_auc, at_least: 0, by: value}\n"


def test_a_replaced_commit_is_not_the_one_that_judges(first: Any) -> None:
    """`git replace` shows another commit under the name of main."""
    main = first.git("rev-parse", "main")
    first.git("checkout", "-q", "-b", "other", "main")
    first.write("conf/gate/standard.yaml", LOOSE)
    first.commit()
    first.git("replace", main, "other")
    first.git("checkout", "-q", "-f", "branch")
    assert first.gate() == 0
    assert first.report["policy"]["rules"].keys() == {"metric", "non_inferiority"}


def test_a_rule_that_leaves_does_not_end_the_gate(first: Any) -> None:
    policy = first.policy + "  own: {}\n"
    first.on_main(("engine/src/mlops/gate/rules/own.py", RULE), ("conf/gate/standard.yaml", policy))
    assert first.gate() == 1
    assert [one["name"] for one in first.report["reasons"]] == ["own"]
    assert "SystemExit" in first.report["reasons"][0]["reason"]


def unknown_rule(first: Any) -> None:
    first.on_main(("conf/gate/standard.yaml", first.policy + "  colour: {at_least: 3}\n"))


def no_rules(first: Any) -> None:
    first.on_main(("conf/gate/standard.yaml", "seed: 0\nrules: {}\n"))


def broken_gate(first: Any) -> None:
    first.on_main(("engine/src/mlops/gate/judge.py", "raise RuntimeError('broken')\n"))


def broken_command(first: Any) -> None:
    first.on_main(("engine/src/mlops/cli/__init__.py", "raise RuntimeError('broken')\n"))


def no_candidate(first: Any) -> None:
    shutil.rmtree(first.root / "candidate")


def no_holdout(first: Any) -> None:
    shutil.rmtree(first.root / "data/prepared/holdout")


def no_main(first: Any) -> None:
    first.git("branch", "-m", "main", "trunk")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (unknown_rule, "there is no rule 'colour'"),
        (no_rules, "has no rules"),
        (broken_gate, "RuntimeError: broken"),
        (broken_command, "does not start"),
        (no_candidate, "candidate is no bundle"),
        (no_holdout, "prepared/holdout"),
        (no_main, "git knows no commit 'main'"),
    ],
)
def test_what_cannot_be_judged_ends_in_two_with_one_sentence(
    first: Any, harm: Callable[[Any], None], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    harm(first)
    first.write("reports/gate/gate.json", '{"verdict": "passed"}')
    assert first.gate() == 2
    complaint = capfd.readouterr().err
    assert said in complaint
    assert complaint.count("mlops gate:") == 1
    assert "Traceback" not in complaint
    assert not list((first.root / "reports/gate").iterdir())


def test_a_command_without_a_base_says_so(first: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert first.gate("--report", "x") == 2
    assert "--against" in capsys.readouterr().err
