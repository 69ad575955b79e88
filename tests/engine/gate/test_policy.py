"""The policy is composed from its own folder, and refused where it would judge nothing."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from baked import SOURCE

from mlops.gate.policy import compose, parse
from mlops.gate.rule import PolicyError, rules

CONF = SOURCE / "conf"
METRIC = {"metric": "roc_auc", "at_least": 0.6, "by": "value"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(CONF, tmp_path / "conf")
    (tmp_path / "params.yaml").write_text("{}\n")
    return tmp_path


@pytest.mark.parametrize("name", ["standard", "strict"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_policies_of_the_template_suit_every_task(folder: Path, name: str, task: Any) -> None:
    (folder / "params.yaml").write_text(f"gate: {{use: {name}}}\n")
    policy = compose(folder, task, "base")
    assert len(policy.rules) > 10
    assert {rule.named() for rule in policy.rules.values()} <= set(rules())


def test_strict_asks_for_all_that_standard_does(folder: Path) -> None:
    standard = compose(folder, "binary", "base")
    (folder / "params.yaml").write_text("gate: {use: strict}\n")
    assert set(standard.rules) <= set(compose(folder, "binary", "base").rules)


def test_params_change_a_setting(folder: Path) -> None:
    before = compose(folder, "binary", "base")
    (folder / "params.yaml").write_text("gate: {resamples: 2000}\n")
    after = compose(folder, "binary", "base")
    assert (before.settings.resamples, after.settings.resamples) == (1000, 2000)
    assert before.digest != after.digest


def test_the_digest_is_of_every_setting_and_of_nothing_else() -> None:
    one = parse({"rules": {"metric": METRIC}}, "base")
    same = parse({"rules": {"metric": dict(reversed(METRIC.items()))}}, "base")
    other = parse({"rules": {"metric": METRIC | {"at_least": 0.7}}}, "base")
    assert one.digest == same.digest
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (None, "not valid"),
        ({"seed": 1}, "has no rules"),
        ({"rules": {}}, "has no rules"),
        ({"rules": {"colour": {}}}, "there is no rule 'colour'"),
        ({"rules": {"x": {"rule": ["metric"]}}}, "there is no rule"),
        ({"rules": {"x": 3}}, "not valid"),
        (
            {"rules": {"metric": METRIC | {"colour": 1}}},
            "metric.colour is an unknown field",
        ),
        ({"rules": {"metric": {"metric": "roc_auc", "by": "value"}}}, "at_least"),
        (
            {"rules": {"metric": METRIC}, "resample": 1},
            "gate.resample is .* you mean resamples",
        ),
        ({"rules": {"metric": METRIC}, "resamples": 3}, "resamples"),
        ({"rules": {"metric": METRIC}, "confidence": 1.0}, "confidence"),
        ({"rules": {"metric": METRIC | {"at_least": float("-inf")}}}, "finite"),
    ],
)
def test_what_would_judge_otherwise_than_it_says_is_refused(section: Any, said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        parse(section, "base")


def test_what_cannot_be_composed_names_the_base_and_no_folder(folder: Path) -> None:
    (folder / "params.yaml").write_text("gate: {use: lax}\n")
    with pytest.raises(PolicyError, match=r"policy of origin/main .* conf/gate/ offers") as error:
        compose(folder, "binary", "origin/main")
    assert str(folder) not in str(error.value)
