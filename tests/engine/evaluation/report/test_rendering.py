"""A template of the owner's stands beside the engine's: what it may do, and how it fails."""

import re
from pathlib import Path
from typing import Any

import pytest
from baked import SOURCE

from mlops.config.settings import load
from mlops.evaluation.evaluate import evaluate, evaluation
from mlops.evaluation.report.page import page
from mlops.evaluation.report.rendering import ReportError, render

DOCS = SOURCE / "engine/docs/reports.md"
EXTENDS = '{% extends "engine/report.html" %}\n'


@pytest.fixture
def owners(tmp_path: Path) -> Path:
    folder = tmp_path / "src/templates"
    folder.mkdir(parents=True)
    return folder


def report(case: Any, owners: Path) -> str:
    found = evaluation(*case)
    shown = (found.measurement, case.target, found.predictions, found.importances)
    return page(case.settings, *shown, {"rows": 1600}, owners)


def test_the_template_that_a_project_starts_with_changes_nothing(
    binary_case: Any, owners: Path
) -> None:
    assert report(binary_case, SOURCE / "src/templates") == report(binary_case, owners)


def test_the_documented_examples_render(case: Any, owners: Path) -> None:
    (whole,) = re.findall(
        r"`src/templates/report.html`[^`]*```html\n(.*?)```", DOCS.read_text(), re.DOTALL
    )
    (owners / "report.html").write_text(whole)
    html = report(case, owners)
    assert "<h2>What it means for us</h2>" in html
    assert "--s0: #0f766e" in html
    assert "Data and experiment" not in html
    assert "Permutation importance" in html


def test_every_block_and_value_that_is_documented_is_there(case: Any, owners: Path) -> None:
    blocks, values = (
        set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
        for table in DOCS.read_text().partition("## The gate")[0].split("| value |")
    )
    declared = re.findall(r"{% block (\w+) %}", _read("layout") + _read("report"))
    assert blocks == set(declared) - {"page"}
    text = "".join(f"<i>{{{{ {name} is defined }}}}</i>" for name in sorted(values))
    (owners / "report.html").write_text(f"{EXTENDS}{{% block extra %}}{text}{{% endblock %}}")
    assert report(case, owners).count("<i>True</i>") == len(values) > 10


def _read(name: str) -> str:
    folder = SOURCE / "engine/src/mlops/evaluation/report/templates"
    return (folder / f"{name}.html").read_text()


def test_what_a_template_is_given_is_escaped(owners: Path) -> None:
    (owners / "own.html").write_text("<p>{{ text }}</p>")
    given = {"text": "<script>alert(1)</script>"}
    assert render("own.html", given, {}, owners) == (
        "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{% block extra %}\n{{ nothing }}\n{% endblock %}",
            "report.html:3 .*'nothing' is undefined",
        ),
        ("{% block extra %}\n{% if %}", "report.html:3 .*Expected an expression"),
        ("{% block extra %}{{ 1 / 0 }}{% endblock %}", "report.html:2 .*ZeroDivisionError"),
        ("{% block extra %}{% include 'x.html' %}{% endblock %}", "report.html:2 .*x.html"),
        ("{% block extra %}{% include '../x.html' %}{% endblock %}", "report.html:2 .*x.html"),
        (
            "{% block extra %}{{ settings.__class__.__mro__ }}{% endblock %}",
            "report.html:2 .*access to attribute '__class__' .* is unsafe",
        ),
        ("{% block extra %}{{ metrics.append(1) }}{% endblock %}", "report.html:2 .*append"),
    ],
)
def test_an_error_in_a_template_is_a_sentence_with_file_and_line(
    binary_case: Any, owners: Path, text: str, said: str
) -> None:
    (owners / "report.html").write_text(EXTENDS + text)
    with pytest.raises(ReportError, match=f"^src/templates/{said}") as error:
        report(binary_case, owners)
    assert "\n" not in str(error.value)


def test_nothing_is_written_where_a_template_fails(
    trained: Path, tmp_path: Path, owners: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (owners / "report.html").write_text(f"{EXTENDS}{{% block extra %}}{{{{ nothing }}}}")
    settings = load(trained / "resolved.yaml")
    given = (settings, trained / "data/prepared/holdout", trained / "model")
    with pytest.raises(ReportError, match=r"report\.html:2"):
        evaluate(*given, tmp_path / "reports")
    assert not (tmp_path / "reports").exists()
    (owners / "report.html").write_text(f"{EXTENDS}{{% block extra %}}Ours{{% endblock %}}")
    evaluate(*given, tmp_path / "reports")
    assert "Ours" in (tmp_path / "reports/report.html").read_text()
