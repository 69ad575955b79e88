import subprocess
from pathlib import Path

import pytest

from mlops.git.repository import Repository, RepositoryError


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    return tmp_path


def put(root: Path, name: str, text: str = "a,b\n") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return Path(name)


def test_is_clean_only_with_what_git_has(root: Path) -> None:
    repository = Repository(root)
    named = put(root, "kept.txt")
    assert repository.commit() is None
    assert not repository.is_clean([named])
    git(root, "add", "kept.txt")
    git(root, "commit", "-qm", "x")
    found = repository.commit()
    assert found is not None
    assert len(found) == 40
    assert repository.is_clean([named])
    assert not repository.is_clean([named, put(root, "new.txt")])
    put(root, "kept.txt", "changed\n")
    assert not repository.is_clean([named])


def test_outside_git_nothing_is_clean(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    assert repository.commit() is None
    assert not repository.is_clean([put(tmp_path, "kept.txt")])


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
    repository = Repository(part)
    before = repository.commit_of("HEAD~1")
    assert repository.text_at(before, "src/code.py") == "old\n"
    assert repository.text_at(before, "src/absent.py") is None
    out = tmp_path / "out"
    repository.extract(before, ["src", "conf", "params.yaml"], out)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files == {"src/code.py", "params.yaml"}
    assert (out / "src/code.py").read_text() == "old\n"
    assert (part / "src/code.py").read_text() == "new\n"
    repository.extract(before, ["conf"], tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("ref", ["absent", "", "--all", "HEAD:part"])
def test_what_names_no_commit_is_refused(part: Path, ref: str) -> None:
    with pytest.raises(RepositoryError, match="git knows no commit"):
        Repository(part).commit_of(ref)


def test_a_merge_is_one_step_with_its_own_author(part: Path) -> None:
    repository = Repository(part)
    git(part, "checkout", "-q", "-b", "branch")
    for text in ("a", "b"):
        put(part, "src/code.py", text)
        git(part, "commit", "-q", "-a", "-m", text)
    git(part, "checkout", "-q", "main")
    text = "Merge pull request #3 from x\n\nTitle\n\nApproved-by: A <a@x>\nReviewed-by: B <b@x>"
    git(part, "merge", "-q", "--no-ff", "-m", text, "branch")
    merged, second, first = repository.changed("HEAD", ["src/code.py"])
    assert merged.commit == repository.commit_of("HEAD")
    assert merged.parents == (second.commit, repository.commit_of("branch"))
    assert set(merged.approved) == {"A <a@x>", "B <b@x>"}
    assert merged.subject == "Merge pull request #3 from x"
    assert merged.body.startswith("Title")
    assert repository.parent(first.commit) is None
    assert repository.line("HEAD") == [merged.commit, second.commit, first.commit]
    assert repository.merge_base("HEAD", "branch") == repository.commit_of("branch")


def test_histories_without_a_common_commit(part: Path) -> None:
    git(part, "checkout", "-q", "--orphan", "other")
    git(part, "commit", "-q", "-m", "x")
    with pytest.raises(RepositoryError, match="--unshallow"):
        Repository(part).merge_base("main", "other")


def test_a_shallow_clone_names_no_commit_that_it_cannot_know(part: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    git(tmp_path, "init", "-q", "-b", "main", str(whole))
    for name in ("inputs", "notes", "more"):
        (whole / name).write_text(name)
        git(whole, "add", ".")
        git(whole, "commit", "-q", "-m", name)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "2", whole.as_uri(), str(clone))
    known, shallow = Repository(whole), Repository(clone)
    assert shallow.commit([Path("more")]) == known.commit([Path("more")])
    assert shallow.commit() == known.commit()
    with pytest.raises(RepositoryError, match="`git fetch --unshallow`"):
        shallow.commit([Path("inputs")])
    git(clone, "fetch", "-q", "--unshallow")
    assert shallow.commit([Path("inputs")]) == known.commit([Path("inputs")])
