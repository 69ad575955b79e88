"""A workflow of an owner's own as the top of its repository has it, and what cannot be moved."""

import pytest
import yaml

from mlops.errors import ProjectError
from mlops.git.placement import Placement
from mlops.workflows.names import prefix
from mlops.workflows.scoping import scoped

PLACE, FILES = Placement("models/two words", "two-words"), ("own.yml", "other.yml")
PIN = "actions/checkout@0 # v7"
OWN = """\
# The owner's own.
on:
  push: # each
    branches: [main]
    paths: ["!docs/**", 'src/**']
  pull_request:
concurrency: own
jobs:
  one: # first
    runs-on: x
    environment: {name: staging, url: https://x.invalid}
    steps:
      - run: echo before
      - uses: actions/checkout@0 # v7
      - uses: ./engine/actions/setup
      - {uses: ./actions/mine, with: {path: out}}
      - uses: actions/cache@1
        with:
          path: |
            ~/.cache/x
            .dvc/cache
          key: "k-${{ hashFiles('a', 'b/**') }}"
      - run: gh workflow run other.yml --ref "$B" # not another.yml
        working-directory: sub
        env: {V: "${{ vars.MINE }}", L: "${{ vars.MONITOR_LOG }}", T: "${{ secrets.GITHUB_TOKEN }}"}
  two:
    needs:
      - one
    if: ${{ failure() }}
    runs-on: x
    steps: [{run: "true"}]
  three: {needs: one, runs-on: x, steps: [{run: "true"}]}
"""
WHOLE = OWN.replace('  three: {needs: one, runs-on: x, steps: [{run: "true"}]}\n', "")


def moved(text: str) -> str:
    return scoped(text, "own.yml", PLACE, FILES, PIN)


def test_an_owners_workflow_is_of_the_project() -> None:
    text = moved(WHOLE)
    assert "# The owner's own.\n" in text
    told = yaml.load(text, yaml.BaseLoader)
    assert told["name"] == "two-words own"
    assert told["on"]["push"]["paths"] == ["!models/two words/docs/**", "models/two words/src/**"]
    one, two = told["jobs"]["one"], told["jobs"]["two"]
    assert one["environment"] == {"name": "two-words-staging", "url": "https://x.invalid"}
    assert one["defaults"] == {"run": {"working-directory": "models/two words"}}
    assert one["name"] == "two-words one"
    assert one["concurrency"] == {"group": "two-words-own", "cancel-in-progress": "false"}
    before, checkout, setup, mine, cache, run = one["steps"]
    assert before["working-directory"] == "."
    assert "working-directory" not in checkout
    assert setup["uses"] == "./models/two words/engine/actions/setup"
    assert setup["with"] == {"folder": "models/two words"}
    assert mine["uses"] == "./models/two words/actions/mine"
    assert mine["with"]["path"] == "models/two words/out"
    assert cache["with"]["path"].split("\n")[:2] == ["~/.cache/x", "models/two words/.dvc/cache"]
    hashed = "hashFiles('models/two words/a', 'models/two words/b/**')"
    assert cache["with"]["key"] == f"two-words-k-${{{{ {hashed} }}}}"
    assert run["run"] == 'gh workflow run two-words-other.yml --ref "$B"'
    assert "# not another.yml" in text
    assert run["working-directory"] == "models/two words/sub"
    assert run["env"] == {
        "V": "${{ (vars.TWO_WORDS_MINE || vars.MINE) }}",
        "L": "${{ vars.TWO_WORDS_MONITOR_LOG }}",
        "T": "${{ secrets.GITHUB_TOKEN }}",
    }
    assert two["needs"] == ["changed", "one"]
    assert two["if"] == "needs.changed.outputs.changed == 'yes' && (failure())"
    assert told["jobs"]["changed"]["steps"][1]["working-directory"] == "models/two words"


def test_it_is_written_one_way() -> None:
    assert moved(WHOLE) == moved(WHOLE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OWN, "the job three is written in braces"),
        (f"defaults: {{run: {{working-directory: x}}}}\n{WHOLE}", "name the folder in the steps"),
        (WHOLE.replace("runs-on: x", "defaults: {run: {shell: sh}}\n    runs-on: x"), "of its own"),
        ("on: push\n", "jobs is missing"),
        ("[]", "no workflow"),
        ("a: [", "not valid YAML"),
    ],
)
def test_what_cannot_be_moved_is_refused(text: str, said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        moved(text)


def test_github_has_no_variables_that_begin_with_its_own_name() -> None:
    with pytest.raises(ProjectError, match="call it otherwise"):
        prefix(Placement("models/x", "github-stars"))
