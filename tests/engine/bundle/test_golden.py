"""The golden rows are a sample that appended data does not change at random."""

import numpy as np

from mlops.bundle.golden import chosen


def test_rows_with_the_smallest_hashes_in_their_order() -> None:
    hashes = np.array([50, 10, 40, 20, 30], np.uint64)
    assert chosen(hashes, 3).tolist() == [1, 3, 4]


def test_fewer_rows_than_asked_are_all_of_them() -> None:
    assert chosen(np.array([5, 1], np.uint64), 20).tolist() == [0, 1]
