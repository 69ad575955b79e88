"""Jobs and steps: order, environment, outputs, secrets, time."""

from typing import Any

import pytest

from rehearsal.act import ours
from rehearsal.workflow import WorkflowError
from rehearsal.world import HEAD, JOB, World


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


@ours("it lets a step set them")
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


@ours("it takes whole minutes alone")
def test_a_step_ends_at_its_time(world: World) -> None:
    steps = "[{run: sleep 60, timeout-minutes: 0.01}]"
    job = world.run(f"one: {{{JOB}, steps: {steps}}}").jobs["one"]
    assert job.result == "failure"
    assert "timed out" in job.output


def test_what_a_step_leaves_running_holds_nothing_up(world: World) -> None:
    job = world.job("setsid sleep 600 &\necho done")
    assert job.result == "success"
    assert "done" in job.output


def test_a_job_has_nobodys_settings(world: World) -> None:
    job = world.job("env", "git config --list --show-scope | grep -v ^local || true")
    assert "GIT_AUTHOR_NAME" not in job.output
    assert "GITHUB_TOKEN" not in job.output
    assert "MLOPS_RUNNER" not in job.output  # the server knows no such setting
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


@ours("such a name is empty, as on GitHub")
@pytest.mark.parametrize("named", ["secrets.OTHER", "vars.OTHER", "github.other", "env.OTHER"])
def test_a_name_that_is_not_there_is_refused(world: World, named: str) -> None:
    with pytest.raises(Exception, match=named.partition(".")[2]):
        world.run(f"one: {{{JOB}, steps: [{{run: echo, env: {{A: '${{{{ {named} }}}}'}}}}]}}")


def test_a_step_can_be_broken(world: World) -> None:
    world.break_at = "echo fragile"
    job = world.job("echo fragile", "echo after")
    assert job.result == "failure"
    assert "after" not in job.steps[1].output


def test_what_a_person_ticks_is_a_boolean_in_a_condition(world: World) -> None:
    asked = "workflow_dispatch: {inputs: {really: {description: x, type: boolean, default: false}}}"
    head = HEAD.replace("workflow_dispatch: ", asked)
    assert head != HEAD
    world.workflow(f"one: {{{JOB}, if: inputs.really, steps: [{{run: 'true'}}]}}", head)
    world.push(world.clone, "main")
    given: dict[str, dict[str, Any]] = {
        "nothing": {},
        "no": {"really": False},
        "yes": {"really": True},
    }
    runs = {name: world.start("w.yml", "workflow_dispatch", **one) for name, one in given.items()}
    results = {name: run.jobs["one"].result for name, run in runs.items()}
    assert results == {"nothing": "skipped", "no": "skipped", "yes": "success"}
