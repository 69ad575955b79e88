"""The rehearsal itself: it does what GitHub does, and refuses what it does not know."""

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rehearsal import workflow
from rehearsal.github import FORK, REPOSITORY, git
from rehearsal.rehearsal import MergeError, Rehearsal, _human
from rehearsal.results import Job, Run
from rehearsal.workflow import WorkflowError

CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"
UPLOAD = "actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a"
DOWNLOAD = "actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c"
CACHE = "actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fccae"
STICKY = "marocchino/sticky-pull-request-comment@5770ad5eb8f42dd2c4f34da00c94c5381e49af88"
RULESET = """{"rules": [{"type": "required_status_checks", "parameters": {
"strict_required_status_checks_policy": true,
"required_status_checks": [{"context": "one"}]}}]}"""
HEAD = """
name: w
on: {push: {branches: [main]}, pull_request: {branches: [main]}, workflow_dispatch: }
permissions: {}
defaults: {run: {shell: bash}}
"""
JOB = "runs-on: ubuntu-24.04"


class World(Rehearsal):
    """A rehearsal with a clone."""

    @property
    def clone(self) -> Path:
        """Where its author works."""
        return self.folder / "clone"

    def write(self, name: str, content: str) -> None:
        """Commit a file."""
        path = self.clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        git(self.clone, "add", "--all")
        _human(self.clone, "commit", "--quiet", "--allow-empty", "-m", name)

    def workflow(self, jobs: str, head: str = HEAD) -> None:
        """Commit the one workflow."""
        self.write(".github/workflows/w.yml", f"{head}jobs:\n{textwrap.indent(jobs, '  ')}")

    def run(self, jobs: str, head: str = HEAD) -> Run:
        """Push a workflow to main and run it."""
        self.workflow(jobs, head)
        (made,) = self.push(self.clone, "main")
        return made

    def job(self, *steps: str, extra: str = "permissions: {contents: read}") -> Job:
        """Run a workflow of one job with these scripts."""
        lines = "\n".join(f"- run: |\n{textwrap.indent(step, '    ')}" for step in steps)
        body = f"one:\n  {JOB}\n  {extra}\n  steps:\n{textwrap.indent(lines, '  ')}\n"
        return self.run(body).jobs["one"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "world", {"KEY": "s3cret-key"}, {"COLOUR": "red"}) as made:
        git(tmp_path, "init", "--quiet", "--initial-branch", "main", str(made.clone))
        made.write(".github/rulesets/main.json", RULESET)
        yield made


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], object]:
    def run(text: str) -> object:
        (tmp_path / "w.yml").write_text(text)
        return workflow.load(tmp_path / "w.yml")

    return run


GOOD = f"""{HEAD}
jobs:
  one:
    runs-on: x
    steps: [{{id: a, run: 'true'}}]
    outputs: {{o: '${{{{ steps.a.outputs.o }}}}'}}
  two: {{runs-on: x, needs: one, if: always(), steps: [{{run: 'true', env: {{V: x}}}}]}}
"""


def test_a_workflow_is_read(load: Callable[[str], object]) -> None:
    load(GOOD)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("permissions: {}", "permission: {}", "permission is not known"),
        ("permissions: {}", "permissions: write-all", "mapping"),
        ("permissions: {}", "permissions: {content: read}", "content is not known"),
        ("permissions: {}", "permissions: {contents: all}", "no permission"),
        ("pull_request:", "pull_request_target:", "pull_request_target"),
        ("pull_request: {branches", "pull_request: {branches-ignore", "branches-ignore"),
        ("needs: one", "needs: three", "three"),
        ("needs: one", "neds: one", "neds"),
        ("runs-on: x, needs", "strategy: {}, runs-on: x, needs", "strategy"),
        ("if: always()", "if: allways()", "allways"),
        ("if: always()", "if: secrets.A == ''", "secrets"),
        ("if: always()", "if: env.A == ''", "env"),
        ("if: always()", "if: '${{ true }} x'", "always true"),
        ("if: always()", "if: needs.two.result == ''", "without needing"),
        ("{V: x}", "{V: '${{ steps.nobody.outputs.o }}'}", "nobody"),
        ("{V: x}", "{V: '${{ needs.zero.result }}'}", "without needing"),
        ("{V: x}", "{V: '${{ unknown.x }}'}", "unknown"),
        ("{V: x}", "{V: '${{ success() }}'}", "success"),
        ("steps.a.outputs", "steps.b.outputs", "no step 'b'"),
        ("run: 'true', env", "uses: a/b@c, run: x, env", "one of uses and run"),
        ("run: 'true', env", "runs: x, env", "runs is not known"),
        ("run: 'true', env", "run: x, with: {a: b}, env", "no with"),
        ("shell: bash", "shell: sh", "bash"),
        ("name: w", "name: w\nname: v", "duplicate key"),
    ],
)
def test_what_is_not_known_is_refused(
    load: Callable[[str], object], old: str, new: str, said: str
) -> None:
    assert old in GOOD
    with pytest.raises(Exception, match=said):
        load(GOOD.replace(old, new))


