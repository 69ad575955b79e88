"""A pull request fetches what it needs of the data, and says what is missing and who has it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlops.git.repository import Repository
from mlops.release import fetching, proposal
from mlops.release.fetching import FetchError, fetch

STAGE = "stages: {copy: {cmd: cp data/raw/a.csv out, deps: [data/raw], outs: [out]}}"
TOLD = Path("reports/gate") / proposal.REFUSED


def run(root: Path, *command: str) -> None:
    subprocess.run(command, cwd=root, check=True, capture_output=True)


def dvc(root: Path, *arguments: str) -> None:
    run(root, sys.executable, "-m", "dvc", *arguments)


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose data were pushed, as a fresh clone; not to be changed."""
    folder = tmp_path_factory.mktemp("pushed")
    root = folder / "author"
    (root / "data/raw").mkdir(parents=True)
    (root / "data/raw/a.csv").write_text("x\n1\n")
    (root / "dvc.yaml").write_text(STAGE)
    run(root, "git", "init", "-q", "-b", "main")
    dvc(root, "init", "-q")
    dvc(root, "remote", "add", "-q", "--default", "storage", "../storage")
    dvc(root, "add", "-q", "data/raw")
    dvc(root, "repro", "-q")
    dvc(root, "push", "-q")
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "-q", "-m", "Start")
    run(folder, "git", "clone", "-q", str(root), str(folder / "clone"))
    shutil.rmtree(root)
    return folder


@pytest.fixture
def clone(pushed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    shutil.copytree(pushed, tmp_path, dirs_exist_ok=True, symlinks=True)
    return tmp_path / "clone"


def served(monkeypatch: pytest.MonkeyPatch, reason: str = "main serves this already") -> None:
    monkeypatch.setattr(proposal, "known", lambda *_: reason)


def test_nothing_is_fetched_where_no_model_is_concerned(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(monkeypatch)
    shutil.rmtree(clone.parent / "storage")
    assert not fetch(Repository(clone), "main")
    assert not (clone / "data/raw").exists()
    (clone / "dvc.yaml").write_text(STAGE.replace("cp data", "cp  data"))  # a stage is behind
    with pytest.raises(FetchError):
        fetch(Repository(clone), "main")


def test_what_is_new_is_fetched(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served(monkeypatch, "")
    (clone / TOLD).parent.mkdir(parents=True)
    (clone / TOLD).write_text("of the run before")
    assert fetch(Repository(clone), "main")
    assert (clone / "data/raw/a.csv").read_text() == "x\n1\n"
    assert (clone / "out").exists()
    assert not (clone / TOLD).exists()


def test_data_that_nobody_pushed_are_a_sentence(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(monkeypatch, "")
    for part in (clone.parent / "storage/files/md5").iterdir():
        shutil.rmtree(part)
    with pytest.raises(FetchError) as error:
        fetch(Repository(clone), "main")
    assert str(error.value) == (
        "the data of data/raw.dvc are not in the data remote: run `dvc push data/raw.dvc` where "
        "they are: `git push` takes none along"
    )
    assert (clone / TOLD).read_text() == f"{error.value}\n"


@pytest.mark.parametrize("secret", [False, True])
def test_a_remote_that_cannot_be_read_is_a_sentence(
    clone: Path, monkeypatch: pytest.MonkeyPatch, secret: bool
) -> None:
    served(monkeypatch, "")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    text = (clone / ".dvc/config").read_text()
    (clone / ".dvc/config").write_text(text.replace("remote = storage", "remote = elsewhere"))
    if secret:
        (clone / ".dvc/config.local").write_text("")
    with pytest.raises(FetchError, match=r"^the data remote cannot be read: .*elsewhere") as error:
        fetch(Repository(clone), "main")
    remedy = "see that its credentials stand in .dvc/config.local" if secret else fetching.NO_SECRET
    assert str(error.value).endswith(remedy)
    assert "\n" not in str(error.value)
