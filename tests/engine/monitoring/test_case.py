"""Windows are sums of days, beside the same season, with rows that come again counting for less."""

import math
from datetime import date, timedelta

import msgspec
import numpy as np
import pytest
from windows import AT, NUMBER, ROWS, WEEKS, case, world

from mlops.bundle.cells import Cells, Layout
from mlops.bundle.counting import BUCKETS, Counts, sketch
from mlops.bundle.reference import Period
from mlops.monitoring.case import AROUND, _apart, _weight, dependence, place_error
from mlops.monitoring.statistics import auc


@pytest.mark.parametrize(("name", "length"), [("day", 1), ("week", 7), ("four weeks", 28)])
def test_a_window_is_the_sum_of_its_days(name: str, length: int) -> None:
    of = case(days=40, rows=50)
    window = of.windows[name]
    within = [about.counts for about in list(of.days.values())[-length:]]
    assert (window.start, window.end) == (str(AT - timedelta(days=length - 1)), str(AT))
    assert window.counts.rows == 50 * length
    assert window.counts.features == np.sum([one.features for one in within], axis=0).tolist()
    assert window.counts.outputs == np.sum([one.outputs for one in within], axis=0).tolist()


def test_days_without_rows_leave_a_window_smaller() -> None:
    of = case(rows=50)
    days = {day: about for day, about in of.days.items() if day != str(AT)}
    gap = msgspec.structs.replace(of, days=days)
    assert (gap.windows["day"].counts.rows, gap.windows["week"].counts.rows) == (0, 300)
    assert gap.windows["day"].weight == 1.0


@pytest.mark.parametrize(
    ("one", "other", "days"),
    [
        ("2026-08-02", "2026-08-02", 0),
        ("2025-08-03", "2026-08-02", 0),
        ("2026-12-30", "2026-01-03", 3),
        ("2024-12-30", "2027-01-03", 6),
        ("2026-01-01", "2026-07-02", 182),
    ],
)
def test_days_apart_within_the_year(one: str, other: str, days: int) -> None:
    """A year counts 364 days, so that weekdays are the same."""
    first, second = map(date.fromisoformat, (one, other))
    assert _apart(first, second) == _apart(second, first) == days


def test_a_season_needs_rows_and_is_of_all_years() -> None:
    known = world()
    (cells,) = [part.size for part in known.layout.features][:1]
    near = AT - timedelta(days=3)

    def period(years: int, days: int, rows: int) -> Period:
        start = near - timedelta(days=364 * years + days)
        features = [0] * int(known.layout.starts[-1])
        features[1] = rows
        return Period(str(start), str(start + timedelta(days=7)), rows, features, [])

    periods = [period(2, 0, 300), period(1, 0, 200), period(1, AROUND + 9, 999)]
    reference = msgspec.structs.replace(known.reference, periods=periods)
    of = {"of": known._replace(reference=reference), "days": 1}
    window = case(season_rows=500, **of).windows["day"]
    assert window.reference[1] == 500
    assert window.periods == 2
    assert window.season.startswith(f"{periods[0].start} to ")
    small = case(season_rows=501, **of).windows["day"]
    assert (small.season, small.periods) == ("", 3)
    assert small.reference.tolist() == known.reference.seen.features
    assert cells > 2


def test_without_answers_of_the_season_those_of_the_whole_holdout_are_compared() -> None:
    known = world()
    bare = [msgspec.structs.replace(one, outputs=[]) for one in known.reference.periods]
    reference = msgspec.structs.replace(known.reference, periods=bare)
    window = case(days=1, of=known._replace(reference=reference), at=date(2026, 3, 1)).windows[
        "day"
    ]
    assert window.season
    assert window.answered.tolist() == known.reference.held.outputs


def repeated(units: int, each: int) -> Counts:
    random = np.random.default_rng(units)
    whose = np.repeat(random.integers(0, 1 << 62, units).astype(np.uint64), each)
    return Counts(len(whose), [], [], repeats=sketch(whose).tolist())


@pytest.mark.parametrize(("units", "each"), [(2000, 1), (500, 10), (40, 50)])
def test_a_row_counts_for_one_by_the_rows_of_its_unit(units: int, each: int) -> None:
    """The design effect of clusters of equal size is that size (Kish)."""
    assert _weight(repeated(units, each), 0.0) == pytest.approx(1 / each, rel=0.2)


