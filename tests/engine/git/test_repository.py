import subprocess
from pathlib import Path

import pytest

from mlops.git.repository import (
    RepositoryError,
    commit,
    commit_of,
    extract,
    is_clean,
    text_at,
)


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    return tmp_path


def put(root: Path, name: str, text: str = "a,b\n") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return Path(name)


def test_is_clean_only_with_what_git_has(root: Path) -> None:
    named = put(root, "kept.txt")
    assert commit(root=root) is None
    assert not is_clean([named], root)
    git(root, "add", "kept.txt")
    git(root, "commit", "-qm", "x")
    found = commit(root=root)
    assert found is not None
    assert len(found) == 40
    assert is_clean([named], root)
    assert not is_clean([named, put(root, "new.txt")], root)
    assert not is_clean(root=root)
    put(root, "kept.txt", "changed\n")
    assert not is_clean([named], root)


def test_outside_git_nothing_is_clean(tmp_path: Path) -> None:
    assert commit(root=tmp_path) is None
    assert not is_clean(root=tmp_path)


@pytest.fixture
def part(root: Path) -> Path:
    """A project that is a folder of a repository, with two commits."""
    place = root / "part"
    for text in ("old\n", "new\n"):
        put(root, "part/src/code.py", text)
        put(root, "part/params.yaml", text)
        put(root, "outside.txt", text)
        git(root, "add", ".")
        git(root, "commit", "-qm", "x")
    return place


def test_a_commit_is_read_without_touching_the_tree(part: Path, tmp_path: Path) -> None:
    before = commit_of("HEAD~1", part)
    assert text_at(before, "src/code.py", part) == "old\n"
    assert text_at(before, "src/absent.py", part) is None
    out = tmp_path / "out"
    extract(before, ["src", "conf", "params.yaml"], out, part)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files == {"src/code.py", "params.yaml"}
    assert (out / "src/code.py").read_text() == "old\n"
    assert (part / "src/code.py").read_text() == "new\n"
    extract(before, ["conf"], tmp_path / "none", part)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("ref", ["absent", "", "--all", "HEAD:part"])
def test_what_names_no_commit_is_refused(part: Path, ref: str) -> None:
    with pytest.raises(RepositoryError, match="git knows no commit"):
        commit_of(ref, part)
