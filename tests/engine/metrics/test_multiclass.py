import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import assume, given
from hypothesis import strategies as st

from mlops.metrics.catalogue import compute

SCORES = st.tuples(*[st.integers(1, 6)] * 3)
ROWS = st.lists(st.tuples(st.integers(0, 2), SCORES, st.integers(0, 3)), min_size=3, max_size=40)
REFERENCES = {
    "log_loss": lambda y, p: reference.log_loss(y, p, labels=[0, 1, 2]),
    "brier": lambda y, p: reference.brier_score_loss(y, p, labels=[0, 1, 2]),
    "accuracy": lambda y, p: reference.accuracy_score(y, p.argmax(axis=1)),
    "macro_f1": lambda y, p: reference.f1_score(y, p.argmax(axis=1), average="macro"),
    "roc_auc_ovr": lambda y, p: reference.roc_auc_score(y, p, multi_class="ovr"),
}


@pytest.mark.parametrize("name", REFERENCES)
@given(rows=ROWS)
def test_agrees_with_scikit_learn_integer_weights_included(
    name: str, rows: list[tuple[int, tuple[int, int, int], int]]
) -> None:
    target, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    repeated = np.repeat(target, weights)
    assume(set(repeated) == {0, 1, 2} or (name != "roc_auc_ovr" and len(repeated)))

    found = compute("multiclass", [name], target, probabilities, weights)[name]

    expected = REFERENCES[name](repeated, np.repeat(probabilities, weights, axis=0))
    assert found == pytest.approx(expected, abs=1e-12)


def test_auc_is_undefined_where_a_class_is_absent() -> None:
    probabilities = np.full((4, 3), 1 / 3)
    found = compute("multiclass", ["roc_auc_ovr"], np.array([0, 1, 0, 1]), probabilities)
    assert np.isnan(found["roc_auc_ovr"])


def test_ece_compares_confidence_with_being_right() -> None:
    probabilities = np.tile([0.8, 0.1, 0.1], (10, 1))
    target = np.array([0] * 5 + [1] * 5)
    found = compute("multiclass", ["ece"], target, probabilities)
    assert found["ece"] == pytest.approx(0.3)
