"""Bins, scores and links of terms."""

import re

import msgspec
import numpy as np
import pytest
from baked import SOURCE

from mlops.runtime.terms import Axis, Link, Term, Terms

NUMBER, CODES = Axis("a", edges=[-1.0, 2.0]), Axis("k", codes=[0.0, 3.0])
ONE = Term([NUMBER], [[0.5, -1.0, 0.0, 2.0]])
PAIR = Term([NUMBER, CODES], [[float(cell) for cell in range(16)]])


def test_a_value_on_an_edge_is_above_it() -> None:
    values = np.array([np.nan, -2, -1, 0, 2, 1e30, -np.inf, np.inf])
    assert NUMBER.bins(values).tolist() == [0, 1, 2, 2, 3, 3, 1, 3]


def test_a_code_has_a_bin_and_every_other_the_last() -> None:
    values = np.array([np.nan, 0, 3, 1, -1, 4, 0.5, np.inf])
    assert CODES.bins(values).tolist() == [0, 1, 2, 3, 3, 3, 3, 3]


@pytest.mark.parametrize("axis", [Axis("a", edges=[]), Axis("k", codes=[])])
def test_a_feature_without_steps_has_two_bins(axis: Axis) -> None:
    assert axis.bins(np.array([np.nan, 0.0, 7.0])).tolist() == [0, 1, 1]
    assert axis.bins(axis.values().astype(np.float64)).tolist() == [0, 1]


@pytest.mark.parametrize("axis", [NUMBER, CODES, Axis("b", edges=[0.1, 1e9, 1e30])])
def test_every_bin_has_a_value(axis: Axis) -> None:
    assert axis.bins(axis.values().astype(np.float64)).tolist() == list(range(axis.size))


def test_a_pair_is_scored_by_both() -> None:
    columns = {"a": np.array([np.nan, 0.0, 5.0]), "k": np.array([3.0, np.nan, 9.0])}
    assert PAIR.name == "a & k"
    assert PAIR.contributions(columns)[:, 0].tolist() == [2, 8, 15]


@pytest.mark.parametrize(
    ("link", "expected"),
    [("logistic", 1 / (1 + np.exp(-2.25))), ("identity", 2.25), ("exp", np.exp(2.25))],
)
def test_the_link_leads_to_the_answer(link: Link, expected: float) -> None:
    found = Terms(link, [0.25], [ONE]).answers({"a": np.array([3.0])})
    assert found == pytest.approx([expected])


def test_of_classes_it_is_how_they_differ() -> None:
    scores = [[0.0, 1.0], [0.0, 2.0], [0.0, 6.0]]
    terms = Terms("softmax", [1.0, 1.0, 4.0], [Term([Axis("a", edges=[])], scores)])
    columns = {"a": np.array([1.0])}
    assert terms.base.tolist() == [-1, -1, 2]
    assert terms.contributions(columns)[0].tolist() == [[-2, -1, 3]]
    grown = np.exp([2.0, 3.0, 10.0])
    np.testing.assert_allclose(terms.answers(columns)[0], grown / grown.sum())


@pytest.mark.parametrize("place", range(16))
def test_one_other_score_is_found(place: int) -> None:
    terms = Terms("identity", [0.0], [ONE, PAIR])
    scores = [*PAIR.scores[0][:place], 50.0, *PAIR.scores[0][place + 1 :]]
    other = Terms("identity", [0.0], [ONE, Term(PAIR.axes, [scores])])
    names = ("other", "k", "a")

    def predict(matrix: np.ndarray) -> np.ndarray:
        return terms.answers(dict(zip(names, matrix.T.astype(np.float64), strict=True)))

    assert terms.apart(predict, names, "regression") == 0
    assert other.apart(predict, names, "regression") > 0.5


@pytest.mark.parametrize("edges", [[2.0, 1.0], [1.0, 1.0], [1.0, np.inf], [np.nan]])
def test_what_divides_a_feature_is_finite_and_in_order(edges: list[float]) -> None:
    with pytest.raises(ValueError, match="finite and in order"):
        Axis("a", edges=edges)


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([[1.0, 2.0]], "as many scores"),
        ([[1.0, 2.0, 3.0, np.inf]], "finite"),
        ([[1.0, 2.0, 3.0, np.nan]], "finite"),
    ],
)
def test_scores_are_finite_and_one_for_each_bin(scores: list[list[float]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Term([NUMBER], scores)


def test_the_documented_file_is_one() -> None:
    text = (SOURCE / "engine/docs/models.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    terms = msgspec.json.decode(example, type=Terms)
    columns = {"tenure_months": np.array([3.5, np.nan]), "plan": np.array([1.0, 9.0])}
    assert terms.contributions(columns)[:, :, 0].tolist() == [[0.1, 0.4], [0, 0]]
