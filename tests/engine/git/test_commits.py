"""Commits, read and made without touching index and working tree."""

import subprocess
from pathlib import Path

import pytest

from mlops.git import commits
from mlops.git.repository import RepositoryError, commit_of


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
    head = commit_of("HEAD", root)
    new = commits.made(head, {"deploy/e/one": "new\n", "deploy/two": "größe\n"}, "A\n\nb\n", root)
    assert commit_of("HEAD", root) == head
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "show", f"{new}:deploy/e/one") == "new"
    assert git(root, "show", f"{new}:deploy/two") == "größe"
    assert git(root, "log", "-1", "--format=%P %B", new) == f"{head} A\n\nb"
    assert set(commits.blobs(new, ["deploy/e/one", "deploy/two", "absent"], root)) == {
        "deploy/e/one",
        "deploy/two",
    }
    inner = commits.made(head, {"e/one": "new\n"}, "A", root / "deploy")
    assert git(root, "diff", "--name-only", head, inner) == "deploy/e/one"


def test_a_merge_is_one_step_with_its_own_author(root: Path) -> None:

    git(root, "checkout", "-q", "-b", "branch")
    for text in ("a", "b"):
        (root / "deploy/e/one").write_text(text)
        git(root, "commit", "-q", "-a", "-m", text)
    git(root, "checkout", "-q", "main")
    text = "Merge pull request #3 from x\n\nTitle\n\nApproved-by: A <a@x>\nReviewed-by: B <b@x>"
    git(root, "merge", "-q", "--no-ff", "-m", text, "branch")
    merged, first = commits.changed("HEAD", ["deploy/e/one"], root)
    assert merged.commit == commit_of("HEAD", root)
    assert merged.parents == (first.commit, commit_of("branch", root))
    assert set(merged.approved) == {"A <a@x>", "B <b@x>"}
    assert merged.subject == "Merge pull request #3 from x"
    assert merged.body.startswith("Title")
    assert commits.parent(first.commit, root) is None
    assert commits.line("HEAD", root) == [merged.commit, first.commit]
    assert commits.merge_base("HEAD", "branch", root) == commit_of("branch", root)


def test_histories_without_a_common_commit(root: Path) -> None:
    git(root, "checkout", "-q", "--orphan", "other")
    git(root, "commit", "-q", "-m", "x")
    with pytest.raises(RepositoryError, match="--unshallow"):
        commits.merge_base("main", "other", root)
