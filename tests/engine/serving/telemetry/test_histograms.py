"""Counts agree with counting one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlops.serving.telemetry.histograms import Histograms

NUMBERS = st.floats(-5, 5, width=32) | st.sampled_from([np.nan, 1.0, 2.0, 3.0, np.inf, -np.inf])
EDGES = st.lists(st.floats(-3, 3, width=32), max_size=4, unique=True).map(sorted)


@given(st.tuples(EDGES, EDGES), st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=20))
def test_a_bin_reaches_up_to_its_edge(
    edges: tuple[list[float], list[float]], rows: list[tuple[float, float]]
) -> None:
    histograms = Histograms(edges)
    values = np.array(rows, dtype=np.float32)
    with np.errstate(invalid="ignore"):  # the sum of two infinities
        histograms.add(values[:1])
        histograms.add(values[1:])
    for position, (counts, missing, _) in enumerate(histograms):
        column = values[:, position]
        assert missing == np.isnan(column).sum()
        uppers = [*edges[position], np.inf]
        assert counts.cumsum().tolist() == [int((column <= upper).sum()) for upper in uppers]


def test_sums_leave_missing_values_out() -> None:
    histograms = Histograms([[1.0], []])
    histograms.add(np.array([[1.5, np.nan], [np.nan, np.nan], [2.0, 4.0]], dtype=np.float32))
    assert [total for _, _, total in histograms] == [3.5, 4.0]