def test_rows_that_are_equal_as_often_as_in_the_reference_count_fully() -> None:
    """Of a table of two labels, every second row is the same: that is chance, and no unit's."""
    rows = 3000
    whose = np.random.default_rng(0).integers(0, 40, rows).astype(np.uint64) << np.uint64(40)
    counts = Counts(rows, [], [], repeats=sketch(whose).tolist())
    assert _weight(counts, 0.0) < 0.05
    assert _weight(counts, 1 / 40) > 0.15  # but for the error of the sketch
    assert _weight(Counts(1, [], [], repeats=[0] * BUCKETS), 0.0) == 1.0


def test_what_numbers_and_shares_varied_by_is_nothing_where_weeks_are_alike() -> None:
    of = case()
    assert of.moved["size"].periods == WEEKS
    assert math.sqrt(of.moved["size"].variance) < 0.01
    assert of.shared["kind"].variance.shape == (5,)
    assert math.sqrt(of.shared["kind"].variance.max()) < 0.01
    none = case(of=world(0))
    assert none.moved["size"].variance == 0
    assert none.shared["kind"].variance.tolist() == [0] * 5


def test_the_error_of_a_place_is_that_of_a_simulation() -> None:
    """One week against all: the spread of its AUC over many draws."""
    random = np.random.default_rng(1)
    shares = np.array([0.5, 0.3, 0.2])
    every = (shares * 1e6).astype(int)
    drawn = random.multinomial(ROWS, shares, size=3000)
    effects = [auc(every, one) for one in drawn]
    assert place_error(every, drawn[0]) == pytest.approx(np.std(effects), rel=0.05)


def test_what_features_explain_is_that_of_groups() -> None:
    """Epsilon squared by hand: between the cells over all, less what chance gives so many cells."""
    known = world()
    held = known.reference.held
    shares = dict(dependence(known.layout, held))
    parts = {cells.name: part for cells, part in known.layout.split(held.features)}
    sums = {cells.name: part for cells, part in known.layout.split(held.answered)}
    mean = held.moments[0] / held.rows
    whole = held.moments[1] - held.rows * mean**2
    for name, (share, _) in shares.items():
        used = parts[name] > 0
        between = (parts[name][used] * (sums[name][used] / parts[name][used] - mean) ** 2).sum()
        degrees = used.sum() - 1
        within = (whole - between) / (held.rows - degrees - 1)
        assert share == pytest.approx(max(0.0, (between - degrees * within) / whole), abs=1e-9)
    assert NUMBER == 0


def test_answers_that_never_differ_are_explained_by_nothing() -> None:
    known = world()
    flat = msgspec.structs.replace(
        known.reference.held,
        answered=[0.5 * rows for rows in known.reference.held.features],
        moments=(0.5 * known.reference.held.rows, 0.25 * known.reference.held.rows),
    )
    assert {share for share, _ in dict(dependence(known.layout, flat)).values()} == {0.0}


@pytest.mark.parametrize("each", [1, 10])
def test_the_error_of_what_many_cells_explain_is_that_of_a_simulation(each: int) -> None:
    """A hundred labels that tell nothing, of 400 units of which each comes so many times."""
    labels = tuple(f"l{at}" for at in range(100))
    layout = Layout((Cells("k", np.empty(0, np.float32), labels),), (), {}, 0.5)
    random = np.random.default_rng(5)
    shares, errors = [], []
    for _ in range(300):
        codes = np.repeat(random.integers(0, 100, 400), each)
        given = np.repeat(random.random(400), each)
        cells, sums = (np.bincount(codes, weights, minlength=102) for weights in (None, given))
        moments = float(given.sum()), float(np.square(given).sum())
        counts = Counts(len(codes), cells.tolist(), [], {}, sums.tolist(), moments)
        ((_, (share, error)),) = dependence(layout, counts, 1 / each)
        shares.append(share)
        errors.append(error)
    above = [share for share in shares if share > 0]
    assert 0.35 < len(above) / 300 < 0.6  # what is below 0 is 0
    assert np.sqrt(np.mean(np.square(above))) == pytest.approx(np.median(errors), rel=0.25)


def test_more_cells_than_rows_tell_nothing() -> None:
    counts = Counts(3, [1, 1, 1, 0], [], {}, [0.1, 0.5, 0.9, 0], (1.5, 1.07))
    layout = Layout((Cells("k", np.empty(0, np.float32), ("a", "b")),), (), {}, 0.5)
    assert list(dependence(layout, counts)) == [("k", (0.0, math.inf))]
