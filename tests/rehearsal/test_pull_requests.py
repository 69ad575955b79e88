"""Events, pull requests, forks and merges."""

import pytest

from rehearsal.github import FORK, REPOSITORY, git
from rehearsal.rehearsal import MergeError
from rehearsal.results import Run
from rehearsal.world import HEAD, JOB, World

CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"


STICKY = "marocchino/sticky-pull-request-comment@5770ad5eb8f42dd2c4f34da00c94c5381e49af88"


def test_an_event_runs_what_its_filters_say(world: World) -> None:
    head = HEAD.replace("{branches: [main]}, pull", "{branches: [main], paths: ['src/**']}, pull")
    world.workflow(f"one: {{{JOB}, steps: [{{run: 'true'}}]}}", head)
    assert world.push(world.clone, "main") == []
    world.write("src/deep/a.py", "")
    assert len(world.push(world.clone, "main")) == 1
    world.write("docs/a.md", "")
    assert world.push(world.clone, "main") == []
    assert world.push(world.clone, "other") == []


PULL = f"""
one:
  {JOB}
  name: one
  permissions: {{contents: read, pull-requests: write, id-token: write}}
  steps:
    - {{uses: {CHECKOUT}, with: {{ref: "${{{{ github.event.pull_request.head.sha }}}}"}}}}
    - {{run: 'cat CONTENT; echo "key: $KEY"', env: {{KEY: "${{{{ secrets.KEY }}}}"}}}}
    - id: said
      if: github.event_name == 'pull_request'
      uses: {STICKY}
      continue-on-error: true
      with: {{header: x, path: CONTENT}}
"""


def _branch(world: World, name: str, repository: str = REPOSITORY) -> tuple[int, Run]:
    world.workflow(PULL)
    world.push(world.clone, "main")
    git(world.clone, "checkout", "--quiet", "-b", name)
    world.write("CONTENT", "mine\n")
    world.push(world.clone, name, repository)
    number, (run,) = world.open(name, repository)
    return number, run


def test_a_pull_request(world: World) -> None:
    number, run = _branch(world, "branch")
    assert run.jobs["one"].steps[1].output == "mine\nkey: ***\n"
    world.write("CONTENT", "more\n")
    world.push(world.clone, "branch")
    world.synchronize(number)
    (comment,) = world.github.comments.values()
    assert comment["body"].startswith("more\n")
    assert comment["edits"] == 1


def test_a_fork_gets_no_secret_and_writes_nothing(world: World) -> None:
    _, run = _branch(world, "branch", FORK)
    assert run.jobs["one"].steps[1].output == "mine\nkey: \n"
    assert run.jobs["one"].permissions == {"contents": "read", "pull-requests": "read"}
    assert run.jobs["one"].steps[2].outcome == "failure"
    assert not world.github.comments


def test_a_merge_needs_what_the_ruleset_requires(world: World) -> None:
    number, _ = _branch(world, "branch")
    assert world.blocked(number) == []
    world.write("CONTENT", "other\n")
    world.push(world.clone, "branch")
    assert world.blocked(number) == ["one: expected"]
    world.start("w.yml", "workflow_dispatch", "branch")
    assert world.blocked(number) == ["one: expected"]  # a dispatched run does not count
    world.synchronize(number)
    assert [run.event.name for run in world.merge(number)] == ["push"]
    assert git(world.github.bare(), "show", "main:CONTENT") == "other\n"


def test_a_branch_that_is_behind_does_not_merge(world: World) -> None:
    number, _ = _branch(world, "branch")
    git(world.clone, "checkout", "--quiet", "main")
    world.write("elsewhere", "")
    world.push(world.clone, "main")
    with pytest.raises(MergeError, match="out of date"):
        world.merge(number)


def test_a_conflict_starts_nothing(world: World) -> None:
    number, _ = _branch(world, "branch")
    git(world.clone, "checkout", "--quiet", "main")
    world.write("CONTENT", "theirs\n")
    world.push(world.clone, "main")
    assert world.synchronize(number) == []
    assert world.blocked(number) == ["it conflicts with main"]
