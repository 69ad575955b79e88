"""The owner's gate.html is rendered in place of ours, and its errors are named."""

import re
from pathlib import Path
from typing import Any

import pytest
from baked import SOURCE

from mlops.evaluation.report.rendering import ReportError
from mlops.gate.page import page


@pytest.fixture
def owners(tmp_path: Path) -> Path:
    folder = tmp_path / "src/policy/templates"
    folder.mkdir(parents=True)
    return folder


def test_the_documented_example_renders(content: dict[str, Any], owners: Path) -> None:
    docs = (SOURCE / "engine/docs/reports.md").read_text()
    (text,) = re.findall(r"`src/policy/templates/gate.html`[^`]*```html\n(.*?)```", docs, re.DOTALL)
    (owners / "gate.html").write_text(text)
    html = page(content, owners)
    assert "Before you approve" in html
    assert "Nothing speaks against it" in html or "<h3>Why</h3>" in html


def test_what_a_branch_controls_stays_text_there_too(
    content: dict[str, Any], hostile: str, owners: Path
) -> None:
    extra = "{% block extra %}{% for r in report.reasons %}{{ r.reason }}{% endfor %}{% endblock %}"
    (owners / "gate.html").write_text('{% extends "engine/gate.html" %}' + extra)
    assert "<script" not in page(content, owners)


def test_an_error_names_file_and_line(content: dict[str, Any], owners: Path) -> None:
    (owners / "gate.html").write_text('{% extends "engine/gate.html" %}\n{% block x %}{{ y }}')
    with pytest.raises(ReportError, match=r"^src/policy/templates/gate.html:2 cannot be rendered"):
        page(content, owners)
