"""Every rule explains itself."""

import pytest

from mlops.gate.rule import RULES, PolicyError, rules
from mlops.policy.explanation import explanation


def test_the_list_has_a_line_for_every_rule() -> None:
    lines = explanation("", RULES).splitlines()
    assert [line.split()[0] for line in lines] == list(rules())
    assert all(line.endswith((".", "src/policy/rules.py]")) for line in lines)


@pytest.mark.parametrize("name", rules())
def test_a_rule_says_what_it_does_its_settings_and_where_it_stands(name: str) -> None:
    said = explanation(name, RULES)
    assert said.startswith(f"{name}: ")
    assert "gate/rules/" in said.splitlines()[-1] or "src/policy/rules.py" in said
    assert "mlops." not in said
    for setting in rules()[name].__struct_fields__:
        assert f"  {setting}: " in said


def test_types_and_defaults_are_as_people_write_them() -> None:
    said = explanation("metric", RULES)
    assert "  by: Literal['value', 'bound']\n" in said
    assert "  at_least: float | None, None where it is left out" in said


def test_an_unknown_rule_is_refused_with_those_that_are() -> None:
    with pytest.raises(PolicyError, match="there is no rule 'colour': choose from"):
        explanation("colour", RULES)


def test_a_setting_that_is_a_mapping_shows_what_is_in_it() -> None:
    said = explanation("value", RULES)
    assert "  outcomes: mapping, None where it is left out\n    true_positive: float\n" in said
    assert "    actions: dict[str, mapping]\n" in said
