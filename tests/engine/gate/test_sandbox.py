"""The branch's features are computed by its code, in its process, and are not believed blindly."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mlops.config import settings as configuration
from mlops.config.settings import Settings
from mlops.data import prepared
from mlops.features.encoding import Encoder
from mlops.gate.sandbox import SandboxEncoder, SandboxError, encoder

FEATURES = "engine/src/mlops/features"
Start = Callable[[], SandboxEncoder]


@pytest.fixture
def branch(trained: Path, tmp_path: Path) -> Path:
    """A project whose features can be changed."""
    shutil.copytree(trained / "engine/src", tmp_path / "branch/engine/src")
    return tmp_path / "branch"


@pytest.fixture
def asked(trained: Path) -> Settings:
    """What the candidate was made with."""
    return configuration.load(trained / "resolved.yaml")


@pytest.fixture
def columns(trained: Path, asked: Settings) -> dict[str, np.ndarray]:
    """The holdout."""
    return prepared.read(trained / "data/prepared/holdout.parquet", asked.data)


@pytest.fixture
def start(
    branch: Path, trained: Path, asked: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Start]:
    """Start the branch's encoder; what it exchanges lies in tmp_path/exchange."""
    started = []
    (tmp_path / "exchange").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "exchange"))

    def begin() -> SandboxEncoder:
        started.append(SandboxEncoder.start(branch, trained / "candidate", asked.features))
        return started[-1]

    yield begin
    for one in started:
        one.stop()


def change(branch: Path, module: str, code: str) -> None:
    with (branch / FEATURES / f"{module}.py").open("a") as file:
        file.write(f"\n{code}\n")


def test_the_matrix_is_that_of_the_branchs_code(
    start: Start, asked: Settings, columns: dict[str, np.ndarray]
) -> None:
    own, foreign = Encoder.build(asked.data, asked.features), start()
    assert tuple(foreign) == tuple(own)
    for rows in (slice(None), slice(3), slice(0)):
        part = {name: values[rows] for name, values in columns.items()}
        matrix = foreign.matrix(part)
        assert matrix.dtype == np.float32
        np.testing.assert_array_equal(matrix, own.matrix(part))


def test_nothing_stays_behind(start: Start, tmp_path: Path) -> None:
    foreign = start()
    (folder,) = (tmp_path / "exchange").iterdir()
    assert folder.name.startswith("features-")
    assert foreign.process.poll() is None
    foreign.stop()
    assert foreign.process.poll() is not None
    assert foreign.process.stdin is not None
    assert foreign.process.stdin.closed
    assert foreign.process.stdout is not None
    assert foreign.process.stdout.closed
    assert not folder.exists()


def test_code_that_does_not_start_is_told_and_ended(
    start: Start, branch: Path, tmp_path: Path
) -> None:
    change(branch, "functions", "raise RuntimeError('broken\\n here')")
    with pytest.raises(SandboxError, match="RuntimeError: broken here"):
        start()
    assert not list((tmp_path / "exchange").iterdir())


def test_a_process_that_ends_is_told(
    start: Start, branch: Path, columns: dict[str, np.ndarray]
) -> None:
    foreign = start()
    foreign.process.kill()
    foreign.process.wait()
    with pytest.raises(SandboxError, match="ended its process"):
        foreign.matrix(columns)
    foreign.process.communicate()  # drops what could not be written
    change(branch, "functions", "import os; os._exit(0)")
    with pytest.raises(SandboxError, match="its process ended"):
        start()


@pytest.mark.parametrize(
    "body",
    [
        "np.zeros((1, len(self.names)), np.float32)",
        "np.zeros((len(columns['plan']), 1), np.float32)",
        "np.zeros((len(columns['plan']), len(self.names)))",
        "1 / 0",
        "np.full((len(columns['plan']), len(self.names)), self)",
    ],
)
def test_what_is_no_matrix_of_the_rows_is_refused(
    start: Start, branch: Path, columns: dict[str, np.ndarray], body: str
) -> None:
    change(branch, "encoding", f"Encoder.matrix = lambda self, columns: {body}")
    foreign = start()
    with pytest.raises(SandboxError, match=r"shape|ZeroDivisionError: division by zero|Object"):
        foreign.matrix(columns)


def test_a_matrix_that_was_not_written_is_not_the_last_one(
    start: Start, branch: Path, columns: dict[str, np.ndarray]
) -> None:
    change(branch, "encoding", "once = [np.save]")
    change(branch, "encoding", "np.save = lambda *a, **k: once.pop()(*a, **k) if once else None")
    foreign = start()
    assert len(foreign.matrix(columns)) == len(columns["plan"])
    with pytest.raises(FileNotFoundError):
        foreign.matrix(columns)


def test_what_the_branch_prints_is_no_answer(
    start: Start, branch: Path, columns: dict[str, np.ndarray]
) -> None:
    change(branch, "functions", 'print(\'{"error": "printed"}\', flush=True)')
    assert len(start().matrix(columns)) == len(columns["plan"])


def test_neither_environment_nor_folder_change_what_is_imported(
    start: Start, branch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (branch / "json.py").write_text("raise SystemExit")
    monkeypatch.setenv("PYTHONPATH", str(branch))
    monkeypatch.chdir(branch)
    assert start().names


def test_the_same_features_need_no_process(
    branch: Path, trained: Path, asked: Settings, tmp_path: Path
) -> None:
    given = trained / "candidate", asked.data, asked.features
    for root in (branch, tmp_path / "without"):
        assert type(encoder(root, *given)) is Encoder
        assert encoder(root, *given) == Encoder.build(asked.data, asked.features)
    change(branch, "functions", "")
    other = encoder(branch, *given)
    assert isinstance(other, SandboxEncoder)
    other.stop()
