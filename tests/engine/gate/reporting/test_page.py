"""The page is whole, reaches for nothing, and shows what the report holds."""

from html import escape
from html.parser import HTMLParser
from typing import Any

import pytest

from mlops.gate.page import page

VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Collects tags and text, and fails where tags do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def test_the_page_is_whole_and_names_stay_names(content: dict[str, Any], hostile: str) -> None:
    html = page(content)
    reader = read(html)
    assert not {"script", "link", "img", "a", "iframe"} & reader.tags
    assert not {"src", "href", "onclick"} & reader.attributes
    assert hostile in reader.text
    assert escape(hostile) in html


def test_the_page_says_verdict_reasons_and_notes(content: dict[str, Any]) -> None:
    text = read(page(content)).text
    for part in (
        "rejected",
        "judged itself",
        "changes the policy",
        "-0.01 (no interval)",
        "3 files",
    ):
        assert part in text


@pytest.mark.parametrize("slices", [[], "kept"])
def test_a_first_model_has_a_page_too(content: dict[str, Any], slices: Any) -> None:
    content |= {"champion": None, "configuration": None, "data": None, "reasons": []}
    content["slices"] = [{**row} for row in content["slices"] if slices]
    for row in (*content["metrics"], *content["slices"]):
        row.pop("champion")
        row.pop("difference", None)
    text = read(page(content)).text
    assert "first model" in text
    assert "Nothing speaks against it" in text
