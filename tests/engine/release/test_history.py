"""What an environment declared, read back from git alone."""

import json
from typing import Any

import pytest

from mlops.git.repository import Repository
from mlops.release.history import HistoryError, at, history, shown

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04")


def on(day: str) -> dict[str, str]:
    moment = f"{day}T12:00:00+00:00"
    return {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}


@pytest.fixture(scope="session")
def story(first_judged: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A first model by a merge, another by a squash, a revert to the first, and then none."""
    workshop = type(first_judged).copied(first_judged, tmp_path_factory.mktemp("story"))
    assert workshop.mlops("promote") == 0
    workshop.git("checkout", "-q", "main")
    forge = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.invalid"}
    text = (
        "Merge pull request #12 from somebody/branch\n\nA first model\n\nReviewed-by: Grace <g@x>"
    )
    workshop.git("merge", "-q", "--no-ff", "-m", text, "branch", **on(DAYS[0]), **forge)
    workshop.edit("good", "liked", lambda content: content.update(note="liked"))
    workshop.promoted("liked")
    workshop.git("checkout", "-q", "main")
    workshop.git("merge", "-q", "--squash", "branch")
    workshop.git("commit", "-q", "-m", "A better one (#13)", **on(DAYS[1]), **forge)
    workshop.write("other.txt", "x")
    workshop.commit()
    workshop.git("revert", "--no-edit", "HEAD~1", **on(DAYS[2]))
    workshop.git("rm", "-q", "-r", "deploy/production")
    workshop.git("commit", "-q", "-m", "Nothing any more", **on(DAYS[3]))
    return workshop


def test_every_declaration_with_when_who_and_on_what_evidence(story: Any) -> None:
    none, back, second, first = history(story.repository, "production", "main")
    assert [one.since[:10] for one in (first, second, back, none)] == list(DAYS)
    assert [one.until and one.until[:10] for one in (first, second, back, none)] == [
        *DAYS[1:],
        None,
    ]
    assert first.bundle_digest == story.bundle_digest("good")
    assert second.bundle_digest == story.bundle_digest("liked")
    assert (first.pull_request, second.pull_request) == (12, 13)
    assert first.by == "Ada <ada@example.invalid>"
    assert first.promoted_by == "test <test@example.invalid>"
    assert first.approved == ("Grace <g@x>",)
    assert first.title == "A first model"
    assert first.metric is not None
    assert first.metric["candidate"]["low"] < first.metric["candidate"]["high"]
    assert second.metric is not None
    assert second.metric["champion"]["value"] == first.metric["candidate"]["value"]
    assert (back.bundle_digest, back.verdict) == (first.bundle_digest, first.verdict)
    assert back.returned_to == first.commit
    assert (none.bundle_digest, none.name) == (None, None)


def test_a_table_for_people_and_json_for_programs(
    story: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert story.mlops("history", "--ref", "main") == 0
    printed = capsys.readouterr().out
    assert "2026-03-01 12:00 UTC to 2026-03-02 12:00 UTC: churn " in printed
    assert "pull request #12: A first model" in printed
    assert "approved by Grace <g@x>" in printed
    assert "returned to the declaration of" in printed
    assert "2026-03-04 12:00 UTC to now: nothing" in printed
    assert story.mlops("history", "--ref", "main", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["environment"] == "production"
    assert len(told["declarations"]) == 4


@pytest.mark.parametrize(
    ("date", "which"),
    [
        ("2026-02-28", None),
        ("2026-03-01T11:59:59+00:00", None),
        ("2026-03-01T12:00:00+00:00", 3),
        ("2026-03-01", 3),
        ("20260302", 2),
        ("2026-03-03T13:00+01:00", 1),
        ("2030-01-01", 0),
    ],
)
def test_what_was_declared_then(story: Any, date: str, which: int | None) -> None:
    entries = history(story.repository, "production", "main")
    assert at(entries, date) == ([] if which is None else [entries[which]])


def test_a_date_that_is_none(story: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HistoryError, match="'yesterday' is no date"):
        at([], "yesterday")
    assert story.mlops("history", "--ref", "main", "--at", "2020-01-01") == 0
    assert capsys.readouterr().out == "production declared nothing\n"


def test_what_cannot_be_read_is_shown_as_such(story: Any, copy: Any) -> None:
    workshop = copy(story)
    workshop.git("revert", "--no-edit", "HEAD")
    workshop.replace("deploy/production/release.yaml", "format: 1", "format: 2")
    workshop.commit()
    newest = history(workshop.repository, "production", "HEAD")[0]
    assert newest.bundle_digest is None
    assert "unreadable: deploy/production of" in shown([newest], "production")


def test_a_shallow_clone_does_not_know(story: Any, tmp_path: Any) -> None:
    clone = tmp_path / "clone"
    story.git("clone", "-q", "--depth", "1", f"file://{story.root}", str(clone))
    with pytest.raises(HistoryError, match="--unshallow"):
        history(Repository(clone), "production", "HEAD")
