"""Columns that know the target or the holdout are found; sound ones are not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec.structs import replace as replace_struct

from mlops.config.settings import Derived, Split
from mlops.contract import Column
from mlops.gate.case import Case
from mlops.gate.rule import Finding
from mlops.gate.rules.leakage import Leakage, _along_time, powers

Make = Callable[..., Case]
Rejected = Callable[[list[Finding]], set[str]]
RULE = Leakage(allow=[], gap=0.1)


@pytest.fixture
def put(project: Path, rewrite: Callable[..., None]) -> Callable[..., None]:
    """Write a column of numbers for the training and the holdout rows."""

    def write(name: str, train: np.ndarray, holdout: np.ndarray) -> None:
        rewrite(project / "data/prepared/train", **{name: train})
        rewrite(project / "data/prepared/holdout", **{name: holdout})

    return write


def labels(case: Case) -> tuple[np.ndarray, np.ndarray]:
    return case.train_columns["churned"], case.columns["churned"]


def test_sound_columns_pass(make: Make) -> None:
    (finding,) = RULE.judge(make())
    assert finding.verdict == "passed"


def test_a_column_that_is_the_target_is_rejected_unless_allowed(
    make: Make, put: Callable[..., None], rejected: Rejected
) -> None:
    rng = np.random.default_rng(0)
    put("monthly_fee", *(y * 50 + rng.uniform(0, 20, len(y)) for y in labels(make())))
    assert "monthly_fee" in rejected(RULE.judge(make()))
    allowed = Leakage(allow=["monthly_fee", "fee_per_hour"], gap=0.1)
    assert "monthly_fee" not in rejected(allowed.judge(make()))


def test_the_columns_of_one_feature_are_judged_each_and_allowed_together(
    make: Make, rejected: Rejected
) -> None:
    """As of a text that was written after what it is to predict."""
    case = make()
    encoder = case.candidate.bundle.encoder

    class Texts:
        """An encoder that has two columns of a text behind its own."""

        inputs, categorical = encoder.inputs, encoder.categorical
        names = (*encoder.names, "note_words_0", "note_words_1")

        def matrix(self, columns: dict[str, np.ndarray]) -> np.ndarray:
            told = [case.train_columns["churned"], np.zeros(len(case.train_columns["churned"]))]
            return np.column_stack([encoder.matrix(columns), *told]).astype(np.float32)

    derived = {**case.settings.features.derived, "note_words": Derived("text_ngrams", [], "me")}
    features = replace_struct(case.settings.features, derived=derived)
    bundle = SimpleNamespace(encoder=Texts())
    told = replace(
        case,
        settings=replace_struct(case.settings, features=features),
        candidate=replace(case.candidate, bundle=bundle),
    )
    matrix = np.column_stack([case.matrix, case.target, np.zeros(len(case.target))])
    told.__dict__["matrix"] = matrix.astype(np.float32)
    assert rejected(RULE.judge(told)) == {"note_words_0"}
    assert not rejected(Leakage(allow=["note_words"], gap=0.1).judge(told))


def test_a_target_encoding_is_rejected(
    make: Make, put: Callable[..., None], rejected: Rejected
) -> None:
    rng = np.random.default_rng(0)
    train, holdout = labels(make())
    encoded = np.clip(train * 8 + rng.normal(40, 5, len(train)), 0, 100)
    put("monthly_fee", encoded, np.clip(rng.normal(41, 6, len(holdout)), 0, 100))
    findings = RULE.judge(make())
    assert "monthly_fee" in rejected(findings)
    assert "target encoding" in next(one.reason for one in findings if one.part == "monthly_fee")
    assert not rejected(Leakage(allow=[], gap=0.6).judge(make()))


def test_a_number_standardised_over_both_sides_is_rejected(
    make: Make, put: Callable[..., None], rejected: Rejected
) -> None:
    case = make()
    train, holdout = case.train_columns["monthly_fee"], case.columns["monthly_fee"]
    both = np.concatenate([train, holdout])
    put("monthly_fee", *((v - both.mean()) / both.std() for v in (train, holdout)))
    assert rejected(RULE.judge(make())) == {"monthly_fee"}


def test_a_number_standardised_by_training_alone_passes(
    make: Make, put: Callable[..., None], rejected: Rejected
) -> None:
    case = make()
    train, holdout = case.train_columns["monthly_fee"], case.columns["monthly_fee"]
    put("monthly_fee", *((v - train.mean()) / train.std() for v in (train, holdout)))
    assert not rejected(RULE.judge(make()))


@pytest.mark.parametrize("over_both", [True, False])
def test_filling_with_a_mean_over_both_sides_is_rejected(
    make: Make, put: Callable[..., None], rejected: Rejected, over_both: bool
) -> None:
    case = make()
    sides = case.train_columns["usage_hours"], case.columns["usage_hours"]
    mean = np.nanmean(np.concatenate(sides) if over_both else sides[0])
    put("usage_hours", *(np.where(np.isnan(v), mean, v) for v in sides))
    assert rejected(RULE.judge(make())) == ({"usage_hours"} if over_both else set())


def test_powers_are_those_of_each_class_or_of_a_line() -> None:
    rng = np.random.default_rng(0)
    target = np.repeat([0, 1], [100, 50])
    values = target + rng.normal(size=150)
    wins = (values[100:, None] > values[None, :100]).mean()
    ((area, error),) = powers(values, target, 2)
    assert area == pytest.approx(wins)
    assert error == pytest.approx(np.sqrt(151 / 12 / 50 / 100))
    three = np.repeat([0, 1, 2], [100, 30, 20])
    found = powers(values, three, 3)
    assert [one for one, _ in found][1:] != [area, area]
    assert found[0][0] == pytest.approx(wins)
    assert [error for _, error in found] == pytest.approx(
        [np.sqrt(151 / 12 / a / (150 - a)) for a in (100, 30, 20)]
    )
    numbers = rng.normal(size=150) - values
    ((correlation, error),) = powers(values, numbers, 0)
    assert correlation == pytest.approx(abs(np.corrcoef(values, numbers)[0, 1]))
    assert error == pytest.approx(150**-0.5)
    assert powers(values, np.zeros(150), 2) == [(0.0, pytest.approx(np.sqrt(151 / 12 / 150)))]


def test_a_gap_is_above_what_is_allowed_and_above_chance() -> None:
    def found(gap: float, before: float, now: float, error: float, columns: int) -> list[Finding]:
        rule = Leakage(allow=[], gap=gap)
        return list(rule._gap("x", [(before, error)], [(now, error)], columns, 0.95))

    (one,) = found(0.1, 0.8, 0.6, 0.01, 1)
    assert (one.verdict, one.part, one.threshold) == ("rejected", "x", 0.1)
    assert one.value == pytest.approx(0.2)
    assert not found(0.25, 0.8, 0.6, 0.01, 1)
    assert not found(0.1, 0.6, 0.8, 0.01, 1)
    assert not found(0.1, 0.8, 0.0, 0.01, 1)  # too few rows tell
    chance = 1.6448536 * np.sqrt(2) * 0.08  # 0.186: 5 % of one test
    (one,) = found(0.1, 0.8, 0.6, 0.08, 1)
    assert one.threshold == pytest.approx(chance)
    assert not found(0.1, 0.8, 0.6, 0.08, 2)
    rule = Leakage(allow=[], gap=0.1)
    classes = [(0.7, 0.01), (0.9, 0.01), (0.9, 0.01)], [(0.7, 0.01), (0.6, 0.01), (0.5, 0.01)]
    (one,) = rule._gap("x", *classes, 1, 0.95)
    assert one.value == pytest.approx(0.3)
    pair = [(0.8, 0.08)] * 2, [(0.6, 0.08)] * 2
    assert not list(rule._gap("x", *pair, 1, 0.95))  # two classes are two tests


def test_an_empty_side_is_rejected(make: Make) -> None:
    case = make()
    none = {name: values[:0] for name, values in case.columns.items()}
    (finding,) = RULE.judge(replace(case, columns=none, target=case.target[:0]))
    assert finding.verdict == "rejected"
    assert "no holdout rows" in finding.reason


def test_a_score_that_is_too_good_is_said_and_passes(make: Make) -> None:
    case = make()
    known = replace(case.candidate, predictions=case.target * 0.8 + 0.1)
    (finding,) = RULE.judge(replace(case, candidate=known))
    assert finding.verdict == "passed"
    assert "; but ROC AUC 1 is too good to be true" in finding.reason


def test_a_number_may_follow_the_time_of_the_split_and_nothing_else(make: Make) -> None:
    case = make()
    derived = {"days": Derived("days_since", ["month"], "me", arguments={"first": "2026-01-01"})}
    features = replace_struct(case.settings.features, derived=derived)
    columns = case.settings.data.columns | {"churned": Column("number", role="target")}
    data = replace_struct(case.settings.data, task="regression", columns=columns)
    time = Split("time", cutoff="2026-03-01")
    told = {
        method: _along_time(replace(case, settings=replace_struct(case.settings, **changes)))
        for method, changes in {
            "time": {"features": features, "data": data, "split": time},
            "hash": {"features": features, "data": data},
            "class": {"features": features, "split": time},
        }.items()
    }
    assert told == {"time": {"days"}, "hash": set(), "class": set()}
