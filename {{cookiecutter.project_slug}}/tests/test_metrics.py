"""Metrics of src/policy/metrics.py, on cases that are known."""

import numpy as np
import pytest

from policy.metrics import recall_in_top_tenth

TARGET = np.array([1.0] * 2 + [0.0] * 18)


def test_the_best_order_finds_every_positive_row() -> None:
    scores = np.linspace(1, 0, 20)
    assert recall_in_top_tenth(TARGET, scores, np.ones(20)) == pytest.approx(1)


def test_the_worst_finds_none() -> None:
    scores = np.linspace(0, 1, 20)
    assert recall_in_top_tenth(TARGET, scores, np.ones(20)) == 0
