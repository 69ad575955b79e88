"""Issues on a GitHub over HTTP, by `gh`: one for each alert, with two runs at once too."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hub import PERSON, Hub

from mlops.bundle.verdict import sealed
from mlops.cli import main
from mlops.monitoring import github
from mlops.monitoring.alerting import link

Content = dict[str, Any]


@pytest.fixture
def report(content: Content, tmp_path: Path) -> Path:
    return written(content, tmp_path)


def written(content: Content, folder: Path) -> Path:
    path = folder / "monitor.json"
    path.write_text(json.dumps(sealed(content)))
    return path


def quiet(content: Content, at: str = "2026-12-04") -> Content:
    told = [{**one, "verdict": "quiet"} for one in content["rules"][0]["findings"]]
    rule = {**content["rules"][0], "verdict": "quiet", "findings": told}
    return content | {"at": at, "verdict": "quiet", "alerts": [], "rules": [rule]}


def test_an_alert_becomes_an_issue_closes_and_comes_back(
    hub: Hub, content: Content, report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["alerts", str(report)]) == 0
    assert "open churn: missing monthly_fee: http://hub.invalid/issues/1" in capsys.readouterr().out
    assert hub.labels == {"mlops-monitor": "What `mlops monitor` found, by itself"}
    assert main(["alerts", str(report)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert main(["alerts", str(written(quiet(content), tmp_path))]) == 0
    assert hub.states() == ["closed"]
    assert "Gone" in hub.comments[-1][1]
    hub.issues[0]["title"] = "a name that a person likes better"
    assert main(["alerts", str(written(content | {"at": "2026-12-05"}, tmp_path))]) == 0
    assert hub.states() == ["open"]
    assert "It is back" in hub.comments[-1][1]
    assert hub.issues[0]["title"] == "a name that a person likes better"
    assert len(hub.issues) == 1


def test_a_dry_run_writes_nothing(
    hub: Hub, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["alerts", str(report), "--dry-run"]) == 0
    assert capsys.readouterr().out == "would open churn: missing monthly_fee\n"
    assert (hub.issues, hub.labels) == ([], {})


def test_issues_of_others_are_left_alone(hub: Hub, content: Content, tmp_path: Path) -> None:
    main(["alerts", str(written(content, tmp_path))])
    body = hub.issues[0]["body"]
    hub.issues.clear()
    hub.open(body, PERSON)
    hub.open(body, pull_request={})
    main(["alerts", str(written(quiet(content), tmp_path))])
    assert hub.states() == ["open", "open"]
    main(["alerts", str(written(content, tmp_path))])
    assert hub.states() == ["open", "open", "open"]


def test_two_runs_at_once_open_one_issue(hub: Hub, report: Path) -> None:
    command = [sys.executable, "-m", "mlops.cli", "alerts", str(report)]
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for run in runs:
        assert run.communicate(timeout=60)[1] == ""
        assert run.returncode == 0
    assert len(hub.issues) == 1
    assert list(hub.labels) == ["mlops-monitor"]


def test_a_lock_that_a_killed_run_left_ends(hub: Hub, report: Path) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    hub.labels[github.LOCK] = f"until {before.isoformat(timespec='seconds')}"
    assert main(["alerts", str(report)]) == 0
    assert len(hub.issues) == 1


def test_a_lock_that_is_held_is_waited_for(
    hub: Hub, report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(github, "PATIENCE", 0.0)
    for about in (f"until {(datetime.now(UTC) + timedelta(minutes=1)).isoformat()}", "by hand"):
        hub.labels[github.LOCK] = about
        assert main(["alerts", str(report)]) == 2
        assert "another run is writing" in capsys.readouterr().err
        assert hub.issues == []
        assert github.LOCK in hub.labels


def test_every_page_of_issues_is_read(
    hub: Hub, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["alerts", str(report)])
    body = hub.issues[0]["body"]
    hub.issues.clear()
    for _ in range(6):
        hub.open("something else")
    hub.open(body)
    monkeypatch.setattr(github, "PAGE", 3)
    assert main(["alerts", str(report)]) == 0
    assert len(hub.issues) == 7


@pytest.mark.parametrize("refused", ["POST /repos/acme/churn/issues", "graphql", "GET .*issues"])
def test_a_refusal_is_one_sentence_with_its_remedy(
    hub: Hub, report: Path, refused: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.refuses = refused
    assert main(["alerts", str(report)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "HTTP 403" in said
    assert "`issues: write`" in said
    assert github.LOCK not in hub.labels


def test_without_gh_it_says_so(
    report: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["alerts", str(report)]) == 2
    assert "`gh` is not installed" in capsys.readouterr().err


def test_without_gh_a_dry_run_says_what_the_report_asks_for(
    report: Path,
    content: Content,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    unknown = "which issues are there already is not known without `gh`: install it"
    assert main(["alerts", str(report), "--dry-run"]) == 0
    asked = "the report asks for an issue: churn: missing monthly_fee"
    assert capsys.readouterr().out.splitlines() == [asked, unknown]
    assert main(["alerts", str(written(quiet(content), tmp_path)), "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == ["the report asks for no issue", unknown]


def test_a_dry_run_that_github_refuses_is_a_failure(
    hub: Hub, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.refuses = "graphql"
    assert main(["alerts", str(report), "--dry-run"]) == 2
    assert "GitHub refuses" in capsys.readouterr().err


def test_a_report_that_was_edited_opens_nothing(
    hub: Hub, content: Content, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "monitor.json"
    path.write_text(json.dumps(content | {"name": "other"}))
    assert main(["alerts", str(path)]) == 2
    assert "was changed after it was written" in capsys.readouterr().err
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "value"), [("GITHUB_RUN_ID", ""), ("GITHUB_REPOSITORY", "a/b](http://x) ")]
)
def test_a_link_is_one_of_a_run_or_none(
    hub: Hub, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert link() == "https://github.invalid/acme/churn/actions/runs/17"
    monkeypatch.setenv(name, value)
    assert link() == ""
    assert os.environ[name] == value
