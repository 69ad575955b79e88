"""What the template generates, for every kind of answer."""

import fnmatch
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import RENDERED, ROOT, SOURCE, files
from configobj import ConfigObj
from conftest import Bake

QUESTIONS = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
HOSTILE = (
    'said "yes"',
    "it's",
    "ends in a backslash\\",
    "\\",
    '"""',
    "'''",
    "a: b # c, [d] {e} & *f !g |h >i %j @k",
    "$(touch pwned) `touch pwned` ; touch pwned",
    "${HOME} $HOME $$ %(x)s",
    "<script>alert(1)</script> &amp;",
    "naïve 東京 Ελλάδα",
    "🚲 👩‍🔬",
    "-",
    "null",
    "x" * 2000,
)
RECORD = ".template.json"
BRACES = ("{{ 7 * 7 }}", "{% if %}", "{# no #}", "{{ cookiecutter }}", "}}{{", "{% raw %}")


def pyproject(path: Path) -> dict[str, Any]:
    """Return a project's parsed pyproject.toml."""
    return tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8"))


def remote(path: Path) -> str:
    """Return the address of a project's DVC remote, read as DVC reads it."""
    return str(ConfigObj(str(path / ".dvc/config"))['remote "storage"']["url"])


def documents(text: str) -> list[Any]:
    """Return the documents of a YAML file: one, or what a cluster is told at once."""
    return list(yaml.safe_load_all(text))


def unparsable(folder: Path) -> list[str]:
    """Name the YAML, TOML and JSON files of a folder that their formats do not allow."""
    found = []
    for path in sorted(folder.rglob("*")):
        parse: Any = {".yaml": documents, ".toml": tomllib.loads, ".json": json.loads}.get(
            path.suffix
        )
        try:
            if parse:
                parse(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, ValueError):
            found.append(path.name)
    return found


def control_flow(folder: Path) -> list[str]:
    """Name the files in which cookiecutter would decide something, or would have to."""
    found = []
    for name, path in files(folder).items():
        text = path.read_text(encoding="utf-8")
        if ("{%" if name in RENDERED else "{{ cookiecutter") in text:
            found.append(name)
    return found


