"""GitLab's jobs of one project among several: what is renamed, moved and refused."""

from typing import Any

import pytest
import yaml

from mlops.git.placement import Placement
from mlops.workflows.edits import WorkflowError
from mlops.workflows.gitlab import scoped

PLACE = Placement("models/churn", "churn")


class Loader(yaml.SafeLoader):
    """Knows GitLab's tag."""


Loader.add_constructor(
    "!reference", lambda loader, node: ("reference", *loader.construct_sequence(node))
)


def read(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(scoped(text, PLACE), Loader)
    return loaded


def test_jobs_name_each_other_by_their_new_names() -> None:
    told = read(
        "stages: [judge]\n"
        ".base: {tags: [one]}\n"
        "make:\n  extends: [.base]\n  script: [make]\n"
        "use:\n  extends: .base\n  needs: [make, {job: make, artifacts: true}, other]\n"
        "  dependencies: [make]\n  script:\n    - !reference [make, script]\n    - echo make\n"
    )
    assert told["churn make"]["extends"] == [".churn base"]
    assert told["churn use"]["needs"][:2] == [
        "churn make",
        {"job": "churn make", "artifacts": True},
    ]
    assert told["churn use"]["needs"][2] == "other"
    assert told["churn use"]["dependencies"] == ["churn make"]
    assert told["churn use"]["script"][1:] == [("reference", "churn make", "script"), "echo make"]
    assert told[".churn base"]["extends"] == ".churn default"
    assert told[".churn default"] == {}
    assert "stages" not in told


WHERE = ["models/churn/**/*", ".gitlab/projects/churn.yml"]


def test_rules_ask_what_changed_once() -> None:
    told = read(
        ".ruled:\n  rules:\n    - if: $A\n      when: never\n    - changes: [src/**/*, ./a]\n"
        "none:\n  script: [a]\n"
        "inherits:\n  extends: .ruled\n  script: [a]\n"
        "refers:\n  script: [a]\n  rules:\n    - !reference [.ruled, rules]\n    - exists: [b]\n"
        "paths:\n  script: [a]\n  rules: [{changes: {paths: [c], compare_to: main}}]\n"
    )
    first, second = told[".churn ruled"]["rules"]
    assert first == {"if": "$A", "when": "never", "changes": WHERE}
    assert second == {"changes": ["models/churn/src/**/*", "models/churn/a"]}
    assert told["churn none"]["rules"] == [{"changes": WHERE}]
    assert "rules" not in told["churn inherits"]
    assert told["churn refers"]["rules"] == [
        ("reference", ".churn ruled", "rules"),
        {"exists": ["models/churn/b"], "changes": WHERE},
    ]
    assert told["churn paths"]["rules"] == [
        {"changes": {"paths": ["models/churn/c"], "compare_to": "main"}}
    ]


def test_what_is_for_all_jobs_of_a_project_is_for_its_own_alone() -> None:
    told = read(
        "variables: {HERE: $CI_PROJECT_DIR/a, LOG: '${MONITOR_LOG}', OTHER: $MONITOR_LOGS}\n"
        "default:\n  before_script:\n    - b\n  cache: &kept\n    key: one\n    paths: [$HERE, c]\n"
        "make:\n  cache: *kept\n  script: [make]\n  resource_group: {key: g}\n"
        "  environment: {name: production}\n"
    )
    assert told[".churn variables"]["variables"] == {
        "HERE": "$CI_PROJECT_DIR/models/churn/a",
        "LOG": "${CHURN_MONITOR_LOG}",
        "OTHER": "$MONITOR_LOGS",
    }
    assert told[".churn default"]["extends"] == ".churn variables"
    assert told[".churn default"]["cache"]["key"] == "churn-one"
    assert told["churn make"]["cache"]["paths"] == ["$HERE", "models/churn/c"]  # once
    assert told[".churn default"]["before_script"][1:] == ["b"]
    assert told["churn make"]["environment"] == {"name": "churn-production"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n  script: [b]\n  only: [main]\n", "the job a has `only:`: write `rules:`"),
        ("a:\n  script: make\n", "has `script:` in line 2 without a list"),
        ("include: other.yml\n", "move it to the .gitlab-ci.yml at the top of the repository"),
        ("image: python\n", "move it to `default:` there"),
        ("- a\n", "a mapping is missing"),
        ("a: [\n", "is not valid YAML"),
    ],
)
def test_what_cannot_be_brought_to_the_neighbours_is_refused(text: str, said: str) -> None:
    with pytest.raises(WorkflowError) as refused:
        scoped(text, PLACE)
    assert said in str(refused.value)
