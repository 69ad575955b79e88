from html.parser import HTMLParser
from typing import Any

import pytest

from mlops.evaluation.evaluate import evaluation
from mlops.evaluation.report.page import page

VOID = {"meta", "br"}
TITLES = {
    "binary": ["ROC curve", "Precision and recall", "Calibration", "Confusion matrix"],
    "regression": ["Predicted and actual", "Residuals"],
}
TITLES["multiclass"] = TITLES["binary"]


class Reader(HTMLParser):
    """Collects the tags, and fails where they do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def html(case: Any) -> str:
    found = evaluation(*case)
    training = {"rows": 1600, "runtime": "onnx", "cross_validation": {"r2": {"mean": 1, "std": 0}}}
    return page(
        case.settings,
        found.measurement,
        case.target,
        found.predictions,
        found.importances,
        training,
    )


def test_the_page_is_whole_and_reaches_for_nothing(html: str) -> None:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    assert not {"script", "link", "img", "iframe"} & set(reader.tags)
    assert reader.links == []
    assert "url(" not in html
    assert "nan" not in html


def test_the_page_shows_what_its_task_has(case: Any, html: str) -> None:
    for title in (*TITLES[case.settings.data.task], "Permutation importance"):
        assert f"<h3>{title}</h3>" in html
    assert "400 rows that it was not trained on" in html
    assert "1,600 trained on" in html
    assert "100 groups of household" in html
    assert "Too small to judge, below 20 rows: rare=seldom (5)" in html


def test_the_page_shows_what_a_search_found(binary_case: Any) -> None:
    found = evaluation(*binary_case)
    asked = (
        binary_case.settings,
        found.measurement,
        binary_case.target,
        found.predictions,
        found.importances,
    )
    primary = binary_case.settings.evaluation.primary
    search = {"trials": 40, "pruned": 12, primary: 0.8125, "folds": 3}
    shown = page(*asked, {"parameters": {"C": 0.06251234}, "search": search})
    assert "40 trials on 3 folds, 12 ended early, the best 0.812" in shown
    assert ">0.06251<" in shown
    del search["pruned"]  # as before there was any
    assert "40 trials on 3 folds, the best" in page(*asked, {"parameters": {}, "search": search})
    assert "trials on" not in page(*asked, {"parameters": {}, "search": None})


def test_the_same_measurement_gives_the_same_page(binary_case: Any) -> None:
    found = evaluation(*binary_case)
    pages = {
        page(
            binary_case.settings,
            found.measurement,
            binary_case.target,
            found.predictions,
            found.importances,
            {},
        )
        for _ in range(2)
    }
    assert len(pages) == 1
