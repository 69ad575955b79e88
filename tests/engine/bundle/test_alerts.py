"""A report of the monitor is read as it was written, or not at all."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlops.bundle.alerts import read
from mlops.bundle.verdict import VerdictError, sealed

QUIET: dict[str, Any] = {"format": 1, "verdict": "quiet", "alerts": []}


def test_what_was_sealed_is_read(tmp_path: Path) -> None:
    content = sealed({**QUIET, "timings": {"counts": 1.0}})
    (tmp_path / "monitor.json").write_text(json.dumps(content))
    assert read(tmp_path / "monitor.json") == content


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"verdict": "alert"}, "was changed after it was written"),
        ({"verdict": "passed"}, "format or verdict unknown"),
        ({"format": 2}, "format or verdict unknown"),
        ({"digest": None}, "was changed"),
        (None, "is no report of the monitor"),
        ("text", "is no report of the monitor"),
        (float("nan"), "is no report of the monitor"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, change: Any, said: str) -> None:
    content: Any = sealed(QUIET)
    content = content | change if isinstance(change, dict) else change
    (tmp_path / "monitor.json").write_text(json.dumps(content))
    with pytest.raises(VerdictError, match=said) as refused:
        read(tmp_path / "monitor.json")
    assert "run `mlops monitor` again" in str(refused.value)


def test_a_verdict_that_its_alerts_contradict_is_refused(tmp_path: Path) -> None:
    for content in (QUIET | {"alerts": [{}]}, QUIET | {"verdict": "alert"}):
        (tmp_path / "monitor.json").write_text(json.dumps(sealed(content)))
        with pytest.raises(VerdictError, match="contradicts its own findings"):
            read(tmp_path / "monitor.json")


def test_a_report_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(VerdictError, match="is not there: run `mlops monitor` first"):
        read(tmp_path / "monitor.json")
