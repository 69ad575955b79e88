"""Issues and pull requests of a rehearsed GitHub, by `gh`, within what a token may do."""

import json

from rehearsal.world import GH, World

WRITES = "permissions: {contents: write, issues: write, pull-requests: write}"
TOKENS = "GH_TOKEN: '${{ github.token }}', GH_ENTERPRISE_TOKEN: '${{ github.token }}'"
ENV = f"env: {{{TOKENS}, GH_REPO: '${{{{ github.repository }}}}'}}"
REPO = "repos/acme/customer-churn"
OPEN = f"""{GH} api --method POST {REPO}/issues --input - <<'END'
{{"title": "Drift", "body": "first", "labels": ["monitor"]}}
END"""
LIST = f"{GH} api '{REPO}/issues?labels=monitor&state=open&per_page=100&page=1'"
CLOSE = f"""echo '{{"body": "second", "state": "closed"}}' |
  {GH} api --method PATCH {REPO}/issues/1 --input -"""
COMMENT = f"""echo '{{"body": "Gone"}}' |
  {GH} api --method POST {REPO}/issues/1/comments --input -"""
LABEL = f"""echo '{{"name": "lock", "description": "mine"}}' |
  {GH} api --method POST {REPO}/labels --input -"""


def test_an_issue_is_opened_and_closed_by_its_account(world: World) -> None:
    job = world.job(
        *(OPEN, COMMENT, CLOSE, LIST),
        f"{GH} api graphql -f 'query={{viewer{{databaseId}}}}'",
        extra=f"{WRITES}\n  {ENV}",
    )
    assert job.result == "success", job.output
    assert [json.loads(step.output) for step in job.steps][3:] == [
        [],
        {"data": {"viewer": {"databaseId": world.github.issues[1]["user"]["id"]}}},
    ]
    assert world.github.issues[1]["body"] == "second"
    assert [one["body"] for one in world.github.comments.values()] == ["Gone"]


def test_a_label_is_made_once(world: World) -> None:
    """A second one of its name is refused, and so is removing what is not there."""
    remove = f"{GH} api --method DELETE {REPO}/labels/lock"
    job = world.job(
        LABEL,
        f"! ({LABEL}) && {remove}",
        f"! {remove}",
        extra=f"{WRITES}\n  {ENV}",
    )
    assert job.result == "success", job.output
    assert "HTTP 422" in job.steps[1].output
    assert "HTTP 404" in job.steps[2].output


def test_without_the_right_none_is_opened(world: World) -> None:
    job = world.job(OPEN, extra=f"permissions: {{issues: read}}\n  {ENV}")
    assert job.result == "failure"
    assert "Resource not accessible by integration" in job.output
    assert not world.github.issues


def test_a_pull_request_of_automation_starts_nothing(world: World) -> None:
    """Nor may it be opened twice, without its branch, or where a setting forbids it."""
    begin = f"{GH} pr create --base main --head fix --title Fix --body-file body.md"
    made = "git init -q . && echo x > body.md"
    job = world.job(f"{made} && {begin}", extra=f"{WRITES}\n  {ENV}")
    assert "Validation Failed" in job.output  # there is no such branch
    world.push(world.clone, "fix")
    runs = len(world.runs)
    world.github.automation_opens = False
    assert "not permitted" in world.job(f"{made} && {begin}", extra=f"{WRITES}\n  {ENV}").output
    world.github.automation_opens = True
    job = world.job(
        f"{made} && {begin}",
        f"{GH} pr comment 1 --edit-last --create-if-none --body-file body.md",
        f"{GH} pr comment 1 --edit-last --create-if-none --body-file body.md",
        f"{GH} pr list --head fix --state all --json number,state,isCrossRepository",
        f"{begin} || {GH} pr close 1",
        extra=f"{WRITES}\n  {ENV}",
    )
    assert job.result == "success", job.output
    assert '[{"number": 1, "state": "OPEN", "isCrossRepository": false}]' in job.output
    assert "already exists" in job.output
    assert world.github.pulls[1].state == "CLOSED"
    (said,) = world.github.comments.values()
    assert (said["issue"], said["edits"]) == (1, 1)
    assert len(world.runs) == runs + 2  # pushes of main; none of the pull request
