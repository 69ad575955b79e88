"""What stands in for actions: artefacts, caches, composites."""

import pytest

from rehearsal.act import ours
from rehearsal.github import git
from rehearsal.results import Run
from rehearsal.workflow import WorkflowError
from rehearsal.world import JOB, World

CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"


UPLOAD = "actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a"


DOWNLOAD = "actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c"


CACHE = "actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fccae"


ATTEST = "actions/attest@1e69f48acb82d1966a394da916b4c1698aa569d6"


def test_an_attested_file_verifies_as_it_was(world: World) -> None:
    told = f"""
one:
  {JOB}
  permissions: {{id-token: write, attestations: write}}
  env: {{GH_TOKEN: "${{{{ github.token }}}}"}}
  steps:
    - run: mkdir -p d/a d/b; echo 1 > d/a/v.json; echo 2 > d/b/v.json; echo 3 > d/other
    - {{uses: {ATTEST}, with: {{subject-path: d/*/v.json}}}}
    - run: |
        verified() {{ gh attestation verify "$1" --repo "$GITHUB_REPOSITORY" \\
          --signer-workflow "$GITHUB_REPOSITORY/.github/workflows/$2"; }}
        verified d/a/v.json w.yml && verified d/b/v.json w.yml
        ! verified d/other w.yml && ! verified d/a/v.json other.yml
        echo more >> d/a/v.json; ! verified d/a/v.json w.yml
"""
    job = world.run(told).jobs["one"]
    assert job.result == "success", job.output
    denied = world.run(told.replace("id-token: write, ", "")).jobs["one"]
    assert "Failed to get ID token" in denied.output
    assert denied.result == "failure"


def test_an_artifact_leaves_out_what_is_excluded(world: World) -> None:
    run = world.run(f"""
one:
  {JOB}
  steps:
    - run: mkdir -p out/x/big; echo 1 > out/x/a; echo 2 > out/x/big/b
    - {{uses: {UPLOAD}, with: {{name: out, path: "out\\n!out/*/big"}}}}
two:
  {JOB}
  needs: one
  steps:
    - {{uses: {DOWNLOAD}, with: {{name: out, path: here}}}}
    - run: find here -type f
""")
    assert run.jobs["two"].steps[1].output == "here/x/a\n"


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


@ours("it takes any input")
def test_an_input_that_a_composite_action_has_not_is_refused(world: World) -> None:
    about = "name: own\ndescription: x\nruns: {using: composite, steps: []}\n"
    world.write(".github/actions/own/action.yml", about)
    own = "{uses: ./.github/actions/own, with: {other: you}}"
    with pytest.raises(WorkflowError, match="no input"):
        world.run(
            f"one: {{{JOB}, permissions: {{contents: read}}, steps: [{{uses: {CHECKOUT}}}, {own}]}}"
        )


@ours("it knows every action, and every input")
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