def test_jobs_follow_their_needs(world: World) -> None:
    run = world.run(f"""
fails: {{{JOB}, steps: [{{run: 'false'}}]}}
skipped: {{{JOB}, needs: fails, steps: [{{run: 'true'}}]}}
after: {{{JOB}, needs: skipped, steps: [{{run: 'true'}}]}}
mourns: {{{JOB}, needs: skipped, if: failure(), steps: [{{run: 'true'}}]}}
always: {{{JOB}, needs: [fails, skipped], if: always(), steps: [{{run: 'true'}}]}}
beyond: {{{JOB}, needs: always, steps: [{{run: 'true'}}]}}
stays: {{{JOB}, needs: fails, if: "${{{{ !cancelled() && needs.fails.result == 'failure' }}}}",
  steps: [{{run: 'true'}}]}}
""")
    assert {name: job.result for name, job in run.jobs.items()} == {
        "fails": "failure",
        "skipped": "skipped",
        "after": "skipped",
        "mourns": "success",
        "always": "success",
        "beyond": "skipped",  # one of those before its needs failed
        "stays": "success",
    }
    assert run.result == "failure"


def test_steps_and_outputs(world: World) -> None:
    run = world.run(f"""
one:
  {JOB}
  outputs: {{said: "${{{{ steps.a.outputs.said }}}}", long: "${{{{ steps.a.outputs.long }}}}"}}
  steps:
    - id: a
      run: |
        echo "said=hello" >> "$GITHUB_OUTPUT"
        printf 'long<<END\\nx=1\\ny\\nEND\\n' >> "$GITHUB_OUTPUT"
        echo "# Summary" >> "$GITHUB_STEP_SUMMARY"
    - {{id: b, run: 'false', continue-on-error: true}}
    - {{if: "steps.b.outcome == 'failure' && steps.b.conclusion == 'success'", run: echo forgiven}}
    - run: 'false'
    - run: echo never
    - {{if: failure(), run: echo cleaning}}
    - {{if: always(), run: echo leaving}}
two:
  {JOB}
  needs: one
  if: always()
  steps: [{{run: 'test "$SAID" = hello -a "$LONG" = "$(printf "x=1\\ny")"', env: {{
    SAID: "${{{{ needs.one.outputs.said }}}}", LONG: "${{{{ needs.one.outputs.long }}}}"}}}}]
""")
    assert run.jobs["two"].result == "success", run.output
    assert run.jobs["one"].summary == "# Summary\n"
    said = [step.output.strip() for step in run.jobs["one"].steps]
    assert said == ["", "", "forgiven", "", "", "cleaning", "leaving"]


def test_the_environment_has_three_levels_and_what_steps_add(world: World) -> None:
    job = world.run(
        f"""
one:
  {JOB}
  env: {{B: job, C: job}}
  steps:
    - {{run: 'echo $A $B $C', env: {{C: step}}}}
    - run: |
        echo "C=added" >> "$GITHUB_ENV"; echo "$PWD/bin" >> "$GITHUB_PATH"
        mkdir bin; printf '#!/bin/sh\\necho tool' > bin/tool; chmod +x bin/tool
    - {{run: 'echo $C; tool', working-directory: bin}}
    - {{if: env.C == 'added', run: echo seen}}
""",
        HEAD + "env: {A: workflow, B: workflow}\n",
    ).jobs["one"]
    said = [step.output.split() for step in job.steps]
    assert said == [["workflow", "job", "step"], [], ["added", "tool"], ["seen"]]


@pytest.mark.parametrize("name", ["GITHUB_SHA", "NODE_OPTIONS"])
def test_a_step_cannot_set_everything(world: World, name: str) -> None:
    with pytest.raises(WorkflowError, match=name):
        world.job(f'echo "{name}=x" >> "$GITHUB_ENV"')


def test_a_script_fails_where_it_fails(world: World) -> None:
    assert world.job("false | true").result == "failure"
    assert world.job("false\ntrue").result == "failure"
    plain = HEAD.replace("defaults: {run: {shell: bash}}", "")
    run = world.run(f"one: {{{JOB}, steps: [{{run: 'false | true'}}]}}", plain)
    assert run.result == "success"  # without a shell, GitHub does not set pipefail


