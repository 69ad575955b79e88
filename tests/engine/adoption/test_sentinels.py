import numpy as np
import pandas as pd
import pytest

from mlops.adoption.sentinels import sentinels
from mlops.adoption.statistics import Statistics
from mlops.contract import Source

CSV = Source(format="csv")
USUAL = np.linspace(0, 90, 300).round(1)


def found(*more: float, usual: np.ndarray = USUAL) -> tuple[list[str], list[str]]:
    series = pd.Series([*usual, *more])
    return sentinels(Statistics("x", series, CSV))


@pytest.mark.parametrize("value", [-200.0, 999.0, 999999.0, 9999.9, -1e6])
def test_a_number_far_from_all_others_is_missing_with_its_count(value: float) -> None:
    missing, said = found(*[value] * 20)
    assert missing == [f"{value:.15g}"]
    assert f"{value:.15g} in 20 rows lies far from 0 to 90" in said[0]


def test_two_of_them_are_both_found() -> None:
    assert found(*[-999.0] * 9, *[99999.0] * 8)[0] == ["99999", "-999"]


@pytest.mark.parametrize(
    "more",
    [
        [],
        [999.0],  # once is an outlier
        [150.0] * 20,  # no farther off than the others lie apart
        [500.0, 501.0, 502.0] * 3,
    ],
)
def test_other_numbers_stay(more: list[float]) -> None:
    assert found(*more) == ([], [])


def test_a_long_tail_stays() -> None:
    tail = np.random.default_rng(0).lognormal(3, 1.5, 3000)
    assert found(usual=tail) == ([], [])


def test_the_only_negative_number_is_to_be_checked() -> None:
    missing, said = found(*[-1.0] * 5)
    assert not missing
    assert said == [
        "-1 in 5 rows is its only number below 0: where it means no value, declare "
        '`missing: ["-1"]`'
    ]


def test_labels_of_few_numbers_have_none() -> None:
    assert found(*[999.0] * 20, usual=np.array([1.0, 2, 3] * 50)) == ([], [])
