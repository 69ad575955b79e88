import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlops.git.dvc import dvc_add, dvc_digest, fetch, left_over, maker, mend, unversioned
from mlops.git.repository import Repository, RepositoryError

RAW = Path("data/raw")


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def put(root: Path, name: str, text: str = "a,b\n") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return Path(name)


def test_only_what_dvc_has_no_copy_of_is_unversioned(root: Path) -> None:
    repository = Repository(root)
    assert unversioned(repository, RAW) == []
    first = put(root, "data/raw/first.csv")
    assert unversioned(repository, RAW) == [first]
    assert dvc_add(repository, RAW) == Path("data/raw.dvc")
    assert (root / "data/raw.dvc").is_file()
    assert unversioned(repository, RAW) == []
    second = put(root, "data/raw/deep/größe.csv", "c\n")
    assert unversioned(repository, RAW) == [second]
    (root / first).chmod(0o644)
    put(root, "data/raw/first.csv", "changed\n")
    assert unversioned(repository, RAW) == [second, first]


@pytest.mark.parametrize(
    ("stage", "made"),
    [
        ({"cmd": "x", "outs": ["data/raw"]}, True),
        ({"cmd": "x", "outs": [{"data/raw": {"persist": True}}]}, True),
        ({"cmd": "x", "outs": ["data"]}, True),
        ({"cmd": "x", "outs": ["data/raw/a.csv"]}, True),
        ({"cmd": "x", "wdir": "data", "outs": ["raw"]}, True),
        ({"foreach": ["a"], "do": {"cmd": "x", "outs": ["data/raw/${item}.csv"]}}, True),
        ({"cmd": "x", "outs": ["data/raw2", "model"], "deps": ["data/raw"]}, False),
        ({"cmd": "x"}, False),
    ],
)
def test_the_stage_that_makes_a_folder_is_known(tmp_path: Path, stage: Any, made: bool) -> None:
    assert maker(tmp_path, Path("data/raw")) is None
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"first": {"cmd": "y"}, "it": stage}}))
    assert maker(tmp_path, Path("data/raw")) == ("it" if made else None)


def test_a_lost_cache_brings_nothing_back(root: Path) -> None:
    repository = Repository(root)
    first = put(root, "data/raw/first.csv")
    dvc_add(repository, RAW)
    for path in (root / ".dvc/cache").rglob("*"):
        if path.is_file():
            path.unlink()
    assert unversioned(repository, RAW) == [first]


def test_says_what_dvc_complains_about(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(RepositoryError, match=r"dvc add .* failed \(.*absent"):
        dvc_add(Repository(root), Path("absent"))
    with pytest.raises(RepositoryError, match="make setup"):
        dvc_add(Repository(tmp_path_factory.mktemp("elsewhere")), RAW)


def test_a_pointer_from_elsewhere_is_fetched_and_hashed(root: Path, tmp_path: Path) -> None:
    repository = Repository(root)
    put(root, "data/raw/first.csv")
    put(root, "data/raw/deep/größe.csv", "c\n")
    pointer = (root / dvc_add(repository, RAW)).read_text()
    digest = dvc_digest(root / RAW)
    assert f"md5: {digest}" in pointer
    (root / "data/raw.dvc").unlink()
    fetch(repository, pointer, "raw", tmp_path / "out")
    assert dvc_digest(tmp_path / "out") == digest
    assert not list(root.glob("fetched*"))
    put(tmp_path, "out/deep/größe.csv", "d\n")
    assert dvc_digest(tmp_path / "out") != digest


@pytest.mark.parametrize("left", ["", "schema: '2.0'\nstages:\n  a: {", "stages:\n", "\0"])
def test_half_written_lock_is_taken_from_the_last_commit(root: Path, left: str) -> None:
    repository = Repository(root)
    whole = "schema: '2.0'\nstages: {}\n"
    (root / "dvc.lock").write_text(whole)
    git(root, "add", "dvc.lock")
    git(root, "commit", "--quiet", "-m", "lock")
    assert mend(repository) == []
    (root / "dvc.lock").write_text(left)
    assert mend(repository) == [root / "dvc.lock"]
    assert (root / "dvc.lock").read_text() == whole


def test_half_written_lock_without_a_commit_is_begun_anew(root: Path) -> None:
    repository = Repository(root)
    (root / "dvc.lock").write_text("schema: '2.0'\nstag")
    (root / ".dvc/tmp").mkdir(exist_ok=True)
    (root / ".dvc/tmp/rwlock").write_text('{"a": ')
    assert len(mend(repository)) == 2
    assert not (root / "dvc.lock").exists()
    assert not (root / ".dvc/tmp/rwlock").exists()
    assert mend(repository) == []


def test_data_that_a_change_of_branch_left_are_known(tmp_path: Path) -> None:
    repository, raw = Repository(tmp_path), RAW
    pointer = tmp_path / "data/raw.dvc"
    pointer.parent.mkdir()

    def point(digit: str) -> None:
        pointer.write_text(f"outs:\n- md5: {digit * 32}.dir\n  path: raw\n")

    def commit(digit: str) -> str:
        point(digit)
        repository.git("add", ".")
        repository.git("commit", "-q", "-m", digit)
        return repository.git("rev-parse", "--short", "HEAD").strip()

    assert left_over(repository, raw) is None  # outside git
    repository.git("init", "-q", "-b", "main")
    commit("a")
    repository.git("checkout", "-q", "-b", "more")
    other = commit("b")
    repository.git("checkout", "-q", "main")
    assert left_over(repository, raw) is None
    point("b")
    assert left_over(repository, raw) == other
    point("c")  # new data
    assert left_over(repository, raw) is None
    pointer.write_text("outs: 3\n")
    assert left_over(repository, raw) is None
