"""The reference profile counts every row once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlops.bundle.profile import categorical, numeric, profile
from mlops.config.settings import Derived, Features
from mlops.contract import Column, Contract
from mlops.features.encoding import Encoder


@given(arrays(np.float64, st.integers(1, 200), elements=st.floats(-1e6, 1e6) | st.just(np.nan)))
def test_counts_and_missing_add_up(values: np.ndarray) -> None:
    about = numeric(values)
    counted = sum(about.get("counts", []))
    assert counted == int((~np.isnan(values)).sum())
    assert round(about["missing"] * len(values)) == len(values) - counted
    if counted:
        assert len(about["counts"]) == len(about["edges"]) + 1
        assert about["edges"] == sorted(set(about["edges"]))
        assert about["minimum"] <= about["mean"] + 1e-6 <= about["maximum"] + 2e-6


def test_bins_hold_about_equally_many_rows() -> None:
    counts = numeric(np.random.default_rng(0).normal(size=20_000))["counts"]
    assert len(counts) == 20
    assert max(counts) - min(counts) <= 1


def test_labels_are_counted_and_unseen_codes_apart() -> None:
    about = categorical(np.array([0, 0, 1, 3, np.nan]), ["a", "b", "c"])
    assert about["counts"] == [2, 1, 0]
    assert about["unseen"] == 1
    assert about["missing"] == 0.2


def test_a_feature_of_several_columns_is_counted_once_by_their_mean() -> None:
    columns = {"n": Column("number"), "note": Column("text"), "y": Column("number", role="target")}
    contract = Contract("t", "regression", columns)
    said = Derived("text_ngrams", ["note"], "me", arguments={"width": 2})
    encoder = Encoder.build(contract, Features(derived={"said": said}))
    matrix = np.array([[1, 4, 6], [2, 0, 1], [3, np.nan, np.nan]], dtype=np.float32)
    found = profile(contract, encoder, matrix, np.zeros(3), "regression")["features"]
    assert list(found) == ["n", "said"]
    assert found["said"]["missing"] == pytest.approx(1 / 3)
    assert (found["said"]["minimum"], found["said"]["maximum"]) == (0.5, 5.0)
    assert found["n"]["mean"] == 2
