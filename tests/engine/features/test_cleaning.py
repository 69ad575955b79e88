"""What conf/features cleans is cleaned before anything is computed, the same everywhere."""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from mlops.config.settings import Features
from mlops.contract import Contract
from mlops.features import cleaning as room
from mlops.features import functions
from mlops.features.cleaning import cleaning
from mlops.features.encoding import Encoder, FeatureError
from mlops.features.functions import feature

COLUMNS = {
    "amount": {"type": "number", "nullable": True},
    "size": {"type": "category", "categories": ["s", "m", "l"], "nullable": True},
    "at": {"type": "datetime"},
    "note": {"type": "text", "nullable": True},
    "y": {"type": "boolean", "role": "target"},
}
ROWS = {
    "amount": np.array([1.0, 900.0, np.nan]),
    "size": np.array([0.0, np.nan, 3.0]),
    "at": np.array(["2026-01-01", "2026-01-02", "NaT"], dtype="datetime64[us]"),
    "note": np.array(["call back", None, ""], dtype=object),
}


@pytest.fixture(autouse=True)
def owners() -> Iterator[None]:
    """Functions as an owner writes them."""
    before = dict(room._registry), dict(functions._registry)

    @cleaning("number")
    def capped(values: Any, at: float) -> Any:
        return np.minimum(values, at)

    @cleaning("category")
    def one_size(labels: Any) -> Any:
        return np.array(["m" if label == "s" else label for label in labels], dtype=object)

    @cleaning("text")
    def shouted(texts: Any) -> Any:
        return np.array([text and text.upper() for text in texts], dtype=object)

    @cleaning("number")
    def lost(values: Any) -> Any:
        return values[:1]

    @feature("category")
    def is_large(labels: Any) -> Any:
        return labels == "l"

    @feature("text")
    def capitals(texts: Any, least: int = 0) -> Any:
        counts = [np.nan if t is None else sum(map(str.isupper, t)) for t in texts]
        return np.maximum(counts, least)

    yield
    for registry, kept in zip((room._registry, functions._registry), before, strict=True):
        registry.clear()
        registry.update(kept)


def encoder(**features: Any) -> Encoder:
    contract = msgspec.convert({"name": "t", "task": "binary", "columns": COLUMNS}, Contract)
    return Encoder.build(contract, msgspec.convert(features, Features))


def test_columns_are_cleaned_before_features_see_them() -> None:
    asked = encoder(
        cleaned={
            "amount": {"function": "capped", "arguments": {"at": 100}},
            "size": {"function": "one_size"},
            "note": {"function": "shouted"},
        },
        derived={"loud": {"function": "capitals", "columns": ["note"], "owner": "me"}},
    )
    matrix = asked.matrix(ROWS)
    assert asked.names == ("amount", "size", "loud")
    np.testing.assert_array_equal(matrix[:, 0], np.float32([1, 100, np.nan]))
    np.testing.assert_array_equal(matrix[:, 1], np.float32([1, np.nan, np.nan]))
    np.testing.assert_array_equal(matrix[:, 2], np.float32([8, np.nan, 0]))
    assert ROWS["amount"][1] == 900  # what it was given stays as it is


def test_labels_and_texts_are_what_a_feature_sees() -> None:
    asked = encoder(
        derived={
            "large": {"function": "is_large", "columns": ["size"], "owner": "me"},
            "loud": {
                "function": "capitals",
                "columns": ["note"],
                "owner": "me",
                "arguments": {"least": 2},
            },
        }
    )
    columns = {**ROWS, "size": np.array([2.0, np.nan, 3.0])}
    matrix = asked.matrix(columns)
    np.testing.assert_array_equal(matrix[:, 2], [1, 0, 0])  # l, missing, unseen
    np.testing.assert_array_equal(matrix[:, 3], np.float32([2, np.nan, 2]))


def test_other_than_a_value_a_row_is_refused() -> None:
    asked = encoder(cleaned={"amount": {"function": "lost"}})
    with pytest.raises(ValueError, match="return one for each row"):
        asked.matrix(ROWS)


@pytest.mark.parametrize(
    ("column", "function", "said"),
    [
        ("amount", "none", "choose from .*capped.* or add it to src/project/cleaning.py"),
        ("gone", "capped", "is no column that the features read"),
        ("y", "capped", "is no column that the features read"),
        ("size", "capped", "capped cleans a number and size is a category"),
    ],
)
def test_what_cannot_be_cleaned_is_refused(column: str, function: str, said: str) -> None:
    with pytest.raises(FeatureError, match=said):
        encoder(cleaned={column: {"function": function}})
