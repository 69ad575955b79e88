"""A chat is told of what is new or gone; its address is a secret and stays one."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hub import Hub

from mlops.bundle.verdict import sealed
from mlops.cli import main
from mlops.monitoring import webhook
from mlops.monitoring.webhook import WebhookError, check, plain, post

Content = dict[str, Any]
SECRET = "T0KEN-of-the-hook"


class Chat:
    """Takes messages, or answers as it is told."""

    def __init__(self) -> None:
        self.messages: list[Content] = []
        self.answers: list[int] = []
        self.asked = 0
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

            def do_POST(self) -> None:
                chat.asked += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = chat.answers.pop(0) if chat.answers else 200
                if status == 200:
                    chat.messages.append(json.loads(body))
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", f"{chat.address}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/{SECRET}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    monkeypatch.setattr(webhook, "PAUSE", 0.0)
    made = Chat()
    yield made
    made.stop()


@pytest.fixture
def report(content: Content, tmp_path: Path) -> Path:
    path = tmp_path / "monitor.json"
    path.write_text(json.dumps(content))
    return path


def test_only_changes_are_told(
    hub: Hub, chat: Chat, content: Content, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(webhook.VARIABLE, chat.address)
    assert main(["alerts", str(report)]) == 0
    assert main(["alerts", str(report)]) == 0
    [message] = chat.messages
    assert message["text"].splitlines() == [
        "churn: alert (2026-11-27)",
        "- new: churn: missing monthly_fee http://hub.invalid/issues/1",
        "https://github.invalid/acme/churn/actions/runs/17",
    ]
    assert (message["verdict"], message["name"]) == ("alert", "churn")
    assert (message["new"], message["gone"]) == (["churn: missing monthly_fee"], [])
    assert len(message["alerts"]) == len(message["notes"]) == 1
    told = [{**one, "verdict": "quiet"} for one in content["rules"][0]["findings"]]
    rule = {**content["rules"][0], "verdict": "quiet", "findings": told}
    gone = content | {"at": "2026-12-04", "verdict": "quiet", "alerts": [], "rules": [rule]}
    report.write_text(json.dumps(sealed(gone)))
    assert main(["alerts", str(report)]) == 0
    assert "- gone: churn: missing monthly_fee" in chat.messages[1]["text"]


def test_a_chat_that_fails_is_a_sentence_after_the_issues(
    hub: Hub,
    chat: Chat,
    report: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(webhook.VARIABLE, chat.address)
    chat.answers = [500, 500]
    assert main(["alerts", str(report)]) == 2
    said = capsys.readouterr()
    assert "open churn: missing monthly_fee" in said.out
    assert said.err.count("\n") == 1
    assert "it answered 500" in said.err
    assert SECRET not in said.err + said.out
    assert len(hub.issues) == 1


def test_what_was_done_is_told_even_where_github_failed_behind_it(
    hub: Hub,
    chat: Chat,
    content: Content,
    report: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(webhook.VARIABLE, chat.address)
    main(["alerts", str(report)])
    hub.refuses = "PATCH"
    more = content["alerts"][0] | {"part": "another"}
    again = sealed(content | {"alerts": [more, *content["alerts"]], "at": "2026-12-01"})
    report.write_text(json.dumps(again))
    assert main(["alerts", str(report)]) == 2
    assert "HTTP 403" in capsys.readouterr().err
    assert chat.messages[-1]["new"] == ["churn: missing another"]


def test_an_address_that_is_refused_is_so_before_anything_is_done(
    hub: Hub, report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(webhook.VARIABLE, f"http://chat.invalid/{SECRET}")
    assert main(["alerts", str(report)]) == 2
    said = capsys.readouterr().err
    assert "is not https" in said
    assert SECRET not in said
    assert hub.requests == []


@pytest.mark.parametrize(
    ("answers", "asked"), [([503], 2), ([429], 2), ([500, 502], 2), ([404], 1), ([307], 1)]
)
def test_one_retry_and_only_where_it_may_help(chat: Chat, answers: list[int], asked: int) -> None:
    chat.answers = list(answers)
    if len(answers) == 2 or answers[0] in (404, 307):
        with pytest.raises(WebhookError) as failed:
            post(chat.address, {})
        assert SECRET not in str(failed.value)
        assert str(answers[-1]) in str(failed.value)
    else:
        post(chat.address, {})
    assert chat.asked == asked


def test_nobody_there_is_a_sentence(chat: Chat) -> None:
    chat.stop()
    with pytest.raises(WebhookError, match="cannot be reached") as failed:
        post(chat.address, {})
    assert SECRET not in str(failed.value)
    assert failed.value.__cause__ is None


@pytest.mark.parametrize(
    "address",
    [
        "https://[half",
        "https://",
        "https://host:port/x",
        "ftp://host/x",
        "http://host/x",
        "http://127.0.0.1.evil.invalid/x",
        "http://localhost@evil.invalid/x",
        "https://host/x\r\nHost: evil",
        "https://host/a b",
        "file:///etc/passwd",
        "words",
    ],
)
def test_only_https_or_this_machine(address: str) -> None:
    with pytest.raises(WebhookError) as refused:
        check(address)
    assert "evil" not in str(refused.value)


@pytest.mark.parametrize("address", ["https://host/x", "http://localhost:1/x", "http://[::1]:1/x"])
def test_these_are_taken(address: str) -> None:
    check(address)


def test_names_mention_nobody_in_a_chat(hostile: str) -> None:
    said = plain(f"<!channel> @here {hostile}")
    assert "<" not in said
    assert "@here" not in said
