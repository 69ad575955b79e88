import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

from mlops.adoption.exclusion import leave_out
from mlops.adoption.inference import infer
from mlops.adoption.statistics import Statistics, statistics
from mlops.adoption.target import decide
from mlops.contract import Column, Source
from mlops.data.leakage import Candidate, leaks

RNG = np.random.default_rng(0)
ROWS = 1000
CSV = Source(format="csv")
CLASSES = (RNG.random(ROWS) < 0.3).astype(np.float64)
NOISE = RNG.normal(size=ROWS)


def found(
    target: np.ndarray, classes: bool, ordered: bool = True, **columns: np.ndarray
) -> set[str]:
    candidates = {name: Candidate(name, values, ordered) for name, values in columns.items()}
    return set(leaks(candidates, target, classes))


def adopted(frame: pd.DataFrame, target: str) -> dict[str, Column]:
    text = frame.astype("str").mask(frame.isna())
    decided, _ = decide(Statistics(target, text[target], CSV))
    return leave_out(text, infer(statistics(text, CSV), {target: decided}, {}), CSV)[0]


@pytest.mark.parametrize(
    "column",
    [
        CLASSES,
        7 - 3 * CLASSES,
        CLASSES + NOISE * 0.01,
        np.where(CLASSES == 1, NOISE, np.nan),
        np.where(CLASSES == 1, RNG.integers(0, 4, ROWS), RNG.integers(4, 9, ROWS)).astype(float),
    ],
)
def test_finds_what_gives_classes_away(column: np.ndarray) -> None:
    assert found(CLASSES, True, leak=column, fine=NOISE) == {"leak"}


@pytest.mark.parametrize(
    "column",
    [
        CLASSES + NOISE,
        np.where(RNG.random(ROWS) < 0.02, 1 - CLASSES, CLASSES),
        np.arange(ROWS, dtype=np.float64),
        np.full(ROWS, np.nan),
        np.zeros(ROWS),
    ],
)
def test_keeps_what_does_not(column: np.ndarray) -> None:
    assert not found(CLASSES, True, fine=column)
    assert not found(CLASSES, True, ordered=False, fine=column)


def test_finds_a_bijection_of_many_classes() -> None:
    classes = RNG.integers(0, 6, ROWS).astype(np.float64)
    assert found(classes, True, ordered=False, code=(classes * 5) % 7, fine=classes // 2) == {
        "code"
    }


@pytest.mark.parametrize("column", [NOISE * 1.8 + 32, np.exp(NOISE), np.round(NOISE, 1)])
def test_finds_what_gives_a_number_away(column: np.ndarray) -> None:
    assert found(NOISE, False, leak=column, fine=NOISE + CLASSES) == {"leak"}


def test_finds_the_column_that_contains_the_target_and_no_other() -> None:
    fare, tip, tolls = (RNG.gamma(2, scale, ROWS) for scale in (5, 1, 1))
    total = fare + tip + tolls + RNG.choice([0, 0.3, 0.8], ROWS)
    distance = fare * 0.4 + RNG.normal(size=ROWS) * 0.7
    columns = {"distance": distance, "tip": tip, "tolls": tolls, "total": total}
    assert found(fare, False, **columns) == {"total"}
    assert not found(fare, False, distance=distance, tip=tip, tolls=tolls)


def test_finds_the_parts_of_a_sum() -> None:
    casual, registered = RNG.poisson(30, ROWS) * 1.0, RNG.poisson(200, ROWS) * 1.0
    columns = {"casual": casual, "registered": registered, "noise": NOISE}
    assert found(casual + registered, False, **columns) == {"casual", "registered"}


def test_a_linear_law_with_other_slopes_is_no_leak() -> None:
    other = RNG.normal(size=ROWS)
    assert not found(3 * NOISE + 2 * other, False, a=NOISE, b=other)


def test_small_tables_raise_no_alarm() -> None:
    classes = np.array([0.0, 1.0] * 9)
    assert not found(classes, True, copy=classes)


def test_leaves_out_the_later_of_two_moments_whose_distance_is_the_target() -> None:
    start = pd.Timestamp("2020-01-01") + pd.to_timedelta(RNG.integers(0, 10**6, 300), unit="s")
    seconds = RNG.integers(60, 9000, 300)
    stop = start + pd.to_timedelta(seconds, unit="s")
    columns = adopted(pd.DataFrame({"stop": stop, "start": start, "duration": seconds}), "duration")
    assert columns["stop"].role == "ignored"
    assert "the time from stop to start" in columns["stop"].reason
    assert columns["start"].role == "feature"


def test_keeps_the_type_of_what_it_leaves_out() -> None:
    frame = pd.DataFrame({"y": CLASSES.astype(int), "copy": CLASSES + 3.5, "fine": NOISE})
    columns = adopted(frame, "y")
    assert (columns["copy"].type, columns["copy"].role) == ("number", "ignored")
    assert "100.0%" in columns["copy"].reason
    assert columns["fine"].role == "feature"


@pytest.mark.parametrize(
    "load", [load_iris, load_wine, load_breast_cancer, load_diabetes, load_digits]
)
def test_known_tables_have_no_leak(load: object) -> None:
    frame = load(as_frame=True).frame  # type: ignore[operator]
    left = {n for n, c in adopted(frame, "target").items() if c.role == "ignored"}
    constant = {n for n in frame if frame[n].nunique() == 1}
    assert left == constant
