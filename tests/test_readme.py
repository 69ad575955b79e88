"""The commands of the READMEs work as they stand, from a clone."""

import shutil
from pathlib import Path

import pytest
from baked import ROOT, SOURCE, Project, clean_environment, sharing
from sweeps import thorough
from walking import bare, blocks, pipx, walk

DEMO, GENERATE = 0, 1  # the blocks of the template's README


@pytest.fixture
def clone(template: Path, tmp_path: Path) -> Path:
    """A clone of the template, as somebody has it who found it."""
    folder = tmp_path / "cookiecutter-gitops-mlops"
    made = Project(tmp_path, clean_environment(tmp_path / "home"))
    made.run("git", "clone", "--quiet", str(template), str(folder))
    return folder


def readme(clone: Path) -> list[str]:
    return blocks((clone / "README.md").read_text(encoding="utf-8"))


def test_a_project_is_generated_from_a_clone(clone: Path, tmp_path: Path, isolated: Path) -> None:
    """The last command aside, which `test_project.py` and `make demo` run: it takes a minute."""
    project = tmp_path / "customer-churn"
    beside = sharing(project, tmp_path)
    place = pipx(tmp_path, isolated, project)
    path = f"{place}:{beside.environment['PATH']}"
    *commands, last = readme(clone)[GENERATE].splitlines()
    assert last == "dvc repro"
    walk(commands, clone, {**beside.environment, "PATH": path})
    assert beside.run("git", "log", "--format=%s").stdout == "Start\n"
    assert beside.run("dvc", "status").stdout.count("changed deps") > 0


@thorough
def test_the_demo_runs_from_a_clone(clone: Path) -> None:
    demo, test = readme(clone)[DEMO].splitlines()
    assert test.startswith("make test")
    said = walk([demo], clone, clean_environment(clone.parent / "home"))
    assert "On the holdout (95% interval)" in said
    assert (clone / "build/demo/candidate/manifest.json").is_file()
    shutil.rmtree(clone / ".venv")


@pytest.mark.parametrize(
    ("english", "japanese", "language"),
    [
        (SOURCE / "README.md", SOURCE / "README.ja.md", ""),
        (ROOT / "docs/tutorial.md", ROOT / "docs/tutorial.ja.md", "sh"),
    ],
    ids=["readme", "tutorial"],
)
def test_both_languages_have_the_same_commands(
    english: Path, japanese: Path, language: str
) -> None:
    first, second = (
        [bare(block) for block in blocks(path.read_text(encoding="utf-8"), language)]
        for path in (english, japanese)
    )
    assert first
    assert first == second


def test_both_readmes_have_the_same_tree() -> None:
    trees = []
    for name in ("README.md", "README.ja.md"):
        (tree,) = blocks((SOURCE / name).read_text(encoding="utf-8"), "tree")
        trees.append([line.split("  ")[0] for line in tree.splitlines() if line[0] != " "])
    assert trees[0] == trees[1]


def test_no_command_has_a_placeholder() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all("OWNER" not in block and "github.com" not in block for block in blocks(text))


def test_a_block_is_bare_without_its_comments() -> None:
    assert bare("make setup   # now\n# why\nls\n") == "make setup\n\nls\n"
    assert blocks("a\n```sh\nls\n```\n```\npwd\n```\n", "sh") == ["ls\n"]
