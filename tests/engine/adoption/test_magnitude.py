"""Numbers that float32 would take for one another are told, and kept apart."""

import numpy as np
import pandas as pd
import pytest

from mlops.adoption.inference import bounds
from mlops.adoption.magnitude import magnitude
from mlops.config.settings import Derived, Features
from mlops.contract import Column, Contract, Source, Type
from mlops.features.encoding import Encoder

TARGET = Column("boolean", role="target")
CHANCE = np.random.default_rng(0)


def adopted(values: np.ndarray, kind: Type = "integer") -> tuple[Encoder, list[str]]:
    """Return the encoder that adoption proposes for one column of numbers, and what it says."""
    low, high = bounds(values[~np.isnan(values)])
    columns = {"n": Column(kind, nullable=True, min=low, max=high), "y": TARGET}
    found = magnitude(pd.DataFrame({"n": values}), columns, Source(), {})
    features = Features(list(found.exclude), found.derived)
    return Encoder.build(Contract("t", "binary", columns), features), found.notes


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (np.arange(16777200.0, 16777300), ("n_above",)),
        (1e9 + CHANCE.integers(0, 900_000, 400), ("n_above",)),  # numbers of orders
        (1.7e9 + CHANCE.integers(0, 31_536_000, 400), ("n", "n_rounded_off")),  # seconds of a year
        (1.7e12 + CHANCE.integers(0, 10**10, 400), ("n", "n_rounded_off")),  # milliseconds
        (-(2.0**30) - np.arange(300), ("n_above",)),
        (
            np.array([0, 941031234, 941031235, 10019999, 10019998.0]),
            ("n", "n_rounded_off"),
        ),  # zip+4
        (2.0**52 + CHANCE.integers(0, 10**12, 400), ("n", "n_rounded_off", "n_rounded_off_twice")),
    ],
)
def test_whole_numbers_stay_apart_and_it_is_said(
    values: np.ndarray, names: tuple[str, ...]
) -> None:
    encoder, (said,) = adopted(np.append(values, np.nan))
    assert encoder.names == names
    assert said.startswith("n has numbers that a float32 cannot hold, like ")
    matrix = encoder.matrix({"n": np.append(values, np.nan)})
    assert np.isnan(matrix[-1]).all()
    assert len(np.unique(matrix[:-1], axis=0)) == len(np.unique(values))
    order = np.lexsort(matrix[:-1].T[::-1])
    assert (np.diff(values[order]) >= 0).all()


def test_fractions_are_where_many_become_the_same() -> None:
    encoder, (said,) = adopted(5e6 + np.arange(1000) / 100, "number")  # amounts with cents
    assert encoder.names == ("n_above",)
    assert "like 5000000.01: n_above has them from" in said
    matrix = encoder.matrix({"n": 5e6 + np.arange(1000) / 100})
    assert len(np.unique(matrix)) == 1000


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.arange(2.0**24 - 300, 2.0**24), "integer"),
        (np.arange(300) * 1e6, "integer"),
        (np.arange(300) / 7, "number"),
        (CHANCE.normal(size=5000), "number"),
        (np.full(5, np.nan), "number"),
    ],
)
def test_what_float32_holds_is_left_alone(values: np.ndarray, kind: Type) -> None:
    columns = {"n": Column(kind, nullable=True), "y": TARGET}
    assert magnitude(pd.DataFrame({"n": values}), columns, Source(), {}) == ({}, (), [])


def test_only_features_are_looked_at_and_a_taken_name_is_not_used() -> None:
    frame = pd.DataFrame({"n": np.arange(1e9, 1e9 + 50)})
    ignored = {"n": Column("integer", role="ignored")}
    assert magnitude(frame, ignored, Source(), {}).derived == {}
    columns = {"n": Column("integer", min=10**9, max=10**9 + 100)}
    taken = {"n_above": Derived("log1p", ["n"], "me")}
    found = magnitude(frame, columns, Source(), taken)
    assert found.derived == {
        "n_above_": Derived("above", ["n"], "unassigned", arguments={"least": 10**9})
    }
    assert found.exclude == ("n",)
