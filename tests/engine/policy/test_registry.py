"""What gate and monitor share: rules by name, their settings, and figures of what they find."""

from typing import Any

import numpy as np
import pytest

from mlops.gate import rule as gate
from mlops.monitoring import rule as monitoring
from mlops.policy.explanation import explanation
from mlops.policy.finding import number
from mlops.policy.rule import PolicyError, Registry

BOTH = pytest.mark.parametrize("registry", [gate.RULES, monitoring.RULES], ids=["gate", "monitor"])


@BOTH
def test_every_rule_has_the_name_of_its_class_and_one_line_that_is_a_sentence(
    registry: Registry[Any],
) -> None:
    for name, kind in registry.rules.items():
        assert kind.named() == name
        assert issubclass(kind, registry.base)
        assert (kind.__doc__ or "").strip().partition("\n")[0].endswith((".", ":"))


def test_the_rules_of_one_are_none_of_the_other() -> None:
    assert not {*gate.RULES.rules.values()} & {*monitoring.RULES.rules.values()}
    assert "spread" in gate.RULES.rules
    assert "answer_spread" in monitoring.RULES.rules


@BOTH
def test_an_owners_rule_is_marked_in_the_list_and_no_other(registry: Registry[Any]) -> None:
    file = f"src/{registry.own.replace(chr(46), chr(47))}.py]"
    marked = [line for line in explanation("", registry).splitlines() if line.endswith(".py]")]
    assert [line.split()[0] for line in marked] == [
        name for name, kind in registry.rules.items() if kind.__module__ == registry.own
    ]
    assert all(line.endswith(file) for line in marked)
    assert len(marked) == 1


def test_a_rule_under_another_name_says_which_it_is() -> None:
    strict = {"rule": "missing", "least": 0.1}
    assert monitoring.RULES.configured("strict", strict) == monitoring.RULES.configured(
        "missing", {"least": 0.1}
    )


@pytest.mark.parametrize(
    ("name", "section", "said"),
    [
        ("missing", 0.1, "monitoring.rules.missing must be a mapping of the rule's settings"),
        ("missing", {}, "monitoring.rules.missing lacks `least`: add it"),
        (
            "missing",
            {"least": "much"},
            "rules.missing.least is .much.: Expected `float`",
        ),
        (
            "missing",
            {"least": 0.1, "most": 1},
            "rules.missing.most is an unknown field: choose from least",
        ),
        ("mine", {"least": 0.1}, "monitoring.rules.mine: there is no rule 'mine': choose from"),
        ("mine", {"rule": 3}, "there is no rule 3"),
        ("spread", {"at_least": 0.1}, "there is no rule 'spread'"),
    ],
)
def test_settings_that_a_rule_does_not_have_are_refused(name: str, section: Any, said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        monitoring.RULES.configured(name, section)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1, 1.0),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3.0),
        (None, None),
        (True, None),
        ("1", None),
        (b"1", None),
        (float("nan"), None),
        (float("-inf"), None),
        (10**400, None),
        ([1], None),
        (object(), None),
    ],
)
def test_a_figure_is_a_finite_number_or_none(given: Any, expected: float | None) -> None:
    assert number(given) == expected