def typed(template: Path, tmp_path: Path, isolated: Path, *answers: str) -> Path:
    """Generate a project by typing answers at the prompts."""
    done = subprocess.run(
        [sys.executable, "-m", "cookiecutter", "--config-file", isolated, "-o", tmp_path, template],
        input="".join(f"{answer}\n" for answer in answers),
        text=True,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*/pyproject.toml")
    return path.parent


def test_only_the_files_that_name_the_project_are_rendered(bake: Bake, template: Path) -> None:
    path = bake()
    changed = {
        name
        for name, source in files(template / SOURCE.name).items()
        if (path / name).read_bytes() != source.read_bytes()
    }
    assert changed == RENDERED


def test_a_copied_pattern_never_takes_a_folder() -> None:
    folders = {parent for name in files(SOURCE) for parent in Path(name).parents}
    for pattern in QUESTIONS["_copy_without_render"]:
        assert not fnmatch.filter(map(str, folders), pattern)


def test_no_trace_of_the_template_is_left(bake: Bake) -> None:
    for path in bake().rglob("*"):
        assert "cookiecutter" not in path.name
        if path.name == RECORD:
            continue  # which says where the project comes from
        assert not path.is_file() or b"cookiecutter" not in path.read_bytes(), path


def test_modes_are_kept(bake: Bake, template: Path) -> None:
    path = bake()
    for name, source in files(template / SOURCE.name).items():
        assert os.access(path / name, os.X_OK) == os.access(source, os.X_OK), name


def test_every_format_parses(bake: Bake) -> None:
    assert unparsable(bake()) == []
    assert unparsable(SOURCE) == []


def test_a_file_that_does_not_parse_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.toml").write_text("a = ")
    (tmp_path / "c.yaml").write_text("a: 1")
    assert unparsable(tmp_path) == ["a.yaml", "b.toml"]


def test_cookiecutter_decides_nothing() -> None:
    assert control_flow(SOURCE) == []


def test_a_decision_is_named(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "README.md").write_text("{% if x %}{% endif %}")
    (tmp_path / "train.py").write_text('NAME = "{{ cookiecutter.project_slug }}"')
    (tmp_path / "report.html").write_text("{% if x %}{% endif %}")
    assert control_flow(tmp_path) == ["README.md", "train.py"]


def test_few_questions_and_each_has_a_label() -> None:
    asked = [name for name in QUESTIONS if not name.startswith("_")]
    assert len(asked) <= 6
    assert set(QUESTIONS["__prompts__"]) == set(asked)


def test_default_answers(bake: Bake) -> None:
    path = bake()
    project = pyproject(path)
    assert path.name == project["project"]["name"] == "customer-churn"
    assert project["tool"]["mlops"]["image"] == "ghcr.io/acme/customer-churn"
    assert remote(path) == "../../customer-churn-storage"


@pytest.mark.parametrize("name", ["Vélo à Paris", "東京", "A", "Étude no. 7!", "  spaced  "])
def test_the_slug_follows_from_the_name(bake: Bake, name: str) -> None:
    path = bake(project_name=name)
    assert path.name.isascii()
    assert pyproject(path)["tool"]["mlops"]["title"] == name


@pytest.mark.parametrize("slug", ["a", "a1", "two-words", "two_words", "x" * 60, "class-model"])
def test_slugs(bake: Bake, slug: str) -> None:
    project = pyproject(bake(project_slug=slug))
    assert project["project"]["name"] == slug
    assert project["tool"]["mlops"]["image"].endswith(f"/{slug}")


@pytest.mark.parametrize("owner", ["acme", "Acme-Data", "a1"])
def test_owners(bake: Bake, owner: str) -> None:
    about = pyproject(bake(owner=owner))["tool"]["mlops"]
    assert about["owner"] == owner
    assert about["image"].startswith(f"ghcr.io/{owner.lower()}/")


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/path",
        "gs://bucket",
        "azure://container/path",
        "ssh://user@host:22/srv/data",
        "https://host/path",
        "/srv/data",
        "../../a folder/été",
        "~/data",
    ],
)
def test_remotes(bake: Bake, url: str) -> None:
    assert remote(bake(dvc_remote=url)) == url


@pytest.mark.parametrize("registry", ["ghcr.io/acme", "localhost:5000", "r.example.com:5000/a/b_c"])
def test_registries(bake: Bake, registry: str) -> None:
    about = pyproject(bake(container_registry=registry))["tool"]["mlops"]
    assert about["image"] == f"{registry}/customer-churn"


@pytest.mark.parametrize("text", ["", *HOSTILE], ids=range(len(HOSTILE) + 1))
def test_text_arrives_as_given(bake: Bake, text: str) -> None:
    path = bake(project_name=text or "x", project_slug="x", description=text)
    project = pyproject(path)
    assert project["project"]["description"] == text
    assert project["tool"]["mlops"]["title"] == (text or "x")
    assert text in (path / "README.md").read_text(encoding="utf-8")
    assert not list(path.parent.rglob("pwned"))


@pytest.mark.parametrize("text", BRACES)
def test_typed_braces_are_text(template: Path, tmp_path: Path, isolated: Path, text: str) -> None:
    path = typed(template, tmp_path, isolated, text, "braces", text, "", "", "")
    project = pyproject(path)
    assert project["project"]["description"] == project["tool"]["mlops"]["title"] == text
    assert text in (path / "README.md").read_text(encoding="utf-8")


def test_bakes_from_a_repository(bake: Bake, template: Path) -> None:
    path = bake(f"file://{template}", project_slug="cloned")
    expected = {*files(template / SOURCE.name), RECORD}
    assert {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()} == expected
