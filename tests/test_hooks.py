"""Answers that no working project comes of are refused in a sentence, and leave nothing behind."""

import ast
import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from baked import ROOT, SOURCE
from conftest import Bake
from cookiecutter.exceptions import FailedHookException

HOOKS = sorted((ROOT / "hooks").glob("*.py"))
REFUSED = {
    "project_name": ["", "   ", "two\nlines", "bell\a", "nul\0", "next\x85line", "line\u2028end"],
    "project_slug": [
        "../../x",
        "..",
        ".",
        "",
        "a/b",
        "a\\b",
        "/tmp/x",
        "~",
        "-x",
        "x-",
        "x--y",
        "1st",
        "Upper",
        "a b",
        "a.b",
        'a"b',
        "a\nb",
        "é",
        "x" * 61,
        "x" * 5000,
        "class",
        "import",
        "mlops",
        "mlflow",
        "dvc",
        "pandas",
        "sklearn",
        "scikit-learn",
        "scikit_learn",
        "dvc-s3",
        "uv",
    ],
    "description": ["two\nlines", "tab\t", "carriage\r", "escape\x1b[31m"],
    "owner": ["", "two words", "a/b", "-a", 'a"b', "a\\", "a\nb"],
    "dvc_remote": [
        "",
        " a",
        'a"b',
        "a#b",
        "a,b",
        "a%b",
        "a\\b",
        "ftp://a",
        "s3://a gs://b",
        "a\nb",
    ],
    "container_registry": ["", "Ghcr.io/x", "https://ghcr.io", "a b", "a/", 'a"', "a\nb", "a:b"],
}


@pytest.mark.parametrize(
    ("question", "answer"),
    [(question, answer) for question, answers in REFUSED.items() for answer in answers],
    ids=lambda value: repr(value[:24]),
)
def test_refused(
    bake: Bake,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    question: str,
    answer: str,
) -> None:
    outside = set(tmp_path.parent.iterdir()), set(tmp_path.parent.parent.iterdir())
    slug = {} if question == "project_slug" else {"project_slug": "x"}
    with pytest.raises(FailedHookException):
        bake(**{**slug, question: answer})
    said, follows, *_ = capfd.readouterr().err.splitlines()
    assert follows.endswith("what follows is cookiecutter's report of that refusal.")
    assert question in said
    assert ": " in said
    assert said.endswith(".")
    assert list(tmp_path.iterdir()) == []
    assert outside == (set(tmp_path.parent.iterdir()), set(tmp_path.parent.parent.iterdir()))


@pytest.mark.parametrize("hook", HOOKS, ids=lambda path: path.name)
def test_hooks_are_python_before_rendering_and_short(hook: Path) -> None:
    source = hook.read_text(encoding="utf-8")
    ast.parse(source)
    assert len(source.splitlines()) < 60


def test_an_existing_folder_is_left_alone(bake: Bake, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("precious")
    with pytest.raises(Exception, match="already exists"):
        bake(project_slug="mine")
    assert (tmp_path / "mine/file").read_text() == "precious"


def test_every_import_name_of_a_dependency_is_refused() -> None:
    """A dependency that is imported under another name than it is installed under."""
    groups = tomllib.loads((SOURCE / "pyproject.toml").read_text())["dependency-groups"]
    names = {re.split(r"[^\w.-]", need)[0].replace(".", "-") for need in groups["train"]}
    imported = {
        module
        for module, owners in packages_distributions().items()
        if names & {owner.lower().replace("_", "-").replace(".", "-") for owner in owners}
        and module.isidentifier()
        and module.islower()
        and not module.startswith("_")
        and module.replace("_", "-") not in names
    }
    (declared,) = re.findall(r"^IMPORTED = (.*)", HOOKS[1].read_text(), re.MULTILINE)
    assert {name.replace("_", "-") for name in imported} <= set(ast.literal_eval(declared))
