"""Every candidate is one finished run in MLflow, whatever happened before."""

import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, RESOURCE_ALREADY_EXISTS

from mlops.bundle import manifest
from mlops.config.settings import Settings
from mlops.config.settings import load as load_settings
from mlops.files import locked
from mlops.tracking.parameters import parameters
from mlops.tracking.registry import RegistryError, _made, _shown, mirrored, track

# MLflow calls what its own dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, made once: MLflow takes seconds for it."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    assert mirrored("demo", "champion", path.parent) is None
    assert {file.name for file in path.parent.iterdir()} == {"mlflow.db", "mlflow.db.lock"}
    return path


@pytest.fixture
def project(trained: Path, database: Path, tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "project"
    shutil.copytree(trained, root, ignore=shutil.ignore_patterns("engine", "src", "raw"))
    shutil.copy(database, root / "mlflow.db")
    with chdir(root):
        yield root


@pytest.fixture
def settings(project: Path) -> Settings:
    return load_settings(project / "resolved.yaml")


def runs(project: Path) -> list[tuple[str, str]]:
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    folder = client.get_experiment_by_name("demo")
    assert folder is not None
    found = client.search_runs([folder.experiment_id])
    return [(run.info.run_id, run.info.status) for run in found]


def test_run_holds_parameters_metrics_lineage_and_report(project: Path, settings: Settings) -> None:
    key = track(settings, "demo", project / "candidate")
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    run = client.get_run(key)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.max_iter"] == "20"
    assert 0.5 < run.data.metrics["roc_auc.low"] < run.data.metrics["roc_auc"] < 1
    assert run.data.tags["candidate"] == manifest.bundle_digest(project / "candidate")
    assert len(run.data.tags["data"]) == 64
    assert {"candidate", "report.html"} <= {file.path for file in client.list_artifacts(key)}
    assert (project / "mlartifacts").is_dir()


def test_parameters_are_those_that_a_search_found(settings: Settings) -> None:
    search = {"trials": 7, "pruned": 2}
    found = parameters(settings, {"parameters": {"max_iter": 9}, "search": search})
    assert (found["model.max_iter"], found["search.pruned"]) == ("9", "2")
    alone = parameters(settings, {"parameters": {}, "search": None})
    assert alone["model.max_iter"] == "20"
    assert not [name for name in alone if name.startswith("search")]


def test_the_same_candidate_is_logged_once(project: Path, settings: Settings) -> None:
    first = track(settings, "demo", project / "candidate")
    assert track(settings, "demo", project / "candidate") == first
    assert runs(project) == [(first, "FINISHED")]


def test_run_that_a_killed_command_left_is_closed(project: Path, settings: Settings) -> None:
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    tags = {"candidate": manifest.bundle_digest(project / "candidate")}
    folder = client.create_experiment("demo")
    here = f"{socket.gethostname()}:{project}"
    left = client.create_run(folder, tags={**tags, "logged_from": here}).info.run_id
    other = client.create_run(folder, tags={**tags, "logged_from": "elsewhere:/there"}).info.run_id
    key = track(settings, "demo", project / "candidate")
    expected = [(left, "KILLED"), (other, "RUNNING"), (key, "FINISHED")]
    assert sorted(runs(project)) == sorted(expected)


def test_one_process_at_a_time_logs(
    project: Path, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with locked(project / "mlflow.db.lock"):
            waiting = pool.submit(track, settings, "demo", project / "candidate")
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
            assert capfd.readouterr().err == "mlops waits for another run to be logged\n"
        key = waiting.result()
    assert runs(project) == [(key, "FINISHED")]


def test_a_database_is_made_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    class Half:
        def __init__(self, uri: str, _: str) -> None:
            self.file = Path(uri.removeprefix("sqlite:///"))

        def search_experiments(self) -> None:
            self.file.write_bytes(b"half")
            raise Killed

    monkeypatch.setattr("mlflow.MlflowClient", Half)
    with pytest.raises(Killed):
        mirrored("demo", "champion", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mlflow.db.lock"]


def test_what_another_machine_has_made_meanwhile_is_taken() -> None:
    def late() -> None:
        raise MlflowException("there", error_code=RESOURCE_ALREADY_EXISTS)

    def refused() -> None:
        raise MlflowException("no", error_code=PERMISSION_DENIED)

    _made(late)
    with pytest.raises(MlflowException, match="no"):
        _made(refused)


def test_a_deleted_experiment_is_a_sentence_whose_command_brings_it_back(
    project: Path, settings: Settings
) -> None:
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    client.delete_experiment(folder := client.create_experiment("demo"))
    with pytest.raises(RegistryError, match="the experiment demo was deleted in MLflow") as error:
        track(settings, "demo", project / "candidate")
    address = f"MLFLOW_TRACKING_URI=sqlite:///{project}/mlflow.db"
    command = f"{address} mlflow experiments restore --experiment-id {folder}"
    assert f"`{command}`" in str(error.value)
    client.restore_experiment(folder)
    track(settings, "demo", project / "candidate")


def test_run_that_fails_is_closed(project: Path, settings: Settings) -> None:
    (project / "mlartifacts").write_text("in the way of the artifacts")
    with pytest.raises(RegistryError, match="does not take the run"):
        track(settings, "demo", project / "candidate")
    assert [status for _, status in runs(project)] == ["FAILED"]


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9", "sqlite:///params.yaml", "rubbish://x", "sqlite:///conf"]
)
def test_unreachable_server_is_one_sentence(
    address: str, project: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match="check MLFLOW_TRACKING_URI"):
        track(settings, "demo", project / "candidate")


def test_password_is_not_shown() -> None:
    assert _shown("postgresql://me:secret@host/db") == "postgresql://host/db"