def test_a_step_ends_at_its_time(world: World) -> None:
    steps = "[{run: sleep 60, timeout-minutes: 0.01}]"
    job = world.run(f"one: {{{JOB}, steps: {steps}}}").jobs["one"]
    assert job.result == "failure"
    assert "timed out" in job.output


def test_a_job_has_nobodys_settings(world: World) -> None:
    job = world.job("env", "git config --list --show-scope | grep -v ^local || true")
    assert "GIT_AUTHOR_NAME" not in job.output
    assert "GITHUB_TOKEN" not in job.output
    assert "user.name" not in job.output
    assert f"HOME={world.machine.folder}" in job.output


def test_secrets_are_masked_and_variables_are_not(world: World) -> None:
    run = world.run(f"""
one:
  {JOB}
  steps: [{{run: 'echo $KEY $COLOUR', env: {{
    KEY: "${{{{ secrets.KEY }}}}", COLOUR: "${{{{ vars.COLOUR }}}}"}}}}]
""")
    assert run.jobs["one"].steps[0].output == "*** red\n"


@pytest.mark.parametrize("named", ["secrets.OTHER", "vars.OTHER", "github.other", "env.OTHER"])
def test_a_name_that_is_not_there_is_refused(world: World, named: str) -> None:
    with pytest.raises(Exception, match=named.partition(".")[2]):
        world.run(f"one: {{{JOB}, steps: [{{run: echo, env: {{A: '${{{{ {named} }}}}'}}}}]}}")


def test_checkout(world: World) -> None:
    world.write("first", "")
    run = world.run(f"""
shallow:
  {JOB}
  permissions: {{contents: read}}
  steps:
    - {{uses: {CHECKOUT}, with: {{persist-credentials: false}}}}
    - run: git rev-list --count HEAD; git fetch --quiet origin main 2>&1 || echo denied
whole:
  {JOB}
  permissions: {{contents: read}}
  steps:
    - {{uses: {CHECKOUT}, with: {{fetch-depth: 0, persist-credentials: true}}}}
    - run: |
        git rev-list --count origin/main; git fetch --quiet origin main && echo granted
        git push origin HEAD:refs/heads/new 2>&1 || echo refused
nothing: {{{JOB}, steps: [{{uses: {CHECKOUT}}}]}}
""")
    shallow, whole = (run.jobs[name].steps[1].output for name in ("shallow", "whole"))
    assert shallow.split("\n")[0] == "1"
    assert shallow.endswith("denied\n")
    assert whole.startswith("3\ngranted\n")
    assert whole.endswith("refused\n")
    assert run.jobs["nothing"].result == "failure"


def _pusher(world: World, script: str) -> Job:
    return world.run(f"""
one:
  {JOB}
  permissions: {{contents: write}}
  env: {{GH_TOKEN: "${{{{ github.token }}}}", EMAIL: a@b.c}}
  steps:
    - {{uses: {CHECKOUT}, with: {{fetch-depth: 0, persist-credentials: false}}}}
    - run: |
        gh auth setup-git
        git config user.name a
        {script}
""").jobs["one"]


def test_a_token_that_may_write_pushes(world: World) -> None:
    job = _pusher(
        world, "echo > x; git add x; git commit -qm x; git push -q origin HEAD:refs/heads/new"
    )
    assert job.result == "success", job.output
    assert world.github.tip("new")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("git commit -q --allow-empty -m x; git push -q origin HEAD:main", "GH013"),
        (
            "echo > .github/workflows/v.yml; git add .; git commit -qm x; "
            "git push -q origin HEAD:refs/heads/new",
            "refusing to allow",
        ),
    ],
)
def test_nobody_pushes_to_main_and_no_token_changes_workflows(
    world: World, script: str, said: str
) -> None:
    job = _pusher(world, script)
    assert job.result == "failure"
    assert said in job.output


@pytest.mark.parametrize(
    ("permission", "command"),
    [
        ("statuses", "gh api --silent --method POST repos/$R/statuses/$S -f state=success"),
        ("actions", "GH_REPO=$R gh workflow run w.yml --ref main"),
    ],
)
def test_an_api_needs_its_permission(world: World, permission: str, command: str) -> None:
    told = 'env: {GH_TOKEN: "${{ github.token }}"}'
    script = f"R=$GITHUB_REPOSITORY S=$GITHUB_SHA; {command}"
    granted = f"permissions: {{{permission}: write}}\n  {told}"
    assert world.job(script, extra=granted).result == "success"
    denied = world.job(script, extra=f"permissions: {{{permission}: read}}\n  {told}")
    assert denied.result == "failure"
    assert "not accessible by integration (HTTP 403)" in denied.output
    silent = world.job(script, extra=f"permissions: {{{permission}: write}}")
    assert "set GH_TOKEN" in silent.output


