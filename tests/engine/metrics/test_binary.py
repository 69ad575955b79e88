import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import assume, given
from hypothesis import strategies as st

from mlops.metrics.catalogue import compute

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda k: k / 20), st.integers(0, 3)),
    min_size=2,
    max_size=40,
)
REFERENCES = {
    "roc_auc": reference.roc_auc_score,
    "average_precision": reference.average_precision_score,
    "log_loss": lambda y, p, **kw: reference.log_loss(y, p, labels=[0, 1], **kw),
    "brier": reference.brier_score_loss,
    "accuracy": lambda y, p, **kw: reference.accuracy_score(y, p > 0.5, **kw),
    "f1": lambda y, p, **kw: reference.f1_score(y, p > 0.5, **kw),
}


@pytest.mark.parametrize("name", REFERENCES)
@given(rows=ROWS)
def test_agrees_with_scikit_learn_ties_and_integer_weights_included(
    name: str, rows: list[tuple[int, float, int]]
) -> None:
    target, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    repeated = np.repeat(target, weights)
    assume(0 < repeated.sum() < len(repeated))

    plain = compute("binary", [name], target, scores)[name]
    weighted = compute("binary", [name], target, scores, weights)[name]

    assert plain == pytest.approx(REFERENCES[name](target, scores), abs=1e-12)
    expected = REFERENCES[name](repeated, np.repeat(scores, weights))
    assert weighted == pytest.approx(expected, abs=1e-12)


@given(rows=ROWS)
def test_ece_is_the_mean_gap_over_bins(rows: list[tuple[int, float, int]]) -> None:
    target, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    assume(weights.sum() > 0)
    y, p = np.repeat(target, weights), np.repeat(scores, weights)
    codes = np.minimum((p * 15).astype(int), 14)
    gaps = [abs((y - p)[codes == k].sum()) for k in range(15)]

    assert compute("binary", ["ece"], target, scores, weights)["ece"] == pytest.approx(
        sum(gaps) / len(y), abs=1e-12
    )


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "f1"])
def test_undefined_without_positives(name: str) -> None:
    assert np.isnan(compute("binary", [name], np.zeros(3, int), np.array([0.1, 0.2, 0.3]))[name])


@pytest.mark.parametrize("name", [*REFERENCES, "ece"])
@pytest.mark.parametrize("rows", [0, 2])
def test_undefined_without_weight(name: str, rows: int) -> None:
    target, scores = np.arange(rows) % 2, np.full(rows, 0.5)
    assert np.isnan(compute("binary", [name], target, scores, np.zeros(rows))[name])


def test_impossible_events_cost_a_finite_loss() -> None:
    loss = compute("binary", ["log_loss"], np.array([0, 1]), np.array([1.0, 0.0]))["log_loss"]
    assert loss == pytest.approx(-np.log(np.finfo(float).eps))
