"""Rows that a project's own tests make up fit its contract, whatever its split."""

import numpy as np
import pandas as pd
import pytest

from mlops.config.settings import Split
from mlops.contract import Column, Contract
from mlops.data.examples import DAYS, made_up
from mlops.data.splitting import cutoff

TARGET = Column("boolean", role="target")


@pytest.mark.parametrize("moment", ["2025-06-01", "2025-06-01 12:30:00", "2031-12-31T23:59:59"])
@pytest.mark.parametrize("role", ["time", "feature"])
def test_days_lie_on_both_sides_of_a_cutoff(moment: str, role: str) -> None:
    columns = {"at": Column("datetime", role=role), "x": Column("number"), "y": TARGET}
    contract = Contract("t", "binary", columns)
    split = Split("time", cutoff=moment)
    at = made_up(contract, split, 400)["at"].to_numpy()
    assert 0.1 < (at >= cutoff(split)).mean() < 0.5
    assert np.timedelta64(DAYS // 2, "D") < np.ptp(at) < np.timedelta64(DAYS, "D")


def test_days_in_a_format_of_the_table() -> None:
    column = Column("datetime", role="time", format="%d/%m/%Y")
    contract = Contract("t", "binary", {"at": column, "x": Column("number"), "y": TARGET})
    made = made_up(contract, Split("hash"), 50)["at"]
    assert pd.to_datetime(made, format=column.format).nunique() > 10
