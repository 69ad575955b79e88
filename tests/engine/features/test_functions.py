"""Feature functions give the same numbers on a Series, on an array and row by row."""

import warnings
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.features import functions, texts
from mlops.features.functions import FUNCTIONS, FeatureFunction, feature

NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 1e39, float("nan"), float("inf")]
)
MOMENTS = (
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))
    .map(lambda moment: np.datetime64(moment, "us"))
    .__or__(st.just(np.datetime64("NaT", "us")))
)
TEXTS = st.none() | st.text(max_size=30) | st.sampled_from(["Ünable to pay", "👍🏽 e\u0301", "\0"])
STRATEGIES = {"number": NUMBERS, "datetime": MOMENTS, "text": TEXTS}
DTYPES = {"number": "float64", "datetime": "datetime64[us]", "text": "object"}
ARGUMENTS: dict[str, dict[str, Any]] = {"above": {"least": 7.5}, "cycle": {"of": "year"}}
assert texts.text_ngrams is FUNCTIONS["text_ngrams"].function


@pytest.mark.parametrize("known", FUNCTIONS.values(), ids=FUNCTIONS)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_array_series_slice_and_single_rows_agree_bit_by_bit(
    known: FeatureFunction, data: st.DataObject
) -> None:
    arguments = ARGUMENTS.get(known.name, {})
    rows = data.draw(st.lists(st.tuples(*(STRATEGIES[kind] for kind in known.kinds)), max_size=40))
    arrays = [
        np.array([row[i] for row in rows], dtype=DTYPES[kind]) for i, kind in enumerate(known.kinds)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = known.function(*arrays, **arguments)
        series = known.function(*(pd.Series(a, dtype=a.dtype) for a in arrays), **arguments)
        strided = known.function(*(np.repeat(array, 3)[::3] for array in arrays), **arguments)
        single = [
            known.function(*(a[i : i + 1] for a in arrays), **arguments)[0]
            for i in range(len(rows))
        ]
    columns = known.columns(arguments)
    assert whole.dtype == (np.float64 if columns is None else np.float32)
    assert whole.shape == ((len(rows),) if columns is None else (len(rows), columns))
    assert type(series) is np.ndarray
    for other in (series, strided, np.array(single, dtype=whole.dtype)):
        assert whole.tobytes() == other.tobytes()


@pytest.mark.parametrize("known", FUNCTIONS.values(), ids=FUNCTIONS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_result_fits_a_float32_or_is_missing(known: FeatureFunction, data: st.DataObject) -> None:
    inputs = [np.array([data.draw(STRATEGIES[kind])], dtype=DTYPES[kind]) for kind in known.kinds]
    value = known.function(*inputs, **ARGUMENTS.get(known.name, {}))[0]
    assert (np.isnan(value) | np.isfinite(np.float32(value))).all()
    if any(pd.isna(x[0]) for x in inputs) and not known.name.startswith("is_missing"):
        assert np.isnan(value).all()


@pytest.mark.parametrize(
    ("name", "inputs", "expected"),
    [
        ("ratio", ([6.0, 1.0, 0.0, np.inf, 9e99], [4.0, 0.0, 0.0, 2.0, 1.0]), [1.5, *[np.nan] * 4]),
        ("difference", ([5.0, np.inf], [7.0, np.inf]), [-2.0, np.nan]),
        ("product", ([3.0, 1e30], [-2.0, 1e30]), [-6.0, np.nan]),
        ("log1p", ([0.0, np.e - 1, -1.0, -2.0], ), [0.0, 1.0, np.nan, np.nan]),
        ("is_missing", ([np.nan, 0.0, np.inf],), [1.0, 0.0, 0.0]),
        ("is_missing_text", (["", None, "a"],), [0.0, 1.0, 0.0]),
    ],
)  # fmt: skip
def test_numbers(name: str, inputs: Any, expected: list[float]) -> None:
    np.testing.assert_allclose(FUNCTIONS[name].function(*inputs), expected, rtol=1e-15)


@settings(deadline=None)
@given(moment=st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
def test_calendar_agrees_with_the_standard_library(moment: datetime) -> None:
    moments = np.array([moment], dtype="datetime64[us]")
    assert functions.hour_of_day(moments)[0] == moment.hour
    assert functions.day_of_week(moments)[0] == moment.weekday()
    assert functions.day_of_year(moments)[0] == moment.timetuple().tm_yday
    assert functions.month_of_year(moments)[0] == moment.month
    assert functions.day_of_month(moments)[0] == moment.day
    assert functions.year(moments)[0] == moment.year


def test_a_cycle_closes_and_begins_where_it_should() -> None:
    at = np.array(["2026-01-05", "2026-01-11T23:59:59", "1969-12-29", "NaT"], "datetime64[us]")
    found = functions.cycle(at, of="week")
    np.testing.assert_allclose(found[:3], [[0, 1]] * 3, atol=1e-4)  # Mondays, and the night before
    assert np.isnan(found[3]).all()
    noon = np.array(["2026-01-05T12:00"], "datetime64[us]")
    np.testing.assert_allclose(functions.cycle(noon, of="day"), [[0, -1]], atol=1e-6)
    with pytest.raises(ValueError, match="day, week, year, not 'month'"):
        FUNCTIONS["cycle"].columns({"of": "month"})


@given(st.lists(st.integers(-(2**49), 2**49), min_size=2, max_size=30))
def test_a_number_and_what_float32_rounds_off_it_tell_whole_numbers_apart(
    numbers: list[int],
) -> None:
    """In their order, too: a tree can split between any two of them."""
    values = np.array(numbers, dtype=np.float64)
    rest = functions.rounded_off(values).astype(np.float32)
    pairs = list(zip(values.astype(np.float32).tolist(), rest.tolist(), strict=True))
    assert [sum(pair) for pair in pairs] == numbers
    assert sorted(pairs) == [pair for _, pair in sorted(zip(numbers, pairs, strict=True))]


def test_what_is_rounded_off_twice_holds_the_largest_whole_numbers() -> None:
    values = np.array([2.0**53 - 1, 2.0**53 - 2, 1_700_000_000_123_457.0])
    parts = [values, functions.rounded_off(values), functions.rounded_off(values, times=2)]
    assert len(set(zip(*(part.astype(np.float32).tolist() for part in parts), strict=True))) == 3
    held = sum(part.astype(np.float32).astype(np.float64) for part in parts)
    np.testing.assert_array_equal(held, values)


def test_large_numbers_close_together_stay_apart_above_the_least() -> None:
    values = np.array([16777217.0, 16777216.0, np.nan])
    assert len(set(values[:2].astype(np.float32))) == 1
    np.testing.assert_array_equal(functions.above(values, least=16777000), [217, 216, np.nan])


def test_elapsed_counts_fractions_and_direction() -> None:
    start = np.array(["2025-01-31T18:00", "2025-02-01", "NaT"], dtype="datetime64[us]")
    end = np.array(["2025-02-01T00:00", "2025-01-31", "2025-01-31"], dtype="datetime64[us]")
    np.testing.assert_array_equal(functions.elapsed_hours(start, end), [6.0, -24.0, np.nan])
    np.testing.assert_array_equal(functions.elapsed_days(start, end), [0.25, -1.0, np.nan])
    np.testing.assert_array_equal(functions.is_missing_datetime(start), [0.0, 0.0, 1.0])


@pytest.mark.parametrize(
    "series",
    [
        pd.Series([1, None, 3], dtype="Int64"),
        pd.Series([1.0, None, 3.0], dtype="Float64"),
        pd.Series([1.0, np.nan, 3.0], dtype=object),
        [1, None, 3],
    ],
    ids=["Int64", "Float64", "object", "list"],
)
def test_every_way_to_write_a_missing_number_counts(series: Any) -> None:
    np.testing.assert_array_equal(functions.product(series, series), [1.0, np.nan, 9.0])


def test_booleans_are_numbers() -> None:
    flags = pd.Series([True, None, False], dtype="boolean")
    np.testing.assert_array_equal(functions.difference(flags, flags), [0.0, np.nan, 0.0])
    np.testing.assert_array_equal(functions.ratio(np.array([True]), np.array([2])), [0.5])


def test_a_moment_with_a_zone_is_taken_in_utc() -> None:
    series = pd.Series(pd.to_datetime(["2025-01-01T00:30+01:00"]))
    assert functions.hour_of_day(series)[0] == 23


def test_inputs_stay_as_they_were() -> None:
    values = np.array([1.0, -5.0, np.nan])
    functions.log1p(values)
    np.testing.assert_array_equal(values, [1.0, -5.0, np.nan])


def test_the_registry_says_what_each_function_takes() -> None:
    assert FUNCTIONS["elapsed_days"].kinds == ("datetime", "datetime")
    assert FUNCTIONS["ratio"].kinds == ("number", "number")
    assert all(known.name == name and known.description for name, known in FUNCTIONS.items())
    with pytest.raises(TypeError):
        FUNCTIONS["mine"] = FUNCTIONS["ratio"]  # type: ignore[index]


def test_a_wrong_number_of_inputs_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        functions.ratio([1.0])


def test_the_decorator_registers_and_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "_registry", registry := {})

    @feature("number")
    def inverse(values: np.ndarray) -> np.ndarray:
        """Return one over the value."""
        return 1 / values

    assert registry["inverse"] == FeatureFunction(
        "inverse", inverse, ("number",), "Return one over the value."
    )
    np.testing.assert_array_equal(inverse([4, 0]), [0.25, np.nan])


def test_a_function_may_have_several_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "_registry", registry := {})

    @feature("number", width=2)
    def halves(values: np.ndarray) -> np.ndarray:
        """Return what is below and above zero, too large ones missing."""
        return np.column_stack([np.minimum(values, 0), np.maximum(values, 0)])

    @feature("number", width=lambda most=3: most)
    def powers(values: np.ndarray, most: int = 3) -> np.ndarray:
        """Return powers."""
        return np.column_stack([values**n for n in range(1, most + 1)])

    np.testing.assert_array_equal(halves([1.0, -1e39]), np.float32([[0, 1], [np.nan, 0]]))
    assert registry["halves"].columns({}) == 2
    assert registry["powers"].columns({}) == 3
    assert registry["powers"].columns({"most": 1}) == 1
    for wrong in (0, 4097, True, 2.0):
        with pytest.raises(ValueError, match="from 1 to 4096 columns, not"):
            registry["powers"].columns({"most": wrong})
