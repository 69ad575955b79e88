"""Contradictions and what they say of the share of wrong labels, by hand on few rows."""

import numpy as np
import pytest

from mlops.gate.crossfit import CrossFit
from mlops.gate.labelling import MOST, Contradiction, contradictions, share, taken

SURE = np.array([[0.8, 0.2], [0.95, 0.05], [0.5, 0.5]])
THREE = np.array([[0.5, 0.3, 0.2]])


def told(scores: list[float], gain: float, variance: float = 0.0) -> Contradiction:
    return Contradiction(
        np.array(scores), np.full(len(scores), gain), np.full(len(scores), variance)
    )


def test_odds_against_a_label_what_another_adds_and_their_variance() -> None:
    fits = CrossFit(SURE, np.stack([SURE[:1], SURE[2:]]))
    own, other = contradictions("binary", fits, np.array([1, 1, 0]), np.array([1]), 0)
    assert own.scores == pytest.approx([4, 9, 1])  # 0.05 counts as 0.1
    assert own.gain == pytest.approx([0.25 - 4, 0.05 / 0.95 - 9, 0])
    expected = 0.95 * 0.05 / 0.95 + 0.05 * 9
    variance = 0.95 * (0.05 / 0.95) ** 2 + 0.05 * 81 - expected**2
    assert own.variance == pytest.approx([0.8 * 0.0625 + 0.2 * 16 - 1, variance, 0])
    # the other row: the mean over both models
    assert other.scores == pytest.approx([(4 + 1) / 2])
    assert other.gain == pytest.approx([-3.75 / 2])
    assert other.variance == pytest.approx([2.25 / 2])


def test_another_label_of_three_is_the_mean_of_two() -> None:
    fits = CrossFit(THREE, THREE[None])
    own, other = contradictions("multiclass", fits, np.array([0]), np.array([2]), 0)
    assert own.scores == pytest.approx([1])
    assert own.gain == pytest.approx([(7 / 3 + 4) / 2 - 1])
    assert other.scores == pytest.approx([4])
    assert other.gain == pytest.approx([(1 + 7 / 3) / 2 - 4])


def test_numbers_are_contradicted_by_squared_errors_in_usual_ones() -> None:
    answers = np.array([[0.0, 0, 0, 0], [2.0, 2, 2, 2]])
    other = np.array([1.0, 3, 1, 11])  # the errors: 1 3 1 11 and 1 1 1 9, in the median 1
    fits = CrossFit(np.array([0.0, 5]), answers)
    own, theirs = contradictions("regression", fits, np.array([2.0, 4]), other, 7)
    assert own.scores == pytest.approx([4, 1])
    assert theirs.scores == pytest.approx([1, (9 + 1) / 2, 1, MOST])
    assert not own.variance.any()
    assert not theirs.variance.any()
    swapped = np.random.default_rng(7)
    first = swapped.permutation(np.array([2.0, 4]))
    second = swapped.permutation(other)
    assert own.gain == pytest.approx(np.minimum((first - fits.own) ** 2, MOST) - own.scores)
    squares = np.minimum((second - answers) ** 2, MOST).mean(axis=0)
    assert theirs.gain == pytest.approx(squares - theirs.scores)


def test_errors_of_nothing_have_a_unit() -> None:
    fits = CrossFit(np.zeros(2), np.zeros((1, 2)))
    own, _ = contradictions("regression", fits, np.array([1.0, 2]), np.zeros(2), 0)
    assert own.scores == pytest.approx([1, 4])


def test_the_share_is_what_is_added_over_what_a_wrong_label_adds() -> None:
    own, other = told([1, 3, 2, 2], gain=9.0), told([1, 1, 1, 2, 0, 1], gain=4.0)
    found, error = share(own, other, np.arange(4), np.arange(6))
    assert found == pytest.approx(1 / 4)
    variances = 2 * 4 / 3 / 16 + 2 * 6 / 5 / 36
    assert error == pytest.approx(np.sqrt(variances) / 4)


def test_rows_of_a_cluster_count_together() -> None:
    own, other = told([3, 3, 1, 1], gain=1.0), told([0, 0], gain=1.0)
    _, error = share(own, other, np.array([0, 0, 1, 1]), np.array([0, 0]))
    assert error == pytest.approx(np.sqrt(8 * 2 / 1 / 16))


def test_the_variance_that_probabilities_foretell_is_the_least() -> None:
    own, other = told([1, 1], gain=1.0, variance=3.0), told([0, 0], gain=1.0, variance=1.0)
    _, error = share(own, other, np.arange(2), np.arange(2))
    assert error == pytest.approx(np.sqrt(6 / 4 + 2 / 4))


@pytest.mark.parametrize("gain", [0.0, -1.0, 1e-9])
def test_where_wrong_labels_do_not_show_nothing_is_said(gain: float) -> None:
    rows = told([1, 2], gain=gain)
    assert np.isnan(share(rows, rows, np.arange(2), np.arange(2))).all()
    assert np.isfinite(share(rows, told([1, 2], 1e-6), np.arange(2), np.arange(2))).all()


def test_some_rows_keep_all_that_is_known_of_them() -> None:
    rows = Contradiction(np.arange(3.0), np.arange(3.0) + 10, np.arange(3.0) + 20)
    some = taken(rows, np.array([2, 0]))
    assert [values.tolist() for values in some] == [[2, 0], [12, 10], [22, 20]]
