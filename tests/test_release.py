"""Releases of the template, in clones of it: one that is tagged, and what is refused."""

import datetime
import re
import shutil
from pathlib import Path

import pytest
import release
from baked import ROOT, Project, clean_environment

VERSION = "0.9.0"
NOTES = "### Upgrading\n- Nothing to do.\n"
CHECK = "check: $(INSTALLED)"


@pytest.fixture(scope="module")
def original(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an origin and a clone of it, in which `make check` is quick and says so."""
    folder = tmp_path_factory.mktemp("original")
    at = Project(folder, clean_environment(folder / "home"))
    at.run("git", "clone", "--quiet", "--bare", str(template), "origin.git")
    at.run("git", "clone", "--quiet", "origin.git", "clone")
    made = Project(folder / "clone", at.environment)
    makefile = (made.path / "Makefile").read_text()
    start, end = makefile.index(CHECK), makefile.index("\nformat:")
    quick = "check:  ## quick\n\t@mkdir -p build && touch build/checked && test ! -e build/broken\n"
    (made.path / "Makefile").write_text(makefile[:start] + quick + makefile[end:])
    changes = made.path / "CHANGELOG.md"
    text = re.sub(r"### Upgrading\n(- .*\n(  .*\n)*)+", "", changes.read_text())
    changes.write_text(text.replace("## Unreleased\n", f"## Unreleased\n{NOTES}", 1))
    unread = ("tests", "benchmarks", "docs", "requirements.txt")  # of a release
    made.run("git", "rm", "-r", "--quiet", *unread)
    made.commit("A check that is quick, and fewer files")
    made.run("git", "remote", "set-url", "origin", "../origin.git")
    made.run("git", "push", "--quiet", "origin", "main")
    return folder


@pytest.fixture
def clone(original: Path, tmp_path: Path) -> Project:
    """Both of these, for one test."""
    shutil.copytree(original, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Project(tmp_path / "clone", clean_environment(tmp_path / "home"))


@pytest.fixture
def stated(clone: Project) -> Project:
    """A clone whose main states a version."""
    clone.run("make", "version", f"VERSION={VERSION}")
    clone.commit(f"Version {VERSION}")
    return clone


def released(clone: Project, version: str = VERSION) -> str:
    """Try a release; return what it says."""
    return clone.run("make", "release", f"VERSION={version}", check=False).stdout


def tags(clone: Project) -> list[str]:
    return clone.run("git", "tag", "--list").stdout.split()


def test_a_version_is_stated_and_tagged_here_alone(stated: Project) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    assert f"## Unreleased\n\n## {VERSION} - {today}\n" in (stated.path / "CHANGELOG.md").read_text(
        encoding="utf-8"
    )
    said = released(stated)
    assert f"git push --atomic origin main v{VERSION}" in said
    assert (stated.path / "build/checked").exists()
    assert stated.run("git", "cat-file", "-t", f"v{VERSION}").stdout == "tag\n"
    assert "### Upgrading\n- Nothing to do." in stated.run("git", "cat-file", "-p", "v0.9.0").stdout
    assert "v0.9.0" not in stated.run("git", "ls-remote", "origin").stdout
    stated.run("git", "push", "--quiet", "--atomic", "origin", "main", f"v{VERSION}")
    assert "v0.9.0" in stated.run("git", "ls-remote", "origin").stdout
    assert "v0.9.0 is released already: give a later version" in released(stated)


def test_a_commit_that_was_tested_is_not_checked_again(stated: Project) -> None:
    (stated.path / "build").mkdir()
    tested = stated.path / "build/tested"
    tested.write_text(stated.run("git", "rev-parse", "HEAD~1").stdout)
    (stated.path / "build/broken").touch()
    assert "this commit does not pass: mend what was printed" in released(stated)
    assert tags(stated) == []
    tested.write_text(stated.run("git", "rev-parse", "HEAD").stdout)
    released(stated)
    assert tags(stated) == [f"v{VERSION}"]


def edited(clone: Project, path: str | Path, old: str, new: str) -> None:
    """Commit another text of a file."""
    text = (clone.path / path).read_text(encoding="utf-8")
    assert old in text
    (clone.path / path).write_text(text.replace(old, new, 1), encoding="utf-8")
    clone.commit("Edit")


def test_what_is_not_stated_everywhere_is_refused(clone: Project) -> None:
    """And the command that the refusal names mends it."""
    said = released(clone)
    assert f"VERSION says 0.2.0: run `make version VERSION={VERSION}`" in said
    clone.run("make", "version", f"VERSION={VERSION}")
    clone.commit("Version")
    for path in release.REPEATED:
        edited(clone, path, f'version = "{VERSION}"', 'version = "0.2.0"')
        assert f"{path} says 0.2.0: run `make version VERSION={VERSION}`" in released(clone)
        edited(clone, path, 'version = "0.2.0"', f'version = "{VERSION}"')
    assert tags(clone) == []
    released(clone)
    assert tags(clone) == [f"v{VERSION}"]


def test_a_release_says_what_to_do_about_it(clone: Project) -> None:
    before = clone.run("git", "status", "--porcelain").stdout
    edited(clone, "CHANGELOG.md", NOTES, "### Upgrading\n")
    told = ("make", "version", f"VERSION={VERSION}")
    assert 'give it a line below "### Upgrading"' in clone.run(*told, check=False).stdout
    assert clone.run("git", "status", "--porcelain").stdout == before  # nothing is half written
    edited(clone, "CHANGELOG.md", "### Upgrading\n", NOTES)
    clone.run(*told)
    clone.commit("Version")
    edited(clone, "CHANGELOG.md", NOTES, "")
    assert 'give it a line below "### Upgrading"' in released(clone)
    edited(clone, "CHANGELOG.md", f"## {VERSION} - ", "## 0.8.9 - ")
    assert "the newest release in CHANGELOG.md is '0.8.9 - " in released(clone)
    assert tags(clone) == []


def test_another_commit_than_that_of_main_is_refused(stated: Project) -> None:
    """And so is a tree with something uncommitted in it; the remedies mend each."""
    for said, *damage in (
        ("other is checked out: `git switch main`", "git", "switch", "--create", "other"),
        ("a detached HEAD is checked out: `git switch main`", "git", "checkout", "--detach"),
        ("the tree is not as committed (?? new): commit it, or `git stash", "touch", "new"),
        ("the tree is not as committed (M README.md)", "truncate", "--size=9", "README.md"),
    ):
        stated.run(*damage)
        assert said in released(stated)
        assert tags(stated) == []
        stated.run("git", "stash", "--include-untracked")
        stated.run("git", "switch", "--quiet", "main")
    released(stated)
    assert tags(stated) == [f"v{VERSION}"]


def test_a_main_that_is_behind_is_refused(stated: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "other", stated.environment)
    stated.run("git", "push", "--quiet", "origin", "main")
    stated.run("git", "clone", "--quiet", str(tmp_path / "origin.git"), str(other.path))
    edited(other, "README.md", "#", "##")
    other.run("git", "push", "--quiet", "origin", "main")
    stated.run("git", "fetch", "--quiet")
    assert "main lacks commits of origin: `git pull --ff-only`" in released(stated)
    stated.run("git", "pull", "--quiet", "--ff-only")
    released(stated)
    assert tags(stated) == [f"v{VERSION}"]


def test_an_engine_with_another_digest_is_refused(stated: Project) -> None:
    edited(stated, release.DIGEST, "", "0")
    assert "engine/DIGEST is that of another engine: `make digest`" in released(stated)
    assert tags(stated) == []


def test_what_is_no_later_version_is_refused(clone: Project) -> None:
    for version in ("", "1", "v1.0.0", "1.0.0rc1", "01.0.0", "0.1.0"):
        said = clone.run("make", "version", f"VERSION={version}", check=False).stdout
        assert "give three numbers" in said or "give a later version" in said, version
    assert clone.run("git", "status", "--porcelain").stdout == ""


def test_the_version_stands_alike_everywhere_and_each_release_says_how_to_upgrade() -> None:
    texts = release.Template(ROOT).texts()
    assert len(set(release.stated(texts).values())) == 1
    assert next(iter(release.sections(texts[release.CHANGES]))) == "Unreleased"
    for heading, text in release.sections(texts[release.CHANGES]).items():
        assert heading == "Unreleased" or release.UPGRADING.search(text), heading


def test_what_make_test_notes_is_the_commit_that_it_began_with(clone: Project) -> None:
    """With a `pytest` that passes, fails, or sees another commit come."""
    place = clone.path.parent / "bin"
    place.mkdir()
    own = {**clone.environment, "PATH": f"{place}:{clone.environment['PATH']}"}
    makefile = (clone.path / "Makefile").read_text()
    (clone.path / "Makefile").write_text(makefile.replace("test: check $(INSTALLED)", "test:"))
    clone.commit("No installation")
    tested, begun = clone.path / "build/tested", clone.run("git", "rev-parse", "HEAD").stdout
    for script, expected in (
        ("exit 0", begun),
        ("exit 1", ""),
        ("git commit --quiet --allow-empty -m more", begun),
        ("touch new", ""),
    ):
        (place / "pytest").write_text(f"#!/bin/sh\n{script}\n")
        (place / "pytest").chmod(0o755)
        Project(clone.path, own).run("make", "test", check=False)
        assert (tested.read_text() if tested.exists() else "") == expected, script
    shutil.rmtree(place)
