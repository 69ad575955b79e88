from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlops.gate.rule import PolicyError, configured
from mlops.gate.rules.stability import Stability

RULE = Stability(noise=0.01, noise_at_most=0.02, missing=0.1, missing_at_most=0.05, rows=1000)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_smooth_model_passes(workshop: Any, task: str) -> None:
    found = RULE.judge(workshop.case(task))
    assert [(f.verdict, f.part) for f in found] == [("passed", "noise"), ("passed", "missing")]
    assert all(f.value > 0 for f in found)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_model_that_learnt_every_row_by_heart_is_rejected(workshop: Any, task: str) -> None:
    case = workshop.case(task)
    tree = DecisionTreeClassifier() if task == "binary" else DecisionTreeRegressor()
    rule = Stability(noise=0.01, noise_at_most=0.02, missing=0.3, missing_at_most=0.05, rows=1000)
    found = rule.judge(replace(case, candidate=workshop.judged(task, case.columns, tree)))
    assert [f.verdict for f in found] == ["rejected", "rejected"]


def test_the_change_is_as_large_as_the_noise(workshop: Any) -> None:
    complete = {"usage": {"nullable": False}}
    case = workshop.case("regression", declare=complete)
    calls = case.columns["calls"]
    case.columns["usage"] = np.zeros_like(calls)
    encoder = case.candidate.bundle.encoder

    def predict(matrix: np.ndarray) -> np.ndarray:
        return matrix[:, encoder.names.index("calls")].astype(float)

    model = case.candidate.bundle.model._replace(answer=predict)
    bundle = msgspec.structs.replace(case.candidate.bundle, model=model)
    case = replace(case, candidate=replace(case.candidate, bundle=bundle, predictions=calls))
    noise, missing = RULE.judge(case)
    assert noise.value == pytest.approx(0.01 * np.sqrt(2 / np.pi), rel=0.1)
    assert (missing.verdict, missing.reason) == ("not applicable", "no feature may be missing")


def test_the_same_seed_gives_the_same_figure(workshop: Any) -> None:
    case = workshop.case()
    assert RULE.judge(case) == RULE.judge(case)
    assert RULE.judge(case) != RULE.judge(replace(case, seed=6))


def test_noise_stays_inside_the_contract(workshop: Any) -> None:
    case = workshop.case()
    seen: list[np.ndarray] = []
    answer = case.candidate.bundle.model.answer

    def predict(matrix: np.ndarray) -> np.ndarray:
        seen.append(matrix)
        return answer(matrix)

    model = case.candidate.bundle.model._replace(answer=predict)
    bundle = msgspec.structs.replace(case.candidate.bundle, model=model)
    rule = Stability(noise=5, noise_at_most=1, missing=1, missing_at_most=1, rows=1000)
    rule.judge(replace(case, candidate=replace(case.candidate, bundle=bundle)))
    calls, usage = (bundle.encoder.names.index(name) for name in ("calls", "usage"))
    assert 0 == seen[0][:, calls].min() < seen[0][:, calls].max() == 10
    assert set(seen[0][:, bundle.encoder.names.index("member")]) == {0, 1}
    assert np.isnan(seen[1][:, usage]).all()
    assert not np.isnan(seen[1][:, calls]).any()


def test_answers_that_are_no_numbers_are_rejected(workshop: Any) -> None:
    case = workshop.case("regression")
    model = case.candidate.bundle.model._replace(answer=lambda matrix: np.full(len(matrix), np.nan))
    bundle = msgspec.structs.replace(case.candidate.bundle, model=model)
    found = RULE.judge(replace(case, candidate=replace(case.candidate, bundle=bundle)))
    assert {f.verdict for f in found} == {"rejected"}


@pytest.mark.parametrize(
    "changes",
    [{"noise": 0}, {"missing": 1.1}, {"rows": 0}, {"noise_at_most": float("inf")}, {"missing": 0}],
)
def test_settings_that_would_test_nothing_are_refused(changes: dict[str, float]) -> None:
    section = {"noise": 1, "noise_at_most": 1, "missing": 1, "missing_at_most": 1, "rows": 1}
    assert configured("stability", section) is not None
    with pytest.raises(PolicyError):
        configured("stability", section | changes)


def test_only_so_many_rows_are_predicted(workshop: Any) -> None:
    case = workshop.case()
    seen: list[int] = []
    answer = case.candidate.bundle.model.answer

    def predict(matrix: np.ndarray) -> np.ndarray:
        seen.append(len(matrix))
        return answer(matrix)

    model = case.candidate.bundle.model._replace(answer=predict)
    bundle = msgspec.structs.replace(case.candidate.bundle, model=model)
    case = replace(case, candidate=replace(case.candidate, bundle=bundle))
    for rows in (100, 9999):
        few = Stability(noise=1, noise_at_most=1, missing=1, missing_at_most=1, rows=rows)
        few.judge(case)
    assert seen == [100, 100, 1500, 1500]


def test_several_classes_move_by_half_the_sum(workshop: Any) -> None:
    case = workshop.case("multiclass")
    shifted = np.array([0.2, -0.1, -0.1])
    model = case.candidate.bundle.model._replace(
        answer=lambda matrix: np.tile([0.5, 0.3, 0.2], (len(matrix), 1)) + shifted
    )
    bundle = msgspec.structs.replace(case.candidate.bundle, model=model)
    before = np.tile([0.5, 0.3, 0.2], (1500, 1))
    candidate = replace(case.candidate, bundle=bundle, predictions=before)
    noise, missing = RULE.judge(replace(case, candidate=candidate))
    assert (noise.value, missing.value) == (pytest.approx(0.2), pytest.approx(0.2))
    assert (noise.threshold, missing.threshold) == (0.02, 0.05)


def test_a_constant_regression_has_no_unit(workshop: Any) -> None:
    case = workshop.case("regression")
    flat = replace(case.candidate, predictions=np.ones(1500))
    assert {one.verdict for one in RULE.judge(replace(case, candidate=flat))} == {"rejected"}
