"""Intervals and sets hold the truth as often as is promised, of all rows and of each label."""

from typing import Any

import msgspec
import numpy as np
import pytest

from mlops.contract import Contract
from mlops.runtime.intervals import IntervalError, Intervals, parsed

TARGETS: dict[str, dict[str, Any]] = {
    "regression": {"type": "number"},
    "binary": {"type": "boolean"},
    "multiclass": {"type": "category", "categories": ["a", "b", "c"]},
}
KIND = {"type": "category", "categories": ["calm", "wild"], "nullable": True}
SEEDS, ROWS = 60, 400


def contract(
    task: str, promised: dict[str, Any] | None, target: dict[str, Any] | None = None
) -> Contract:
    columns = {"kind": KIND, "y": TARGETS[task] | {"role": "target"} | (target or {})}
    content: dict[str, Any] = {"name": "t", "task": task, "columns": columns}
    return msgspec.convert(content | ({"intervals": promised} if promised else {}), Contract)


def drawn(task: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return targets, predictions and codes: wild rows are four times as far off."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 2, ROWS).astype(float)
    if task == "regression":
        predictions = generator.normal(50, 10, ROWS)
        return predictions + generator.normal(size=ROWS) * (1 + 3 * codes), predictions, codes
    sharp = np.where(codes == 1, 1.0, 8.0)[:, np.newaxis]
    classes = 3 if task == "multiclass" else 2
    shares = generator.dirichlet(np.ones(classes), ROWS) ** sharp
    shares /= shares.sum(axis=1, keepdims=True)
    target = (generator.random((ROWS, 1)) > shares.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return target, shares if classes == 3 else shares[:, 1], codes


def held(
    one: Intervals, declared: Contract, target: np.ndarray, predictions: np.ndarray, codes: Any
) -> np.ndarray:
    if declared.task == "regression":
        low, high = one.around(predictions, declared, codes).T
        return np.asarray((low <= target) & (target <= high))
    among = one.sets(predictions, declared, 0.5, codes)
    return np.asarray(among[np.arange(len(target)), target])


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("by", [None, "kind"])
def test_the_share_that_is_promised(task: str, by: str | None) -> None:
    declared = contract(task, {"coverage": 0.9, "by": by})
    shares, wild = [], []
    for seed in range(SEEDS):
        one = Intervals.calibrated(declared, *drawn(task, seed)[:2], codes=drawn(task, seed)[2])
        target, predictions, codes = drawn(task, 1000 + seed)
        found = held(one, declared, target, predictions, codes)
        shares.append(found.mean())
        wild.append(found[codes == 1].mean())
    # A set also has the label that is decided, which may be more than is needed.
    assert 0.89 < np.mean(shares) < (0.92 if task == "regression" else 0.97)
    assert (np.mean(wild) > 0.89) == (by == "kind")


def test_a_width_is_the_distance_of_the_rank_that_covers_one_more_row() -> None:
    declared = contract("regression", {"coverage": 0.9})
    one = Intervals.calibrated(declared, np.arange(1.0, 20.0), np.zeros(19))
    assert (one.width, one.rows) == (18.0, 19)  # of 19 and one more, 0.9 are 18
    assert one.around(np.array([5.0]), declared).tolist() == [[-13.0, 23.0]]


def test_labels_with_few_rows_have_the_width_of_all() -> None:
    declared = contract("regression", {"coverage": 0.9, "by": "kind"})
    codes = np.array([0.0] * 100 + [1.0] * 5 + [np.nan] * 5)
    target = np.concatenate([np.linspace(0, 1, 100), np.full(10, 9.0)])
    one = Intervals.calibrated(declared, target, np.zeros(110), codes=codes)
    assert set(one.widths) == {"calm"}
    ends = one.around(np.zeros(4), declared, np.array([0.0, 1.0, 2.0, np.nan]))
    assert ends[0, 1] == one.widths["calm"] < one.width
    assert (ends[1:, 1] == one.width).all()


@pytest.mark.parametrize("scale", ["log", "log1p", "sqrt"])
def test_on_the_scale_of_a_transformation_they_grow_with_the_prediction(scale: Any) -> None:
    declared = contract("regression", {"coverage": 0.9})
    generator = np.random.default_rng(0)
    predictions = generator.uniform(1, 100, 2000)
    target = predictions * np.exp(generator.normal(0, 0.2, 2000))
    one = Intervals.calibrated(declared, target, predictions, scale)
    near, far = one.around(np.array([2.0, 90.0]), declared)
    assert np.ptp(far) > 3 * np.ptp(near)
    assert np.isfinite(one.around(np.array([-5.0, 0.0, 1e300]), declared)).all()
    low, high = one.around(predictions, declared).T
    assert 0.89 < ((low <= target) & (target <= high)).mean() < 0.92
    assert (low >= -1).all()


def test_they_keep_within_the_bounds_of_the_target() -> None:
    declared = contract("regression", {"coverage": 0.9}, {"min": 0, "max": 10})
    one = Intervals(0.9, 50, 4.0)
    ends = one.around(np.array([1.0, 9.0, 5.0, -3.0]), declared)
    assert ends.tolist() == [[0, 5], [5, 10], [1, 9], [0, 1]]


def test_a_set_always_has_what_is_decided() -> None:
    declared = contract("binary", {"coverage": 0.6})
    one = Intervals(0.6, 50, 0.1)
    among = one.sets(np.array([0.95, 0.5, 0.2]), declared, threshold=0.15)
    assert among.tolist() == [[False, True], [False, True], [False, True]]


def test_too_few_rows_say_how_many_are_needed() -> None:
    declared = contract("regression", {"coverage": 0.9})
    Intervals.calibrated(declared, np.arange(9.0), np.zeros(9))
    with pytest.raises(IntervalError, match=r"8 calibration rows .* 9 are needed; add rows"):
        Intervals.calibrated(declared, np.arange(8.0), np.zeros(8))


def encoded(**changes: Any) -> bytes:
    return msgspec.json.encode({"coverage": 0.9, "rows": 50, "width": 1.0} | changes)


def test_a_file_is_read_as_the_contract_promises() -> None:
    promised = contract("regression", {"coverage": 0.9})
    assert parsed(encoded(), promised) == Intervals(0.9, 50, 1.0)
    assert parsed(None, contract("regression", None)) is None


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"[" * 100_000,
        encoded(coverage=0.8),
        encoded(by="kind"),
        encoded(width=-1.0),
        encoded(width="wide"),
        encoded(width=None),
        encoded(scale="cube"),
        encoded(more=1),
    ],
)
def test_another_file_is_refused(content: bytes | None) -> None:
    with pytest.raises(IntervalError, match=r"intervals\.json .* rebuild it with `dvc repro`"):
        parsed(content, contract("regression", {"coverage": 0.9}))


def test_a_file_that_nobody_promised_is_refused() -> None:
    with pytest.raises(IntervalError, match="the contract promises others"):
        parsed(encoded(), contract("regression", None))


@pytest.mark.parametrize("by", ["y", "z"])
def test_only_a_feature_with_labels_can_set_them_apart(by: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"name a feature of type category"):
        contract("regression", {"coverage": 0.9, "by": by})


@pytest.mark.parametrize("coverage", [0.4, 1.0, 90])
def test_a_coverage_is_a_share(coverage: float) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"a share from 0\.5 to below 1"):
        contract("regression", {"coverage": coverage})
