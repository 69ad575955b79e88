"""Features of src/project/features.py, on the rows that matter."""

import numpy as np

from project.features import per_unit


def test_a_price_per_unit() -> None:
    found = per_unit(np.array([10.0, 10.0, np.nan]), np.array([4.0, 0.0, 2.0]))
    np.testing.assert_array_equal(found, [2.5, np.nan, np.nan])
