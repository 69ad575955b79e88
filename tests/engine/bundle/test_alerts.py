"""A report of the monitor is read as it was written, or not at all."""

import json
from pathlib import Path

import pytest

from mlops.bundle import alerts
from mlops.bundle.verdict import VerdictError, sealed

QUIET = {"format": 1, "verdict": "quiet", "alerts": []}


def test_a_report_is_read(tmp_path: Path) -> None:
    path = tmp_path / "monitor.json"
    path.write_text(json.dumps(sealed(QUIET)))
    assert alerts.read(path)["verdict"] == "quiet"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps(sealed(QUIET)).replace("quiet", "alert"), "was changed after it was written"),
        (json.dumps(sealed({**QUIET, "format": 2})), "format or verdict unknown here"),
        (json.dumps(sealed({**QUIET, "verdict": "fine"})), "format or verdict unknown here"),
        (json.dumps(QUIET), "is no report of the monitor"),
        ("[" * 99999, "is no report of the monitor"),
        ("3", "is no report of the monitor"),
        ("", "is no report of the monitor"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "monitor.json"
    path.write_text(text)
    with pytest.raises(VerdictError, match=said):
        alerts.read(path)


def test_a_missing_report_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(VerdictError, match="run `make monitor` first"):
        alerts.read(tmp_path / "monitor.json")
