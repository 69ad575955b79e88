"""Time, bytes and memory are measured, and ceilings hold."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from mlops.gate.case import Case
from mlops.gate.rule import Finding
from mlops.gate.rules.cost import Latency, Memory, Size, _body, usual
from mlops.gate.sandbox import SandboxError
from mlops.runtime.model import Model

Make = Callable[..., Case]
Rejected = Callable[[list[Finding]], set[str]]
LOOSE = {"one_row_ms": 1e4, "hundred_rows_ms": 1e4, "ratio": 3.0, "negligible_ms": 0.0}


def slowed(case: Case) -> Case:
    """Return the case with a candidate that computes each answer 300 times."""
    model = case.candidate.bundle.model

    def answer(matrix: np.ndarray) -> np.ndarray:
        return np.array([model.answer(matrix) for _ in range(300)])[-1]

    slow = Model(model.runtime, model.task, answer)
    bundle = msgspec.structs.replace(case.candidate.bundle, model=slow)
    return replace(case, candidate=replace(case.candidate, bundle=bundle))


def test_the_champions_own_pace_passes(make: Make, champion: Path, rejected: Rejected) -> None:
    findings = Latency(**LOOSE, repeats=20).judge(make(champion))
    assert not rejected(findings)
    assert len(findings) == 4
    assert all(one.value is not None and one.value > 0 for one in findings)


def test_a_first_model_has_only_ceilings(make: Make) -> None:
    assert len(Latency(**LOOSE, repeats=20).judge(make())) == 2


def test_a_slower_candidate_is_rejected(make: Make, champion: Path, rejected: Rejected) -> None:
    findings = Latency(**LOOSE, repeats=20).judge(slowed(make(champion)))
    assert rejected(findings) == {"1 row, against the champion", "100 rows, against the champion"}


def test_a_negligible_time_has_no_ratio(make: Make, champion: Path, rejected: Rejected) -> None:
    rule = Latency(**(LOOSE | {"negligible_ms": 1e4}), repeats=20)
    assert not rejected(rule.judge(slowed(make(champion))))


@pytest.mark.parametrize(
    ("setting", "part"), [("one_row_ms", "1 row"), ("hundred_rows_ms", "100 rows")]
)
def test_a_ceiling_holds(make: Make, rejected: Rejected, setting: str, part: str) -> None:
    rule = Latency(**(LOOSE | {setting: 1e-6}), repeats=20)
    assert rejected(rule.judge(make())) == {part}


def test_too_few_repeats_are_refused() -> None:
    with pytest.raises(ValueError, match="repeats"):
        Latency(**LOOSE, repeats=1)


def test_the_size_is_that_of_all_files(make: Make, project: Path) -> None:
    total = sum(file.stat().st_size for file in (project / "candidate").iterdir()) / 1e6
    (passed,) = Size(at_most_mb=total).judge(make())
    (refused,) = Size(at_most_mb=total * 0.999).judge(make())
    assert (passed.verdict, refused.verdict) == ("passed", "rejected")
    assert passed.value == pytest.approx(total)


def test_memory_is_measured_apart_from_this_process(make: Make) -> None:
    ballast = np.ones(40_000_000)  # 320 MB that the other process does not have
    (passed,) = Memory(at_most_mb=300, rows=100).judge(make())
    assert passed.verdict == "passed"
    assert passed.value is not None
    assert 20 < passed.value < ballast.nbytes / 1e6
    assert Memory(at_most_mb=5, rows=100).judge(make())[0].verdict == "rejected"


def test_a_bundle_that_does_not_load_is_not_passed(make: Make, project: Path) -> None:
    case = make()
    (project / "candidate/model.onnx").write_bytes(b"no model")
    with pytest.raises(SandboxError, match=r"model\.onnx"):
        Memory(at_most_mb=1000, rows=100).judge(case)


def test_what_is_timed_is_said(make: Make, champion: Path) -> None:
    findings = Latency(**LOOSE, repeats=5).judge(make(champion))
    assert [one.part for one in findings] == [
        "1 row",
        "1 row, against the champion",
        "100 rows",
        "100 rows, against the champion",
    ]
    assert not any("without encoding" in one.reason for one in findings)
    one, against = findings[:2]
    assert one.value == against.value
    assert one.threshold == 1e4
    theirs = float(against.reason.partition("champion's is ")[2].partition(")")[0])
    assert against.threshold == pytest.approx(3 * theirs, rel=1e-3)


def test_memory_needs_rows_and_says_how_many(make: Make) -> None:
    with pytest.raises(ValueError, match="rows"):
        Memory(at_most_mb=1, rows=0)
    (finding,) = Memory(at_most_mb=1e4, rows=1).judge(make())
    assert "for 1 rows" in finding.reason


def test_a_bundle_without_files_is_rejected(make: Make, tmp_path: Path) -> None:
    case = make()
    (tmp_path / "empty/folder").mkdir(parents=True)
    empty = replace(case, candidate=replace(case.candidate, folder=tmp_path / "empty"))
    assert Size(at_most_mb=1).judge(empty)[0].verdict == "rejected"


def test_what_only_some_answers_cost_counts_by_their_share() -> None:
    assert usual([1.0] * 200) == 1.0
    assert usual([1.0] * 190 + [50.0] * 10) == 1.0  # the machine was busy
    assert usual([1.0] * 140 + [50.0] * 60) > 13  # three rows of ten are slow
    assert usual([1.0, 1.0, 1.0, 1.0, 99.0]) == 1.0


def test_rows_are_sent_as_clients_send_them(make: Make) -> None:
    case = make()
    inputs = case.candidate.bundle.encoder.inputs
    body = _body(case, inputs, 100, 0)
    first = msgspec.json.decode(body)[0]
    declared = case.settings.data.columns
    assert set(first) == set(inputs)
    assert first["plan"] in declared["plan"].categories
    assert isinstance(first["tenure_months"], int)
    assert isinstance(first["auto_renew"], bool)
    assert body != _body(case, inputs, 100, 1)
    answers = case.candidate.bundle.served(body, 100)
    np.testing.assert_allclose(answers, case.candidate.predictions[:100], atol=1e-6)
