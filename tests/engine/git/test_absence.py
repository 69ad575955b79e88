"""What an empty folder of data is told to do brings the data back, when done as it is said."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlops.data.sources import DataError, raw_files
from mlops.git.absence import AbsenceError, check, told
from mlops.git.repository import Repository

RAW = Path("data/raw")
PIPELINE = "stages: {prepare: {cmd: 'false', deps: [data/raw]}}\n"


def run(root: Path, *command: str, check: bool = True) -> None:
    if command[0] in ("dvc", "mlops"):
        module = "mlops.cli" if command[0] == "mlops" else "dvc"
        command = (sys.executable, "-m", module, *command[1:])
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stdout + done.stderr


def put(root: Path, name: str, text: str = "a,b\n1,2\n") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def commit(root: Path) -> None:
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "-q", "-m", "Data")


@pytest.fixture(scope="module")
def versioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("versioned") / "project"
    root.mkdir()
    run(root, "git", "init", "-q")
    run(root, "dvc", "init", "-q")
    run(root, "dvc", "remote", "add", "-q", "--default", "storage", "../storage")
    put(root, "dvc.yaml", PIPELINE)
    put(root, "params.yaml", "{}\n")
    put(root, "data/raw/deep/customers.csv")
    run(root, "dvc", "add", "-q", "data/raw")
    commit(root)
    return root


@pytest.fixture
def root(versioned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "project"
    shutil.copytree(versioned, made, symlinks=True)
    monkeypatch.chdir(made)
    return made


def follow(root: Path, said: str) -> None:
    for command in re.findall(r"`([^`]+)`", said):
        if "FILE" not in command:
            run(root, *command.split())


def emptied(root: Path) -> None:
    """Have DVC write the empty folder into its pointer, as `dvc repro` does before any stage."""
    shutil.rmtree(root / "data/raw/deep")
    run(root, "dvc", "repro", check=False)
    assert "nfiles: 0" in (root / "data/raw.dvc").read_text()


def committed(root: Path) -> None:
    emptied(root)
    commit(root)


def gone(root: Path) -> None:
    shutil.rmtree(root / "data/raw")


def pointerless(root: Path) -> None:
    gone(root)
    (root / "data/raw.dvc").unlink()


def fetched(root: Path) -> None:
    """Have the remote alone hold them, as after a clone."""
    run(root, "dvc", "push", "-q")
    gone(root)
    shutil.rmtree(root / ".dvc/cache")


@pytest.mark.parametrize("lose", [emptied, committed, gone, pointerless, fetched])
def test_what_git_knows_comes_back(root: Path, lose: object) -> None:
    lose(root)  # type: ignore[operator]
    with pytest.raises(DataError, match="git knows what it held") as raised:
        raw_files(RAW)
    with pytest.raises(AbsenceError, match=re.escape(str(raised.value))):
        check(Repository())
    follow(root, str(raised.value))
    check(Repository())
    assert [path.name for path in raw_files(RAW)] == ["customers.csv"]


@pytest.mark.parametrize("pointed", [False, True])
def test_what_never_was_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pointed: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    run(tmp_path, "git", "init", "-q")
    run(tmp_path, "dvc", "init", "-q")
    put(tmp_path, "params.yaml", "{}\n")
    if pointed:
        RAW.mkdir(parents=True)
        run(tmp_path, "dvc", "add", "-q", "data/raw")
        commit(tmp_path)
    with pytest.raises(AbsenceError, match="mlops adopt") as raised:
        check(Repository())
    follow(tmp_path, str(raised.value))
    check(Repository())
    assert "nfiles: 12" in Path("data/raw.dvc").read_text()


def test_a_table_comes_back_and_one_without_rows_is_none(root: Path) -> None:
    put(root, "data/tables/visits/part.csv")
    put(root, "data/tables/empty.dvc", "outs: [{path: empty, md5: x.dir, nfiles: 0}]\n")
    run(root, "dvc", "add", "-q", "data/tables/visits")
    commit(root)
    shutil.rmtree(root / "data/tables/visits")
    with pytest.raises(AbsenceError, match="data/tables/visits holds no file, and git") as raised:
        check(Repository())
    assert str(raised.value) == told(Path("data/tables/visits"), "")
    follow(root, str(raised.value))
    check(Repository())


def test_outside_git_the_data_are_to_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    for folder in (RAW, RAW.absolute(), Path("/nowhere")):
        with pytest.raises(DataError, match="holds no file: write the sample"):
            raw_files(folder)
