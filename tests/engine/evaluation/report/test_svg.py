import xml.etree.ElementTree as ElementTree

import pytest

from mlops.evaluation.report.svg import Axis, Plot, number, padded, short, tick_label


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-3, 27, [0, 10, 20]),
        (0.651, 0.699, [0.66, 0.67, 0.68, 0.69]),
        (0, 90_000, [0, 20_000, 40_000, 60_000, 80_000]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert Axis(low, high).ticks == pytest.approx(ticks)


def test_a_range_without_width_still_has_a_tick() -> None:
    assert Axis(3, 3).ticks == [3]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.25, "0.25"), (1500, "1,500"), (2.5e6, "2.5M"), (0, "0"), (1e-7, "1e-07")],
)
def test_tick_labels_are_short(value: float, text: str) -> None:
    assert tick_label(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.123"), (12.345, "12.35"), (12345.6, "12,346"), (2e-5, "2.0e-05")],
)
def test_numbers_have_useful_digits(value: float, text: str) -> None:
    assert number(value) == text
    assert number(float("nan")) == "undefined"


def test_every_mark_is_well_formed_and_escaped() -> None:
    hostile = '</title><script>"&'
    plot = Plot(hostile, Axis(0, 1, hostile), Axis(0, 1, hostile)).axes()
    plot.line([(0, 0), (1, 1)], "line", hostile).rect((0, 1), (0, 1), "bar", hostile, 0.5)
    plot.dot(0.5, 0.5, "dot", hostile).text(1, 2, hostile, "tick", hostile)
    root = ElementTree.fromstring(str(plot))
    assert not root.findall(".//script")
    assert {mark.text for mark in root.iter("title")} == {hostile}


def test_values_map_into_the_frame() -> None:
    plot = Plot("p", Axis(0, 10), Axis(0, 1), width=100, height=100, left=10, top=10, bottom=10)
    assert (plot.x(0), plot.y(0), plot.y(1)) == (10, 90, 10)
    assert plot.x(5) == pytest.approx((10 + 100 - 14) / 2)


def test_padded_and_short() -> None:
    assert padded([0, 1]) == (-0.04, 1.04)
    assert padded([2, 2])[0] < 2 < padded([2, 2])[1]
    assert short("abcdef", 4) == "abc…"
    assert short("abc", 4) == "abc"
