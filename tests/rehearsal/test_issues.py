"""Issues and pull requests of a rehearsed GitHub, by `gh`, within what a token may do."""

from rehearsal.world import World

WRITES = "permissions: {contents: write, issues: write, pull-requests: write}"
ENV = "env: {GH_TOKEN: '${{ github.token }}', GH_REPO: '${{ github.repository }}'}"
OPEN = "gh issue create --title Drift --body-file body.md --label monitor"


def test_an_issue_is_opened_edited_closed_and_opened_again(world: World) -> None:
    job = world.job(
        f"echo first > body.md && {OPEN}",
        "echo second > body.md && gh issue edit 1 --body-file body.md",
        "gh issue comment 1 --body-file body.md",
        "gh issue close 1 && gh issue list --label monitor --json number",
        "gh issue reopen 1 && gh issue list --label monitor --json number,title,body",
        extra=f"{WRITES}\n  {ENV}",
    )
    assert job.result == "success", job.output
    assert [step.output.strip() for step in job.steps][3:] == [
        "[]",
        '[{"number": 1, "title": "Drift", "body": "second\\n"}]',
    ]
    assert [one["body"] for one in world.github.comments.values()] == ["second\n"]


def test_without_the_right_none_is_opened(world: World) -> None:
    job = world.job(
        f"echo first > body.md && {OPEN}", extra=f"permissions: {{issues: read}}\n  {ENV}"
    )
    assert job.result == "failure"
    assert "Resource not accessible by integration" in job.output
    assert not world.github.issues


def test_a_pull_request_of_automation_starts_nothing(world: World) -> None:
    """Nor may it be opened twice, without its branch, or where a setting forbids it."""
    begin = "gh pr create --base main --head fix --title Fix --body-file body.md"
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
        "gh pr comment 1 --edit-last --create-if-none --body-file body.md",
        "gh pr comment 1 --edit-last --create-if-none --body-file body.md",
        "gh pr list --head fix --state all --json number,state,isCrossRepository",
        f"{begin} || gh pr close 1",
        extra=f"{WRITES}\n  {ENV}",
    )
    assert job.result == "success", job.output
    assert '[{"number": 1, "state": "OPEN", "isCrossRepository": false}]' in job.output
    assert "already exists" in job.output
    assert world.github.pulls[1].state == "CLOSED"
    (said,) = world.github.comments.values()
    assert (said["issue"], said["edits"]) == (1, 1)
    assert len(world.runs) == runs + 2  # pushes of main; none of the pull request
