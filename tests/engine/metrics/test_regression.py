import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import assume, given
from hypothesis import strategies as st

from mlops.metrics.catalogue import compute

NUMBERS = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(0, 3)), min_size=2, max_size=40)
REFERENCES = {
    "rmse": reference.root_mean_squared_error,
    "mae": reference.mean_absolute_error,
    "r2": reference.r2_score,
}


@pytest.mark.parametrize("name", REFERENCES)
@given(rows=ROWS)
def test_agrees_with_scikit_learn_integer_weights_included(
    name: str, rows: list[tuple[float, float, int]]
) -> None:
    target, predicted, weights = (np.array(column) for column in zip(*rows, strict=True))
    repeated = np.repeat(target, weights)
    assume(len(repeated) > 1 and np.ptp(repeated) > 0.01)

    found = compute("regression", [name], target, predicted, weights)[name]

    expected = REFERENCES[name](repeated, np.repeat(predicted, weights))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("target", [[0.1, 0.1, 0.1], [5.0]])
def test_r2_of_a_constant_target_is_undefined(target: list[float]) -> None:
    found = compute("regression", ["r2"], np.array(target), np.zeros(len(target)))
    assert np.isnan(found["r2"])


def test_r2_survives_a_large_offset() -> None:
    target = 1e9 + np.arange(10.0)
    predicted = target + 0.5
    found = compute("regression", ["r2"], target, predicted)["r2"]
    assert found == pytest.approx(reference.r2_score(target, predicted))