@pytest.mark.parametrize("command", ["gh repo delete", "gh api --method POST x -F a=b"])
def test_a_command_that_is_not_known_fails(world: World, command: str) -> None:
    job = world.job(f"GH_TOKEN=x {command}")
    assert "not known in the rehearsal" in job.output
    assert job.result == "failure"


def test_a_request_that_is_not_known_ends_the_rehearsal(world: World) -> None:
    with pytest.raises(AssertionError, match="POST /user"):
        world.job("GH_TOKEN=x gh api --silent --method POST user -f a=b")


def test_artifacts_and_their_hidden_files(world: World) -> None:
    run = world.run(f"""
one:
  {JOB}
  steps:
    - run: mkdir -p out/.deep; echo 1 > out/a; echo 2 > out/.deep/b; chmod +x out/a
    - {{uses: {UPLOAD}, with: {{name: out, path: out}}}}
    - {{uses: {UPLOAD}, with: {{name: no, path: nothing, if-no-files-found: error}}}}
two:
  {JOB}
  needs: one
  if: always()
  steps:
    - {{uses: {DOWNLOAD}, with: {{name: out, path: here}}}}
    - run: find here -type f; test ! -x here/a
    - {{uses: {DOWNLOAD}, with: {{name: other}}}}
""")
    assert run.jobs["two"].steps[1].output == "here/a\n"
    assert [step.outcome for step in run.jobs["two"].steps] == ["success", "success", "failure"]
    assert run.jobs["one"].result == "failure"


def test_a_cache_is_kept_when_the_job_succeeds(world: World) -> None:
    job = f"""
one:
  {JOB}
  steps:
    - {{id: c, uses: {CACHE}, with: {{path: ~/kept, key: k-1, restore-keys: k-}}}}
    - run: cat ~/kept/x || true; mkdir -p ~/kept; echo stored > ~/kept/x; LAST
"""

    def said(run: Run) -> str:
        return run.jobs["one"].steps[1].output

    world.run(job.replace("LAST", "false"))
    assert "stored" not in said(world.run(job.replace("LAST", "true")))
    assert "stored" in said(world.run(job.replace("LAST", "date")))
    # What a branch keeps, main does not see; what main keeps, a branch does.
    git(world.clone, "checkout", "--quiet", "-b", "branch")
    world.workflow(job.replace("k-1", "k-2").replace("; LAST", "2"))
    world.push(world.clone, "branch")
    _, (run,) = world.open("branch")
    assert run.jobs["one"].steps[0].output == "cache: part"
    git(world.clone, "checkout", "--quiet", "main")
    assert "stored2" not in said(world.run(job.replace("k-1", "k-2").replace("LAST", "true")))


def test_a_composite_action(world: World) -> None:
    world.write(
        ".github/actions/own/action.yml",
        """
name: own
description: x
inputs: {name: {description: x, default: nobody}}
outputs: {said: {description: x, value: "${{ steps.say.outputs.said }}"}}
runs:
  using: composite
  steps:
    - {id: say, run: 'echo "said=hello $NAME" >> "$GITHUB_OUTPUT"', shell: bash,
       env: {NAME: "${{ inputs.name }}"}}
    - {if: inputs.name == 'nobody', run: 'false', shell: bash}
""",
    )
    steps = f"""
  {JOB}
  permissions: {{contents: read}}
  steps:
    - uses: {CHECKOUT}
    - {{id: own, uses: ./.github/actions/own, WITH}}
    - {{run: 'echo "$SAID"', env: {{SAID: "${{{{ steps.own.outputs.said }}}}"}}}}
"""
    run = world.run(
        f"one:{steps.replace('WITH', 'with: {name: you}')}two:{steps.replace(', WITH', '')}"
    )
    assert run.jobs["one"].steps[-1].output == "hello you\n"
    assert run.jobs["two"].result == "failure"
    with pytest.raises(WorkflowError, match="no input"):
        world.run(f"one:{steps.replace('WITH', 'with: {other: you}')}")


@pytest.mark.parametrize(
    ("uses", "said"),
    [
        ("actions/checkout@v7", "pinned to v7"),
        ("somebody/else@3d3c42e5aac5ba805825da76410c181273ba90b1", "no stand-in"),
        (f"{CHECKOUT}, with: {{lfs: true}}", "lfs"),
    ],
)
def test_an_action_that_is_not_known_is_refused(world: World, uses: str, said: str) -> None:
    with pytest.raises(WorkflowError, match=said):
        world.run(f"one: {{{JOB}, steps: [{{uses: {uses}}}]}}")


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


def test_a_step_can_be_broken(world: World) -> None:
    world.break_at = "echo fragile"
    job = world.job("echo fragile", "echo after")
    assert job.result == "failure"
    assert "after" not in job.steps[1].output
