"""What terms add on a holdout, and how the report draws them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops.contract import Task
from mlops.evaluation.evaluate import evaluation
from mlops.evaluation.report.page import page
from mlops.evaluation.report.terms import CATEGORIES, MISSING, OTHER, Curve, Levels, Shown, shown
from mlops.runtime.terms import Axis, Link, Term, Terms

LINKS: dict[Task, Link] = {
    "binary": "logistic",
    "multiclass": "softmax",
    "regression": "identity",
}


def made(case: Any) -> Terms:
    """Return terms of the columns of a case: a number, two categories, a boolean and a pair."""
    task, names = case.settings.data.task, [*case.features]
    classes = len(case.settings.data.labels) if task == "multiclass" else 1

    def term(axes: list[Axis], scores: list[float]) -> Term:
        return Term(axes, [[score * (k + 1) for score in scores] for k in range(classes)])

    number, category = Axis(names[0], edges=[-1.0, 0.0, 2.0]), Axis(names[1], codes=[0.0, 1.0])
    flag = Axis(names[2], edges=[0.5])
    rare = Axis(names[3], codes=[0.0])
    pair = [score / 10 for score in range(number.size * flag.size)]
    return Terms(
        LINKS[task],
        [0.5] * classes,
        [
            term([number], [0.0, -2.0, -1.0, 1.0, 3.0]),
            term([category], [0.25, 0.5, -0.5, 0.0]),
            term([flag], [0.0, -0.1, 0.1]),
            term([rare], [0.0, 0.0, 0.4]),
            term([number, flag], pair),
        ],
    )


def drawn(case: Any) -> Shown:
    return shown(made(case), case.settings.data, [*case.features], case.matrix)


def test_a_term_weighs_what_it_adds_on_average(case: Any) -> None:
    found = drawn(case)
    sizes = {one.term: one.size for one in found.weights}
    assert list(sizes.values()) == sorted(sizes.values(), reverse=True)
    # of several classes the scores 1, 2 and 3 times those of one, less their mean
    times = 2 / 3 if case.settings.data.task == "multiclass" else 1
    signal = case.columns["signal"]
    scores = np.select([signal < -1, signal < 0, signal < 2], [-2, -1, 1], 3)
    assert sizes["signal"] == pytest.approx(times * np.abs(scores).mean())
    assert sizes["flag"] == pytest.approx(times * 0.1)
    assert "signal & flag" in sizes
    assert [one.feature for one in found.shapes] == [n for n in sizes if " & " not in n]


def test_a_number_is_a_line_of_steps_and_a_category_a_row_a_label(binary_case: Any) -> None:
    shapes = {one.feature: one for one in drawn(binary_case).shapes}
    signal = shapes["signal"]
    assert isinstance(signal, Curve)
    np.testing.assert_array_equal(signal.edges[1:-1], [-1, 0, 2])
    np.testing.assert_array_equal(signal.scores[:, 0], [-2, -1, 1, 3])
    assert signal.missing is None
    kind, flag, rare = (shapes[name] for name in [*binary_case.features][1:])
    assert isinstance(kind, Levels)
    assert kind.labels == ("x", [*binary_case.features][1], MISSING)
    np.testing.assert_array_equal(kind.scores[:, 0], [0.5, -0.5, 0.25])
    assert kind.counts.sum() == len(binary_case.target)
    assert isinstance(flag, Levels)
    assert flag.labels == ("false", "true")
    assert isinstance(rare, Levels)
    np.testing.assert_array_equal(rare.scores[:, 0], [0, 0.4])  # no code of its own: any other's


def test_what_the_holdout_has_beyond_is_drawn(binary_case: Any) -> None:
    case = binary_case._replace(matrix=binary_case.matrix.copy())
    case.matrix[:5, 0], case.matrix[:5, 1] = np.nan, 7
    shapes = {one.feature: one for one in drawn(case).shapes}
    signal, kind = shapes["signal"], shapes[[*case.features][1]]
    assert isinstance(signal, Curve)
    assert signal.missing is not None
    assert signal.missing.tolist() == [0.0]
    assert isinstance(kind, Levels)
    assert kind.labels[-1] == OTHER
    assert kind.counts[-1] == 5


@pytest.mark.parametrize("value", [np.nan, 0.25, 1e30])
def test_a_column_of_one_value_is_drawn(binary_case: Any, value: float) -> None:
    matrix = binary_case.matrix.copy()
    matrix[:, 0] = value
    html = rendered(binary_case, drawn(binary_case._replace(matrix=matrix)))
    assert 'aria-label="Shape of signal"' in html
    assert not {"nan", "inf"} & set(re.findall(r"nan|inf\b", html))


def test_a_long_curve_and_many_labels_are_cut(binary_case: Any) -> None:
    edges = np.linspace(-4, 4, 5000)
    scores = np.sin(np.arange(5002.0)).tolist()
    codes = [float(code) for code in range(60)]
    terms = Terms(
        "logistic",
        [0.0],
        [
            Term([Axis("signal", edges=edges.tolist())], [scores]),
            Term([Axis("free", codes=codes)], [[code / 10 for code in range(62)]]),
        ],
    )
    names = ("signal", "free")
    curve, levels = shown(terms, binary_case.settings.data, names, binary_case.matrix[:, :2]).shapes
    if isinstance(curve, Levels):
        curve, levels = levels, curve
    assert isinstance(curve, Curve)
    assert len(curve.edges) <= 402
    assert isinstance(levels, Levels)
    assert len(levels.labels) == CATEGORIES
    assert levels.left > 40


def test_a_sum_of_nothing_has_nothing_to_draw(binary_case: Any) -> None:
    given = (binary_case.settings.data, [*binary_case.features], binary_case.matrix)
    found = shown(Terms("logistic", [0.5], []), *given)
    assert found.weights == []
    assert "What it adds up" not in rendered(binary_case, found)


def rendered(case: Any, terms: Shown) -> str:
    found = evaluation(*case)
    given = (found.measurement, case.target, found.predictions, found.importances)
    return page(case.settings, *given, {"rows": 1600}, terms=terms)


def test_the_report_draws_them(case: Any) -> None:
    html = rendered(case, drawn(case))
    assert "What it adds up" in html
    assert "<script" not in html
    assert html.count('aria-label="Shape of') == 4
    of_class = "c: 0 to 2" in html or "c: 0.000 to 2.000" in html
    assert of_class == (case.settings.data.task == "multiclass")
    assert "nan" not in html


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_report_of_a_sum_shows_its_terms(summed: Callable[[str], Path], task: str) -> None:
    html = (summed(task) / "reports/report.html").read_text()
    assert "What it adds up" in html
    for name in ("size", "kind", "new"):
        assert f'aria-label="Shape of {name}"' in html
    assert (" &amp; " in html) == (task != "multiclass")


def test_another_report_has_none(promising: Callable[[str], Path]) -> None:
    html = (promising("binary") / "reports/report.html").read_text()
    assert "What it adds up" not in html
