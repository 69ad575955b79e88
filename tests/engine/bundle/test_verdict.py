"""A report is what the gate wrote, or it is not read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops.bundle import verdict
from mlops.bundle.verdict import VerdictError

PASSED = {"verdict": "passed", "findings": [{"verdict": "passed", "reason": "fine", "value": 0.8}]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    content = {
        "format": 1,
        "verdict": "passed",
        "reasons": [],
        "candidate": {"sha256": "cd"},
        "champion": {"sha256": "ab", "naïve": "ü"},
        "policy": {"sha256": "ef"},
        "holdout": {"sha256": "01"},
        "checks": [{"name": "candidate", **PASSED}],
        "rules": [{"name": "metric", "rule": "metric", **PASSED}],
        "timings": {"seconds": 1.5},
    }
    verdict.write(tmp_path, verdict.sealed(content), "# passed", "<p>passed")
    return tmp_path / verdict.REPORT


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any], seal: bool = False) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(verdict.sealed(content) if seal else content))


def test_what_was_written_is_read(path: Path) -> None:
    content = verdict.read(path)
    assert content["champion"]["naïve"] == "ü"
    assert {file.name for file in path.parent.iterdir()} == {"gate.json", "gate.md", "gate.html"}


JUDGED = {"candidate": "cd", "champion": "ab", "policy": "ef", "holdout": "01"}


def test_a_report_on_what_is_there_is_confirmed(path: Path) -> None:
    assert verdict.confirmed(path, JUDGED) == verdict.read(path)
    rewrite(path, lambda content: content.update(champion=None), seal=True)
    assert verdict.confirmed(path, JUDGED | {"champion": None})["verdict"] == "passed"


@pytest.mark.parametrize("subject", verdict.SUBJECTS)
@pytest.mark.parametrize("now", ["00", None])
def test_the_honest_report_of_something_else_is_refused(
    path: Path, subject: str, now: str | None
) -> None:
    with pytest.raises(VerdictError, match=f"judged another {subject} than"):
        verdict.confirmed(path, JUDGED | {subject: now})


def test_a_report_that_rejected_confirms_nothing(path: Path) -> None:
    rewrite(path, lambda content: content["rules"][0].update(verdict="rejected"))
    rewrite(path, lambda content: content.update(verdict="rejected"), seal=True)
    with pytest.raises(VerdictError, match="rejected the candidate"):
        verdict.confirmed(path, JUDGED)


def test_layout_and_timings_are_not_covered(path: Path) -> None:
    rewrite(path, lambda content: content["timings"].update(seconds=9.0))
    assert verdict.read(path)["timings"] == {"seconds": 9.0}


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(verdict="rejected"),
        lambda content: content["champion"].update(sha256="cd"),
        lambda content: content["rules"][0]["findings"][0].update(value=0.81),
        lambda content: content["rules"].clear(),
        lambda content: content.update(extra=1),
        lambda content: content.update(digest="0" * 64),
        lambda content: content.pop("digest"),
        lambda content: content.pop("champion"),
    ],
)
def test_any_edit_is_detected(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    rewrite(path, change)
    with pytest.raises(VerdictError, match="make gate"):
        verdict.read(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(verdict="rejected"),
        lambda content: content["rules"][0].update(verdict="rejected"),
        lambda content: content["checks"][0].update(verdict="rejected"),
        lambda content: content["rules"][0].update(verdict="not applicable"),
        lambda content: content["rules"].clear(),
        lambda content: content.update(format=2),
        lambda content: content.update(verdict="fine"),
    ],
)
def test_a_verdict_against_its_own_findings_is_refused_under_any_digest(
    path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    rewrite(path, change, seal=True)
    with pytest.raises(VerdictError, match=r"contradicts|unknown"):
        verdict.read(path)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"a": NaN}', "{", '{"checks": 3}'])
def test_what_is_no_report_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(VerdictError, match="no report"):
        verdict.read(path)
    path.unlink()
    with pytest.raises(VerdictError, match="no report"):
        verdict.read(path)


def test_a_figure_that_is_no_number_cannot_be_sealed() -> None:
    with pytest.raises(ValueError, match="JSON"):
        verdict.sealed({"value": float("nan")})


def test_clearing_leaves_other_files(path: Path) -> None:
    (path.parent / "notes.txt").write_text("mine")
    verdict.clear(path.parent)
    assert [file.name for file in path.parent.iterdir()] == ["notes.txt"]


def test_what_is_still_to_come_is_stated(path: Path) -> None:
    coming = {"verdict": "pending", "findings": [{"verdict": "pending", "reason": "later"}]}
    entry = {"name": "again", "rule": "reproduced", **coming}
    rewrite(path, lambda content: content["rules"].append(entry), seal=True)
    with pytest.raises(VerdictError, match="contradicts its own findings"):
        verdict.read(path)
    rewrite(path, lambda content: content.update(pending=["again"]), seal=True)
    assert verdict.read(path)["verdict"] == "passed"


def test_what_is_only_pending_has_not_passed() -> None:
    assert (
        verdict.verdict([{"name": "a", "rule": "reproduced", "verdict": "pending"}]) == "rejected"
    )
