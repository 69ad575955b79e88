import numpy as np
import pytest

from mlops.runtime.periods import numbered


@pytest.mark.parametrize(
    ("per", "counts"), [("day", [0, 1, 8, 32]), ("week", [0, 1, 2, 5]), ("month", [0, 0, 0, 1])]
)
@pytest.mark.parametrize("first", ["2026-01-04", "1969-01-05"])
@pytest.mark.parametrize("unit", ["s", "ns"])
def test_periods_count_on_from_a_sunday(per: str, counts: list[int], first: str, unit: str) -> None:
    days = np.datetime64(first) + np.array([0, 1, 8, 32])
    found = numbered((days + np.timedelta64(23, "h")).astype(f"datetime64[{unit}]"), per)
    assert (found - found[0]).tolist() == counts


@pytest.mark.parametrize("per", ["day", "week", "month"])
def test_what_has_no_moment_is_one_period(per: str) -> None:
    found = numbered(np.array(["NaT", "2026-01-04", "NaT"], dtype="datetime64[us]"), per)
    assert found[0] == found[2] != found[1]
