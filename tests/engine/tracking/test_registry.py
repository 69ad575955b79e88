"""Every candidate is one finished run in MLflow, whatever happened before."""

import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlops.bundle import manifest
from mlops.config.settings import Settings
from mlops.config.settings import load as load_settings
from mlops.tracking.registry import RegistryError, _shown, track

# MLflow calls what its own dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, made once: MLflow takes seconds for it."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
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


def test_the_same_candidate_is_logged_once(project: Path, settings: Settings) -> None:
    first = track(settings, "demo", project / "candidate")
    assert track(settings, "demo", project / "candidate") == first
    assert runs(project) == [(first, "FINISHED")]


def test_run_that_a_killed_command_left_is_closed(project: Path, settings: Settings) -> None:
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    tags = {"candidate": manifest.bundle_digest(project / "candidate")}
    left = client.create_run(client.create_experiment("demo"), tags=tags).info.run_id
    key = track(settings, "demo", project / "candidate")
    assert sorted(runs(project)) == sorted([(left, "KILLED"), (key, "FINISHED")])


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
