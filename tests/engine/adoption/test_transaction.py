import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlops
from mlops.adoption.transaction import (
    TransactionError,
    check_raw,
    check_settled,
    exchange,
    exclusive,
    settle,
)
from mlops.git.repository import Repository, RepositoryError

TEXTS = {Path("conf/data/new.yaml"): "new\n", Path("params.yaml"): "new\n"}
KILLED = """
import os, sys
from pathlib import Path
from mlops.adoption.transaction import exchange
texts = {Path("conf/data/new.yaml"): "new", Path("params.yaml"): "new"}
with exchange(Path(), Path("own.csv"), texts):
    Path("data/raw.dvc").write_text("half")
    os._exit(9)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "params.yaml": "old\n",
        "own.csv": "a,y\n",
        "data/raw/sample.csv": "old\n",
        "data/raw.dvc": "old\n",
        ".dvc/config": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def tree(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_exchanges_raw_data_and_files(root: Path) -> None:
    before = tree(root)
    with exclusive(root), exchange(root, root / "own.csv", TEXTS):
        pass
    after = tree(root)
    assert after.pop("data/raw/own.csv") == "a,y\n"
    assert after.pop("conf/data/new.yaml") == "new\n"
    assert after.pop("params.yaml") == "new\n"
    del before["data/raw/sample.csv"], before["params.yaml"]
    assert after == before


def break_off(root: Path, failure: type[BaseException]) -> None:
    (root / "data/raw.dvc").write_text("half\n")
    (root / "data/.gitignore").write_text("/raw\n")
    raise failure


@pytest.mark.parametrize("failure", [TransactionError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_state(root: Path, failure: type[BaseException]) -> None:
    before = tree(root)
    with pytest.raises(failure), exchange(root, root / "own.csv", TEXTS):
        break_off(root, failure)
    assert tree(root) == before


def test_what_was_not_there_is_gone_again(root: Path) -> None:
    (root / "data/raw/sample.csv").unlink()
    (root / "data/raw").rmdir()
    with pytest.raises(TransactionError), exchange(root, root / "own.csv", TEXTS):
        raise TransactionError
    assert not (root / "data/raw").exists()


def test_mending_undoes_what_a_killed_one_left(root: Path) -> None:
    before = tree(root)
    environment = {**os.environ, "PYTHONPATH": str(Path(mlops.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=root, env=environment, check=False)
    assert done.returncode == 9
    assert (root / "params.yaml").read_text() == "new"
    with pytest.raises(TransactionError, match="mlops mend"):
        check_settled(root)
    with pytest.raises(TransactionError, match="mlops mend"), exclusive(root):
        pass
    assert settle(root)
    assert tree(root) == before
    assert not settle(root)


@pytest.mark.parametrize("path", ["data/raw/more.csv", "params.yaml", "conf/data/new.yaml"])
def test_what_somebody_did_after_a_killed_one_is_not_undone(root: Path, path: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(mlops.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", KILLED], cwd=root, env=environment, check=False)
    (root / path).write_text("work of an hour")
    before = tree(root)
    with pytest.raises(TransactionError, match=f"{path} changed since"):
        settle(root)
    assert tree(root) == before


def test_refuses_while_dvc_is_at_work(root: Path) -> None:
    busy = root / ".dvc/tmp/rwlock"
    busy.parent.mkdir()
    busy.write_text(f'{{"data/raw": {{"write": {{"pid": {os.getpid()}, "cmd": "dvc repro"}}}}}}')
    with pytest.raises(TransactionError, match="DVC is at work"), exclusive(root):
        pass
    busy.write_text('{"data/raw": {"write": {"pid": 4194999, "cmd": "dvc repro"}}}')
    with exclusive(root):
        pass


def test_a_copy_that_was_never_used_is_cleared(root: Path) -> None:
    before = tree(root)
    (root / ".dvc/tmp/adoption.new/new").mkdir(parents=True)
    with exclusive(root):
        assert tree(root) == before
        assert not (root / ".dvc/tmp/adoption.new").exists()


def test_takes_data_that_lies_in_the_raw_folder(root: Path) -> None:
    with exchange(root, root / "data/raw/sample.csv", TEXTS):
        pass
    assert (root / "data/raw/sample.csv").read_text() == "old\n"


def test_refuses_to_lose_data_and_to_run_twice(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (root / "data/raw.dvc").unlink()
    with pytest.raises(TransactionError, match=r"no copy of \(data/raw/sample.csv\)"):
        check_raw(Repository(root), root / "own.csv")
    check_raw(Repository(root), root / "data/raw/sample.csv")
    with (
        exclusive(root),
        pytest.raises(TransactionError, match="another adoption"),
        exclusive(root),
    ):
        pass
    with (
        pytest.raises(RepositoryError, match="make setup"),
        exclusive(tmp_path_factory.mktemp("x")),
    ):
        pass
