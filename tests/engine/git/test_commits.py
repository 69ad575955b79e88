"""Commits, made without touching index and working tree."""

import subprocess
from pathlib import Path

import pytest

from mlops.git import commits
from mlops.git.repository import Repository


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.rstrip("\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "deploy/e").mkdir(parents=True)
    (tmp_path / "deploy/e/one").write_text("old\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "Old")
    return tmp_path


def test_a_commit_is_made_beside_the_working_tree(root: Path) -> None:
    repository = Repository(root)
    head = repository.commit_of("HEAD")
    files = {"deploy/e/one": "new\n", "deploy/two": "größe\n"}
    new = commits.made(repository, head, files, "A\n\nb\n")
    assert repository.commit_of("HEAD") == head
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "show", f"{new}:deploy/e/one") == "new"
    assert git(root, "show", f"{new}:deploy/two") == "größe"
    assert git(root, "log", "-1", "--format=%P %B", new) == f"{head} A\n\nb"
    assert set(repository.blobs(new, ["deploy/e/one", "deploy/two", "absent"])) == {
        "deploy/e/one",
        "deploy/two",
    }
    inner = commits.made(Repository(root / "deploy"), head, {"e/one": "new\n"}, "A")
    assert git(root, "diff", "--name-only", head, inner) == "deploy/e/one"
