"""The matrix is the same for a table, a row, and in whatever order the rows come."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlops.config.settings import Derived, Features
from mlops.contract import Column, Contract
from mlops.features.encoding import Encoder, FeatureError

CONTRACT = Contract(
    name="t",
    task="binary",
    columns={
        "n": Column("number", nullable=True),
        "c": Column("category", categories=["x", "y"], nullable=True),
        "b": Column("boolean"),
        "at": Column("datetime"),
        "i": Column("integer", role="id"),
        "note": Column("text", role="ignored"),
        "y": Column("boolean", role="target"),
    },
)
FEATURES = Features(
    derived={
        "hour": Derived(function="hour_of_day", columns=["at"], owner="team"),
        "share": Derived(function="ratio", columns=["n", "i"], owner="team"),
    }
)
ENCODER = Encoder.build(CONTRACT, FEATURES)


def columns(numbers: np.ndarray) -> dict[str, np.ndarray]:
    rows = len(numbers)
    return {
        "n": numbers,
        "c": np.arange(rows) % 3 + 0.0,
        "b": np.arange(rows) % 2 + 0.0,
        "at": np.datetime64("2025-01-01T05:30", "us") + np.arange(rows),
        "i": np.arange(rows) + 0.0,
    }


def test_order_names_and_categories() -> None:
    assert ENCODER.names == ("n", "c", "b", "hour", "share")
    assert ENCODER.inputs == ("n", "c", "b", "at", "i")
    assert ENCODER.categorical == (1,)


def test_values_missing_and_types() -> None:
    matrix = ENCODER.matrix(columns(np.array([1.5, np.nan])))
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(
        matrix, np.array([[1.5, 0, 0, 5, np.nan], [np.nan, 1, 1, 5, np.nan]], np.float32)
    )


@given(arrays(np.float64, st.integers(1, 12), elements=st.floats(allow_nan=True)))
def test_a_row_alone_gives_the_row_of_the_table(numbers: np.ndarray) -> None:
    table = columns(numbers)
    whole = ENCODER.matrix(table)
    single = [
        ENCODER.matrix({name: values[i : i + 1] for name, values in table.items()})
        for i in range(len(whole))
    ]
    np.testing.assert_array_equal(whole, np.concatenate(single))
    assert not np.isinf(whole).any()


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({"exclude": ["m"]}, "choose from n, c, b, at"),
        ({"exclude": ["n", "c", "b"]}, "no feature is left"),
        ({"derived": {"n": ("log1p", ["n"])}}, "give it another"),
        ({"derived": {"f": ("logp", ["n"])}}, "choose from ratio"),
        ({"derived": {"f": ("ratio", ["n"])}}, "takes 2 columns, not 1"),
        ({"derived": {"f": ("log1p", ["c"])}}, "needs a number and c is a category"),
        ({"derived": {"f": ("log1p", ["y"])}}, "no usable column"),
        ({"derived": {"f": ("log1p", ["note"])}}, "which conf/data/t.yaml sets to ignored"),
        ({"derived": {"f": ("hour_of_day", ["n"])}}, "needs a datetime and n is a number"),
    ],
)
def test_features_that_do_not_fit_are_refused(features: dict[str, Any], said: str) -> None:
    derived = {
        name: Derived(function=function, columns=names, owner="team")
        for name, (function, names) in features.get("derived", {}).items()
    }
    asked = Features(exclude=features.get("exclude", []), derived=derived)
    with pytest.raises(FeatureError, match=said):
        Encoder.build(CONTRACT, asked)
