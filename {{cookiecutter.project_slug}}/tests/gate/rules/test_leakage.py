"""Columns that know the target or the holdout are found; sound ones are not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlops.gate.case import Case
from mlops.gate.rule import Finding
from mlops.gate.rules.leakage import Leakage

Make = Callable[..., Case]
Rejected = Callable[[list[Finding]], set[str]]
RULE = Leakage(allow=[], gap=0.1)


@pytest.fixture
def put(project: Path, rewrite: Callable[..., None]) -> Callable[..., None]:
    """Write a column of numbers for the training and the holdout rows."""

    def write(name: str, train: np.ndarray, holdout: np.ndarray) -> None:
        rewrite(project / "data/prepared/train.parquet", **{name: train})
        rewrite(project / "data/prepared/holdout.parquet", **{name: holdout})

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
