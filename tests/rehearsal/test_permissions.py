"""A token does what its job was granted, and nothing else."""

import pytest

from rehearsal.act import ours
from rehearsal.results import Job
from rehearsal.world import JOB, World

HERE = 'export GH_HOST="${GITHUB_SERVER_URL#*://}" GH_ENTERPRISE_TOKEN="$GH_TOKEN"'
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"


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
""")
    shallow, whole = (run.jobs[name].steps[1].output for name in ("shallow", "whole"))
    assert shallow.split("\n")[0] == "1"
    assert shallow.endswith("denied\n")
    assert whole.startswith("3\ngranted\n")
    assert whole.endswith("refused\n")


@ours("the jobs of a run share one token")
def test_a_job_without_a_permission_reads_nothing(world: World) -> None:
    run = world.run(f"nothing: {{{JOB}, steps: [{{uses: {CHECKOUT}}}]}}")
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
        {HERE}; gh auth setup-git
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
    script = f"{HERE}; R=$GITHUB_REPOSITORY S=$GITHUB_SHA; {command}"
    granted = f"permissions: {{{permission}: write}}\n  {told}"
    assert world.job(script, extra=granted).result == "success"
    denied = world.job(script, extra=f"permissions: {{{permission}: read}}\n  {told}")
    assert denied.result == "failure"
    assert "not accessible by integration (HTTP 403)" in denied.output
    silent = world.job(script, extra=f"permissions: {{{permission}: write}}")
    assert "set GH_TOKEN" in silent.output


@pytest.mark.parametrize(
    ("forgotten", "said"),
    [
        ("GH_HOST", "error connecting to github.com"),
        ("GH_ENTERPRISE_TOKEN", "Bad credentials (HTTP 401)"),
    ],
)
def test_gh_finds_no_server_that_nobody_tells_it_of(
    world: World, forgotten: str, said: str
) -> None:
    """As gh itself: tests/test_enterprise.py asks that."""
    told = 'permissions: {statuses: write}\n  env: {GH_TOKEN: "${{ github.token }}"}'
    post = "gh api --silent --method POST repos/$GITHUB_REPOSITORY/statuses/$GITHUB_SHA -f state=x"
    job = world.job(f"{HERE}; unset {forgotten}; {post}", extra=told)
    assert job.result == "failure"
    assert said in job.output


@pytest.mark.parametrize("command", ["gh repo delete", "gh api --method POST x -F a=b"])
def test_a_command_that_is_not_known_fails(world: World, command: str) -> None:
    job = world.job(f"export GH_TOKEN=x; {HERE}; {command}")
    assert "not known in the rehearsal" in job.output
    assert job.result == "failure"


def test_a_request_that_is_not_known_ends_the_rehearsal(world: World) -> None:
    with pytest.raises(AssertionError, match="POST /user"):
        world.job(f"export GH_TOKEN=x; {HERE}; gh api --silent --method POST user -f a=b")
