"""Counts add up to those of all rows, whatever rows come together, and say what was there."""

from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.bundle import counting
from mlops.bundle.cells import Cells, Layout, Limits
from mlops.bundle.counting import BUCKETS, Counts, Tally, equal_chance, heaviest, repetition, sketch
from mlops.bundle.losses import Outcomes, losses, outcomes
from mlops.bundle.profile import profile
from mlops.config.settings import Derived, Features
from mlops.contract import Column, Contract
from mlops.evaluation.slices import MISSING, UNSEEN
from mlops.features.encoding import Encoder

NONE = np.empty(0, np.float32)
NUMBER = Cells("n", np.array([0, 1, 2, 3], np.float32))
LABELS = Cells("c", NONE, ("a", "b"))
OUTPUT = Cells("", np.array([0, 0.5, 1.1], np.float32))
LAYOUT = Layout((NUMBER, LABELS), (OUTPUT,), {"c": ("a", "b", UNSEEN, MISSING)}, 0.5)
INTEGERS = ("rows", "features", "outputs", "slices", "heaviest", "repeats")


def drawn(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of few values and labels, some not declared, some missing; and what is answered."""
    random = np.random.default_rng(seed)
    values = random.integers(-2, 9, (rows, 2)).astype(np.float32) / 2
    values[:, 1] = random.integers(0, 4, rows)
    values[random.random((rows, 2)) < 0.1] = np.nan
    return values, random.random(rows)


def counted(layout: Layout, *parts: Any) -> Counts:
    tally = Tally(layout)
    for values, answers in parts:
        tally.add(values, answers, {"c": values[:, 1].astype(float)})
    return tally.counts()


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (-0.1, 0),
        (0, 1),
        (0.99, 1),
        (1, 2),
        (2, 3),
        (2.99, 3),
        (3, 4),
        (1e9, 4),
        (-np.inf, 0),
        (np.inf, 4),
        (np.nan, 5),
    ],
)
def test_a_number_falls_between_its_edges(value: float, cell: int) -> None:
    assert NUMBER.of(np.array([value], np.float32)).tolist() == [cell]


def test_a_label_that_is_not_declared_and_a_missing_one_have_cells_of_their_own() -> None:
    assert LABELS.of(np.array([0, 1, 2, 7, np.nan], np.float32)).tolist() == [0, 1, 2, 2, 3]


def test_what_training_saw_lies_inside_its_own_cells() -> None:
    """Also its least and its largest value, in float32 as the model gets them."""
    contract = Contract("t", "regression", {"n": Column("number"), "y": Column("number", "target")})
    encoder = Encoder.build(contract, Features())
    seen = np.array([[0.1], [0.1], [0.3], [16777217.0], [0.7]], dtype=np.float32)
    about = profile(contract, encoder, seen, np.array([0.1, 0.2, 0.3, 1 / 3, 5]), "regression")
    layout = Layout.of(about, contract, Limits(12, 0.5))
    tally = Tally(layout)
    tally.add(seen, np.array([0.1, 0.2, 0.3, 1 / 3, 5]), {})
    counts = tally.counts()
    both = (layout.features, counts.features), (layout.outputs, counts.outputs)
    for (cells,), flat in both:
        assert len(flat) == cells.size
        assert (flat[0], flat[-2], flat[-1], sum(flat)) == (0, 0, 0, 5)
    above = np.nextafter(np.float32(16777216), np.float32(np.inf))
    assert layout.features[0].of(np.array([above])).tolist() == [layout.features[0].size - 2]


def test_a_feature_that_training_never_saw_has_a_cell_and_one_for_missing() -> None:
    cells = Cells("n", NONE)
    assert cells.of(np.array([3, np.nan], np.float32)).tolist() == [0, 1]
    assert cells.size == 2


@given(st.lists(st.integers(0, 60), min_size=1, max_size=5), st.integers(0, 9))
def test_counts_of_parts_add_up_to_those_of_all_rows(sizes: list[int], seed: int) -> None:
    values, answers = drawn(sum(sizes), seed)
    ends = np.cumsum([0, *sizes])
    parts = [(values[a:b], answers[a:b]) for a, b in pairwise(ends)]
    whole = counted(LAYOUT, (values, answers))
    total = sum((counted(LAYOUT, part) for part in parts), Counts.none(LAYOUT))
    for name in ("rows", "features", "outputs", "repeats"):
        assert getattr(total, name) == getattr(whole, name)
    assert total.slices == whole.slices
    assert total.answered == pytest.approx(whole.answered)
    assert total.moments == pytest.approx(whole.moments)
    together = counted(LAYOUT, *parts)
    assert [getattr(together, name) for name in INTEGERS] == [
        getattr(whole, name) for name in INTEGERS
    ]


def test_blocks_change_nothing_but_what_is_heavy_within_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values, answers = drawn(1000)
    whole = counted(LAYOUT, (values, answers))
    monkeypatch.setattr(counting, "BLOCK", 200)
    blocks = counted(LAYOUT, (values, answers))
    assert blocks.features == whole.features
    assert blocks.slices == whole.slices
    assert blocks.repeats == whole.repeats
    most = whole.heaviest["n"]
    assert blocks.heaviest["n"] == pytest.approx(most, abs=2)  # but where it stands there once
    assert blocks.answered == pytest.approx(whole.answered)


def test_every_row_is_counted_once_by_hand() -> None:
    values, answers = drawn(500)
    found = counted(LAYOUT, (values, answers))
    number, label = values.T
    expected = [
        (number < 0).sum(),
        *(((number >= at) & (number < at + 1)).sum() for at in range(3)),
        (number >= 3).sum(),
        np.isnan(number).sum(),
    ]
    assert found.features[:6] == expected
    assert found.features[6:] == [
        (label == 0).sum(),
        (label == 1).sum(),
        (label >= 2).sum(),
        np.isnan(label).sum(),
    ]
    assert found.outputs == [0, (answers < 0.5).sum(), (answers >= 0.5).sum(), 0, 0]
    assert found.moments == pytest.approx((answers.sum(), (answers**2).sum()))
    assert found.answered[1] == pytest.approx(answers[(number >= 0) & (number < 1)].sum())
    assert found.slices[f"c={UNSEEN}"][:6] == (
        np.bincount(NUMBER.of(number[label >= 2]), minlength=6).tolist()
    )
    assert found.slices[f"c={MISSING}"][6:] == [0, 0, 0, np.isnan(label).sum()]
    most = Counter(number[~np.isnan(number)].tolist())
    assert found.heaviest == {"n": {repr(value): rows for value, rows in most.items()}}


def test_a_slice_that_no_row_is_in_is_left_out() -> None:
    values = np.array([[1, 0], [2, 0]], np.float32)
    assert list(counted(LAYOUT, (values, np.zeros(2))).slices) == ["c=a"]


def test_only_values_that_many_rows_share_are_kept() -> None:
    random = np.random.default_rng(1)
    column = random.standard_normal(10_000).astype(np.float32)
    column[:60], column[60:100], column[100:300] = 7, 8, np.nan
    column = random.permutation(column)
    assert heaviest(column) == {"7.0": 60}
    assert heaviest(np.array([0.0, -0.0] * 50, np.float32)) == {"0.0": 100}
    assert heaviest(np.full(4, np.nan, np.float32)) == {}
    assert heaviest(np.array([], np.float32)) == {}


def test_a_value_is_heavy_in_many_small_parts_as_in_one() -> None:
    """A server that has few requests writes files of a few rows each."""
    layout = Layout((Cells("n", np.array([-9, 0, 9], np.float32)),), (), {}, 0.5)
    random = np.random.default_rng(2)
    column = random.standard_normal(2000).astype(np.float32)
    column[:100] = 0.25
    column = random.permutation(column)
    tally = Tally(layout)
    for part in np.array_split(column, 400):
        tally.add(part[:, None], None, {})
    assert tally.counts().heaviest == {"n": {"0.25": 100}}


def test_units_tell_whose_rows_they_are_and_parts_without_add_up_too() -> None:
    values, answers = drawn(400)
    units = np.random.default_rng(3).integers(0, 1 << 63, 40).astype(np.uint64)
    tally = Tally(LAYOUT)
    columns = {"c": values[:, 1].astype(float)}
    tally.add(values[:200], answers[:200], {"c": columns["c"][:200]}, np.repeat(units, 5))
    tally.add(values[200:], answers[200:], {"c": columns["c"][200:]})
    rest = counted(LAYOUT, (values[200:], answers[200:]))
    assert tally.counts().repeats == (np.array(rest.repeats) + sketch(np.repeat(units, 5))).tolist()


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize(("units", "each"), [(20_000, 1), (2_000, 10), (50, 400), (1, 3000)])
def test_the_sketch_estimates_how_often_rows_come_again(
    units: int, each: int, numbered: bool
) -> None:
    """Also of units that are numbered in a row, as customers are."""
    random = np.random.default_rng(4)
    drawn = np.arange(units) + 10**6 if numbered else random.integers(0, 1 << 63, units)
    whose = np.repeat(drawn.astype(np.uint64), each)
    counts = Counts(len(whose), [], [], repeats=sketch(whose).tolist())
    exact = units * each**2
    assert repetition(counts) == pytest.approx(exact, rel=5 * np.sqrt(2 / BUCKETS))


def test_the_chance_of_two_equal_rows() -> None:
    rows = np.array([1, 1, 1, 2, 3, 3], dtype=np.uint64)
    pairs = [(a, b) for a in range(6) for b in range(6) if a != b]
    assert equal_chance(rows) == sum(rows[a] == rows[b] for a, b in pairs) / len(pairs)
    assert equal_chance(rows[:1]) == 0.0


def test_counts_and_outcomes_come_back_from_json_as_they_were() -> None:
    values, answers = drawn(300)
    found = counted(LAYOUT, (values, answers))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Counts) == found
    true = np.random.default_rng(5).integers(0, 2, 300).astype(float)
    known = outcomes(LAYOUT, true, answers, {"c": values[:, 1]}, ("false", "true"))
    again = msgspec.json.decode(msgspec.json.encode(known), type=Outcomes)
    assert msgspec.json.encode(again) == msgspec.json.encode(known)
    assert (again + known).losses == (known + known).losses


def test_a_feature_of_several_columns_is_counted_by_their_mean() -> None:
    columns = {"n": Column("number"), "t": Column("text"), "y": Column("number", "target")}
    contract = Contract("t", "regression", columns)
    said = Derived("text_ngrams", ["t"], "me", arguments={"width": 2})
    encoder = Encoder.build(contract, Features(derived={"said": said}))
    matrix = np.array([[1, 4, 6], [2, 0, 1], [3, np.nan, np.nan]], dtype=np.float32)
    about = profile(contract, encoder, matrix, np.zeros(3), "regression")
    layout = Layout.of(about, contract, Limits(12, 0.5))
    tally = Tally(layout)
    tally.add(encoder.by_feature(matrix), None, {})
    parts = {cells.name: part for cells, part in layout.split(tally.counts().features)}
    assert list(parts) == ["n", "said"]
    assert (parts["said"][-1], parts["said"].sum()) == (1, 3)


TARGET = np.array([0.0, 1, 1, 0, 1])
GIVEN = np.array([0.2, 0.9, 0.4, 0.5, 0.6])


def test_losses_of_two_classes_by_hand() -> None:
    found = losses(TARGET, GIVEN, ("false", "true"), 0.5)
    right = np.array([0.8, 0.9, 0.4, 0.5, 0.6])
    np.testing.assert_allclose(found["log_loss"], -np.log(right))
    np.testing.assert_allclose(found["brier"], (1 - right) ** 2)
    assert found["error"].tolist() == [0, 0, 1, 0, 0]


def test_losses_of_many_classes_by_hand() -> None:
    given = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3]])
    found = losses(np.array([0.0, 1, 2]), given, ("a", "b", "c"), 0.5)
    np.testing.assert_allclose(found["log_loss"], -np.log([0.7, 0.3, 0.3]))
    assert found["error"].tolist() == [0, 1, 1]


def test_losses_of_a_number_by_hand() -> None:
    found = losses(np.array([1.0, 2]), np.array([4.0, 1]), (), 0.5)
    assert found["absolute_error"].tolist() == [3, 1]
    assert found["squared_error"].tolist() == [9, 1]


def test_outcomes_have_each_slice_and_what_came_true_in_each_cell() -> None:
    codes = np.array([0, 0, 1, 5, np.nan])
    found = outcomes(LAYOUT, TARGET, GIVEN, {"c": codes}, ("false", "true"))
    assert set(found.losses) == {"", "c=a", "c=b", f"c={UNSEEN}", f"c={MISSING}"}
    brier = np.array([0.04, 0.01, 0.36, 0.25, 0.16])
    assert found.losses[""]["brier"] == pytest.approx((5, brier.sum(), (brier**2).sum()))
    assert found.losses["c=a"]["brier"] == pytest.approx((2, 0.05, 0.0017))
    (cells,) = found.calibration
    assert cells[1] == pytest.approx((2, 0.6, 1))  # below a half: 0.2 and 0.4, of which one came
    assert cells[2] == pytest.approx((3, 2.0, 2))
    parts = [
        outcomes(LAYOUT, TARGET[part], GIVEN[part], {"c": codes[part]}, ("false", "true"))
        for part in (slice(0, 2), slice(2, 5))
    ]
    total = sum(parts, Outcomes())
    assert set(total.losses) == set(found.losses)
    for group, known in found.losses.items():
        for name, sums in known.items():
            assert total.losses[group][name] == pytest.approx(sums)
    np.testing.assert_allclose(total.calibration, found.calibration)


def test_outcomes_of_many_classes_are_calibrated_class_by_class() -> None:
    half = np.array([0, 0.5, 1.1], np.float32)
    layout = Layout((NUMBER,), (Cells("a", half), Cells("b", half), Cells("c", half)), {}, 0.5)
    given = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.6, 0.2]])
    found = outcomes(layout, np.array([0.0, 1, 1]), given, {}, ("a", "b", "c"))
    sums = np.array(found.calibration).sum(axis=1)
    np.testing.assert_allclose(sums, [[3, 1.0, 1], [3, 1.1, 2], [3, 0.9, 0]])


def test_outcomes_of_a_number_sum_what_was_said_and_what_came() -> None:
    layout = Layout((NUMBER,), (Cells("", np.array([0, 2, 5], np.float32)),), {}, 0.5)
    found = outcomes(layout, np.array([1.0, 2]), np.array([4.0, 1]), {}, ())
    assert [tuple(cell) for cell in found.calibration[0]] == [
        (0, 0, 0),
        (1, 1, 2),
        (1, 4, 1),
        (0, 0, 0),
        (0, 0, 0),
    ]
