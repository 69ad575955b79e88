import numpy as np
import pandas as pd

from mlops.adoption.plausibility import doubt
from mlops.config.settings import Derived
from mlops.contract import Column, Contract, Source

ROWS = 900
RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, ROWS)
NOISE = RNG.normal(size=ROWS)
TARGET = Column("category", role="target", categories=["0", "1"])


def told(derived: dict[str, Derived] | None = None, **columns: np.ndarray) -> str | None:
    frame = pd.DataFrame({**columns, "y": Y.astype(str)})
    declared = {name: Column("number") for name in columns}
    contract = Contract("t", "binary", {**declared, "y": TARGET}, Source(format="csv"))
    return doubt(frame, contract, derived or {})


def test_says_without_which_column_a_score_is_no_longer_too_good() -> None:
    said = told(hint=Y + RNG.normal(scale=0.2, size=ROWS), a=NOISE, b=RNG.normal(size=ROWS))
    assert said is not None
    assert "AUC 1.000, too good to be true" in said
    assert "without hint it has 0." in said
    assert said.endswith("is that known when predicting?")


def test_counts_what_is_derived_from_a_column_to_it() -> None:
    hint = Y + RNG.normal(scale=0.2, size=ROWS)
    log = {"log": Derived("log1p", ["hint"], "me")}
    said = told(log, hint=hint + 3, a=NOISE)
    assert said is not None
    assert "without hint it has 0." in said


def test_where_several_columns_tell_none_is_blamed() -> None:
    hints = {f"hint{n}": Y + RNG.normal(scale=0.3, size=ROWS) for n in range(3)}
    said = told(a=NOISE, **hints)
    assert said is not None
    assert said.endswith("is every column known when predicting?")


def test_an_honest_score_raises_no_doubt() -> None:
    assert told(a=Y + RNG.normal(scale=1.0, size=ROWS), b=NOISE) is None
