import numpy as np
import pytest
import sklearn.metrics as reference

from mlops.evaluation.report import charts

GENERATOR = np.random.default_rng(0)
SCORES = GENERATOR.random(5000)
TARGET = (GENERATOR.random(5000) < SCORES).astype(np.int64)


def test_curves_are_short_and_keep_their_area() -> None:
    (roc,), (pr,) = charts.curves("binary", TARGET, SCORES, ("no", "yes"))
    assert roc.label == "yes"
    assert max(len(roc.x), len(pr.x)) <= charts.POINTS
    area = np.trapezoid(roc.y, roc.x)
    assert area == pytest.approx(reference.roc_auc_score(TARGET, SCORES), abs=0.002)
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)


def test_a_class_without_rows_has_no_curve() -> None:
    probabilities = GENERATOR.dirichlet([1, 1, 1], 100)
    roc, pr = charts.curves("multiclass", np.arange(100) % 2, probabilities, ("a", "b", "c"))
    assert [one.label for one in roc] == [one.label for one in pr] == ["a", "b"]


def test_calibration_bins_hold_every_row() -> None:
    bins = charts.calibration("binary", TARGET, SCORES)
    assert sum(one.rows for one in bins) == 5000
    for one in bins:
        assert one.left <= one.predicted <= one.right
        assert one.low <= one.observed <= one.high


def test_multiclass_calibration_asks_whether_the_answer_was_right() -> None:
    (one,) = charts.calibration("multiclass", np.array([0, 1]), np.tile([0.7, 0.2, 0.1], (2, 1)))
    assert (one.predicted, one.observed, one.rows) == (pytest.approx(0.7), 0.5, 2)


def test_wilson_matches_a_published_interval() -> None:
    assert charts.wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_confusion_counts_actual_by_predicted(task: str) -> None:
    target = np.array([0, 0, 1, 1, 1])
    scores = np.array([0.2, 0.9, 0.8, 0.7, 0.5])
    predictions = scores if task == "binary" else np.column_stack([1 - scores, scores])
    assert charts.confusion(task, target, predictions, 2).tolist() == [[1, 1], [1, 2]]


def test_spread_covers_the_range_of_predictions() -> None:
    rows = charts.spread(TARGET, SCORES)
    assert len(rows) == charts.POINTS
    assert {int(SCORES.argmin()), int(SCORES.argmax())} <= set(rows.tolist())
