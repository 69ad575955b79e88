"""The page is whole, reaches for nothing, and shows what matters first, however much there is."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mlops.bundle.verdict import sealed
from mlops.evaluation.report.rendering import ReportError
from mlops.monitoring.page import MOST, page

Content = dict[str, Any]
VOID = {"meta", "br"}
LIMIT = 2_000_000


class Reader(HTMLParser):
    """Collects tags and text, and fails where tags do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
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


def renamed(content: Content, name: str, by: str) -> Content:
    told = json.dumps(content).replace(json.dumps(name)[1:-1], json.dumps(by)[1:-1])
    return dict(json.loads(told))


def test_what_to_do_comes_first_then_what_was_found(content: Content) -> None:
    text = read(page(content)).text
    order = ["What to do next", "Alerts", "Notes", "Performance", "Features", "Predictions"]
    places = [text.index(f"{head}\n") for head in [*order, "Not judged", "Rules"]]
    assert places == sorted(places)
    assert "no outcome is 30 days old" in text
    assert "Rules: 1 alert, 1 note, 0 quiet, 1 not judged" in text


def test_a_feature_says_what_was_found_and_shades_its_days(content: Content) -> None:
    html = page(content)
    first, second, third, *_ = html.split("<figure class")[3:]  # behind two of performance
    assert ">monthly_fee</h3>" in first
    assert "of-alert" in first
    assert 'class="window"' in first
    assert "of-note" in second
    assert 'class="window"' in second
    assert "badge" not in third
    assert 'class="window"' not in third
    shaded = [
        re.findall(r'class="window"[^>]* width="([0-9.]+)"', one)[0] for one in (first, second)
    ]
    assert float(shaded[1]) > 5 * float(shaded[0])  # a week, a day


def test_names_stay_names(content: Content, hostile: str) -> None:
    for name in ("monthly_fee", "plan", "basic", "region=north", "churn"):
        html = page(renamed(content, name, hostile))
        reader = read(html)
        assert not {"script", "link", "img", "a", "iframe"} & set(reader.tags)
        assert not {"src", "href", "onclick"} & reader.attributes
        assert hostile in reader.text


def test_two_hundred_features_of_ninety_days_can_be_read(reported: Callable[..., Content]) -> None:
    content = reported(200, 90)
    content["notes"] = [
        {**content["notes"][0], "part": about["name"]} for about in content["features"][1:120]
    ]
    html = page(content)
    reader = read(html)
    assert len(html.encode()) < LIMIT
    assert reader.tags.count("figure") == MOST + 2 + 1  # performance, the prediction
    assert f"{200 - MOST} more features" in reader.text
    assert "and 79 more" in reader.text
    assert "kind_64" in reader.text


def test_years_of_days_are_shown_by_their_latest(reported: Callable[..., Content]) -> None:
    html = page(reported(24, 900))
    assert len(html.encode()) < LIMIT
    assert "2026-11-27" in html
    assert "2026-07-01, 714 rows" not in html


def empty(content: Content) -> Content:
    """A report of a log without a row of the model."""
    log = {"rows": 0, "days": 0, "first": None, "last": None, "outcomes": 0}
    keys = ("alerts", "notes", "features", "predictions", "performance", "next")
    model = {"sha256": None, "since": None}
    content |= {"verdict": "not judged", "log": log, "model": model, "estimated": None}
    return content | {key: [] for key in keys}


@pytest.mark.parametrize(
    "change",
    [
        empty,
        lambda content: renamed(content, "2026-11-26", "2026-11-27"),  # a day twice
        lambda content: [about["days"].clear() for about in content["features"]] and content,
        lambda content: (
            [day.update(low=None, median=None, high=None) for day in content["features"][0]["days"]]
            and content
        ),
        lambda content: content["features"][0]["reference"].update(low=3.0, high=3.0) or content,
        lambda content: (
            content["features"][0]["days"][3].update(high=3.4e38, low=-3.4e38) or content
        ),
        lambda content: (
            content["performance"][0]["sequence"][-1].update(value=None, low=None, high=None)
            or content
        ),
        lambda content: content["performance"][0].update(metric="of_the_owner") or content,
        lambda content: content["performance"][0].update(reference=None, margin=None) or content,
        lambda content: content["performance"][0]["sequence"].clear() or content,
    ],
)
def test_what_is_not_there_is_no_failure(content: Content, change: Any) -> None:
    reader = read(page(change(content)))
    assert "NaN" not in reader.text
    assert "None" not in reader.text


def test_a_single_day_is_drawn(reported: Callable[..., Content]) -> None:
    assert "nan" not in page(reported(6, 1))


def test_no_line_is_drawn_over_days_without_rows(content: Content) -> None:
    content["features"] = content["features"][:1]
    whole = page(content).count('class="line s0"')
    del content["features"][0]["days"][20:30]
    assert page(content).count('class="line s0"') == whole + 1


def test_an_owner_has_a_page_of_his_own(content: Content, tmp_path: Path) -> None:
    extra = "{% block extra %}{{ report.name }} is ours{% endblock %}"
    (tmp_path / "monitor.html").write_text('{% extends "engine/monitor.html" %}' + extra)
    assert "churn is ours" in page(content, tmp_path)
    (tmp_path / "monitor.html").write_text('{% extends "engine/monitor.html" %}\n{{ nothing }')
    with pytest.raises(ReportError, match=r"monitor\.html:2 cannot be rendered"):
        page(content, tmp_path)


def test_a_seal_is_left_as_it_is(content: Content) -> None:
    page(content)
    assert sealed(content) == content


def test_a_day_without_rows_has_no_labels(content: Content) -> None:
    [plan] = [about for about in content["features"] if about["name"] == "plan"]
    content["features"] = [plan]
    whole = page(content)
    assert "no declared label" not in whole
    plan["days"][20] |= {"rows": 0, "missing": None, "shares": [0.0, 0.0, 0.0]}
    html = page(content)
    assert "no declared label" not in html
    assert html.count('class="fill s0"') == whole.count('class="fill s0"') + 1  # broken there
    plan["reference"]["shares"] = [0.0, 0.0, 0.0]
    assert "no declared label" not in page(content)


@pytest.mark.parametrize(
    ("metric", "bound"), [("log_loss", 0.43), ("squared_error", 0.43), ("roc_auc", 0.39)]
)
def test_the_margin_is_on_the_side_where_it_is_worse(
    content: Content, metric: str, bound: float
) -> None:
    content["performance"][0]["metric"] = metric
    assert f"margin: {bound:.3f}" in page(content).split("<figure class")[1]


def test_a_picture_says_from_when_its_mean_is_and_of_which_slice(content: Content) -> None:
    html = page(content)
    assert html.count("from the first day up to each, where an alert may be of") == 2
    assert ": region=north</h3>" in html
    assert "mature outcomes; judged" in html
