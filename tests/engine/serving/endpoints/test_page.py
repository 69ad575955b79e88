import re
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pytest

from mlops.serving.endpoints.page import pages

PAGES = ("/", "/docs")


class Markup(HTMLParser):
    """Collects the elements of a page, and how the texts of scripts and styles begin."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements[-1:] and self.elements[-1][0] in ("script", "style"):
            self.inline.append(data.strip())


def test_every_file_is_in_the_package() -> None:
    there = {file.name for file in files("mlops.serving").joinpath("page").iterdir()}
    assert there == set(pages())
    assert {"index.html", "page.css", "page.js"} <= there


@pytest.mark.parametrize("path", PAGES)
def test_page_runs_only_its_own_files(client: Any, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"
    policy = response.headers["content-security-policy"]
    for rule in ("default-src 'self'", "script-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    page = Markup(response.text)
    assert not any(page.inline)
    for _, attributes in page.elements:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert not re.match(r"/|[a-z]+:", attributes.get(name) or "")


@pytest.mark.parametrize("path", PAGES)
def test_page_finds_its_files_where_it_looks_for_them(client: Any, path: str) -> None:
    index = Markup(client.get(path).text)
    named = [
        a.get("src") or a.get("href") for tag, a in index.elements if tag in ("script", "link")
    ]
    assert len(named) == 3
    for name in named:
        assert client.get(f"/{name}").status_code == 200
    for name, file in pages().items():
        imported = re.findall(rb'from "\./([^"]+)"', file.content)
        assert {each.decode() for each in imported} <= set(pages()), name


@pytest.mark.parametrize("path", PAGES)
def test_labels_and_landmarks(client: Any, path: str) -> None:
    page = Markup(client.get(path).text)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("h1") == tags.count("main") == 1
    assert ("html", {"lang": "en"}) in page.elements
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        for name in ("for", "aria-labelledby", "aria-describedby"):
            assert attributes.get(name) in (None, *ids)
        if tag == "input":
            assert ("label", {"for": attributes["id"]}) in page.elements
    if path == "/":
        assert any(attributes.get("aria-live") == "polite" for _, attributes in page.elements)


def test_no_file_asks_another_server() -> None:
    """Where there is no network, and where it must not be known who looks."""
    for name, file in pages().items():
        text = file.content.decode().replace("http://www.w3.org/", "")
        assert not re.search(r"\b(https?:)?//[a-z]", re.sub(r"(?m)(^|\s)// .*", "", text)), name


@pytest.mark.parametrize("name", ["page.css", "page.js", "icon.svg"])
def test_files_are_asked_again_and_sent_once(client: Any, name: str) -> None:
    first = client.get(f"/page/{name}")
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["x-content-type-options"] == "nosniff"
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = client.get(f"/page/{name}", headers={"if-none-match": known})
        assert again.status_code == 304
        assert again.content == b""
    for other in ('"other"', tag[:-2], ""):
        again = client.get(f"/page/{name}", headers={"if-none-match": other})
        assert again.status_code == 200


@pytest.mark.parametrize("name", ["absent.js", "..%2fapp.py", "%2e%2e/app.py", "__init__.py"])
def test_nothing_else_is_sent(client: Any, name: str) -> None:
    assert client.get(f"/page/{name}").status_code == 404


def test_page_needs_no_key_and_holds_nothing(started: Callable[..., Any]) -> None:
    client = started(api_key="correct horse battery")
    assert client.get("/").status_code == 200
    assert client.get("/page/page.js").status_code == 200
    for path in ("/model", "/metrics"):
        assert client.get(path).status_code == 401
        key = {"x-api-key": "correct horse battery"}
        assert client.get(path, headers=key).status_code == 200
