"""A category of many labels says what its rows' targets say, and no row what its own is."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import TargetEncoder

from mlops.runtime.target_encoding import TargetEncoded

LABELS, ROWS = 2000, 4000


def rows(seed: int, labels: int = LABELS) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of a number that tells, and of a code that does not, with their classes."""
    rng = np.random.default_rng(seed)
    matrix = np.column_stack([rng.normal(size=ROWS), rng.integers(0, labels, ROWS)])
    return matrix.astype(np.float32), (matrix[:, 0] + rng.normal(size=ROWS) > 0).astype(int)


def judged(model: Any) -> float:
    """Return the AUC on other rows with the same labels."""
    matrix, target = rows(1)
    return float(roc_auc_score(target, model.predict_proba(matrix)[:, 1]))


class InSample(TargetEncoded):
    """What it would be without folds."""

    def fit_transform(self, X: Any, y: Any, folds: Any = None) -> np.ndarray:  # noqa: N803
        super().fit_transform(X, y, folds)
        return self.transform(X)


def test_noise_of_many_labels_takes_nothing_from_what_tells() -> None:
    matrix, target = rows(0)
    alone = judged(LogisticRegression().fit(matrix * [1, 0], target))
    crossed = make_pipeline(TargetEncoded((1,)), LogisticRegression()).fit(matrix, target)
    leaking = make_pipeline(InSample((1,)), LogisticRegression()).fit(matrix, target)
    assert judged(crossed) > alone - 0.01
    assert judged(leaking) < alone - 0.1


def test_no_row_is_encoded_by_a_row_of_its_key() -> None:
    matrix, target = rows(0, 20)
    keys = np.arange(ROWS) // 8
    before = TargetEncoded((1,)).fit_transform(matrix, target, keys % 5)
    flipped = np.where(keys % 5 == 3, 1 - target, target)
    after = TargetEncoded((1,)).fit_transform(matrix, flipped, keys % 5)
    same = (before == after).all(axis=1)
    assert same[keys % 5 == 3].all()
    assert not same[keys % 5 != 3].any()


@pytest.mark.parametrize("classes", [2, 4])
def test_values_are_scikit_learns(classes: int) -> None:
    matrix, _ = rows(0, 20)
    matrix[:40, 1] = np.nan
    target = np.arange(ROWS) % classes
    encoder = TargetEncoded((1,), classes)
    encoder.fit_transform(matrix, target)
    kind = "binary" if classes == 2 else "multiclass"
    theirs = TargetEncoder(target_type=kind).fit(matrix[:, 1:], target).transform(matrix[:, 1:])
    ours = encoder.transform(matrix)
    assert ours.shape == (ROWS, 2 if classes == 2 else 5)
    np.testing.assert_allclose(ours[:, 1:], theirs, rtol=1e-6)
    np.testing.assert_array_equal(ours[:, 0], matrix[:, 0])


@pytest.mark.parametrize("unseen", [20, -1, 0.5, 3e38, np.nan])
def test_what_no_row_had_is_the_mean_of_all(unseen: float) -> None:
    matrix, target = rows(0, 20)
    encoder = TargetEncoded((1,)).fit(matrix, target)
    found = encoder.transform(np.array([[0.0, unseen]], np.float32))
    assert found[0, 1] == pytest.approx(target.mean(), rel=1e-6)


def test_rows_of_one_key_cannot_be_encoded() -> None:
    matrix, target = rows(0)
    with pytest.raises(ValueError, match="needs rows with two keys or more"):
        TargetEncoded((1,)).fit(matrix, target, np.zeros(ROWS))
