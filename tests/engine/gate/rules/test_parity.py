"""The recorded parity and the golden rows decide."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops.gate.case import Case
from mlops.gate.rule import Finding
from mlops.gate.rules.parity import Parity

Make = Callable[..., Case]
Rejected = Callable[[list[Finding]], set[str]]
RULE = Parity(at_most=1e-5)


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content)))


def test_a_compiled_model_passes(make: Make, rejected: Rejected) -> None:
    findings = RULE.judge(make())
    assert not rejected(findings)
    assert {one.part for one in findings} == {"recorded", "golden rows"}
    assert findings[0].reason.startswith("the difference of onnx from the fitted model on ")


@pytest.mark.parametrize(
    "parity",
    [
        None,
        {},
        {"rows": 0, "difference": 0.0},
        {"rows": 1, "difference": 0.0},
        {"difference": 0.0},
        {"rows": None},
        {"rows": None, "difference": float("nan")},
        {"rows": None, "difference": float("inf")},
        {"rows": None, "difference": 2e-5, "tolerance": 1.0},
        {"rows": None, "difference": "0"},
        {"rows": None, "difference": False},
    ],
)
def test_a_bad_record_is_rejected(
    make: Make, project: Path, rejected: Rejected, parity: dict[str, Any] | None
) -> None:
    case = make()
    if parity is not None and parity.get("rows", 1) is None:
        parity["rows"] = len(case.target)
    edit(project / "candidate/training.json", lambda about: about | {"parity": parity})
    assert rejected(RULE.judge(case)) == {"recorded"}


def test_golden_rows_that_answer_otherwise_are_rejected(
    make: Make, project: Path, rejected: Rejected
) -> None:
    case = make()

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[3]["prediction"] += 1e-3
        return rows

    edit(project / "candidate/golden.json", change)
    assert rejected(RULE.judge(case)) == {"golden rows"}


@pytest.mark.parametrize("kept", [0, 19])
def test_missing_golden_rows_are_rejected(
    make: Make, project: Path, rejected: Rejected, kept: int
) -> None:
    case = make()
    edit(project / "candidate/golden.json", lambda rows: rows[:kept])
    assert rejected(RULE.judge(case)) == {"golden rows"}
