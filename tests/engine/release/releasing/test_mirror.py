"""MLflow's registry serves what main declares, and answers as `mlops predict` does."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from mlops.bundle import manifest
from mlops.tracking.registry import RegistryError, mirror, mirrored

# MLflow calls what its own dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("default")

# As somebody does who has MLflow and not this project.
LOADING = """
import sys
import mlflow, pandas
uri, rows, out = sys.argv[1:]
mlflow.set_tracking_uri(uri)
model = mlflow.pyfunc.load_model("models:/demo@champion")
model.predict(pandas.read_parquet(rows)).to_parquet(out)
print(sys.modules["mlops"].__file__)
"""


@pytest.fixture
def root(trained: Path, database: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(trained, tmp_path / "project", ignore=shutil.ignore_patterns("engine", "src"))
    shutil.copy(database, tmp_path / "project/mlflow.db")
    with chdir(tmp_path / "project"):
        yield tmp_path / "project"


def test_the_alias_answers_as_predict_does_without_the_project(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops.serving.batch import predict

    mirror("demo", "champion", root / "candidate", {"commit": "a" * 40}, root)
    rows = sorted((root / "data/raw").iterdir())[0]
    monkeypatch.delenv("PYTHONPATH")
    told = [sys.executable, "-P", "-c", LOADING, f"sqlite:///{root}/mlflow.db", str(rows), "out"]
    done = subprocess.run(told, check=True, capture_output=True, text=True)
    assert Path(done.stdout.strip()).is_relative_to(root / "mlartifacts")
    predict(rows, root / "own.parquet", root / "candidate")
    pd.testing.assert_frame_equal(
        pd.read_parquet(root / "out"), pd.read_parquet(root / "own.parquet")
    )


def test_no_pickle_is_stored(root: Path) -> None:
    mirror("demo", "champion", root / "candidate", {}, root)
    files = [path for path in (root / "mlartifacts").rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".joblib")]
    assert not [path for path in files if path.read_bytes()[:1] == b"\x80"]


def test_one_version_for_a_bundle_and_one_alias_for_the_champion(root: Path) -> None:
    other = root / "other"
    shutil.copytree(root / "candidate", other)
    content = {**manifest.read(other), "name": "other"}
    content.pop("files")
    manifest.write(other, content)
    assert mirrored("demo", "champion", root) is None
    assert mirror("demo", "champion", root / "candidate", {}, root) == "1"
    assert mirror("demo", "champion", root / "candidate", {}, root) == "1"
    assert mirror("demo", "champion", other, {}, root) == "2"
    assert mirrored("demo", "champion", root) == manifest.bundle_digest(other)
    assert mirror("demo", "champion", root / "candidate", {"verdict": "c"}, root) == "1"
    assert mirrored("demo", "champion", root) == manifest.bundle_digest(root / "candidate")
    assert mirror("demo", "staging", other, {}, root) == "2"
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    assert len(client.search_model_versions("name = 'demo'")) == 2


def test_a_damaged_bundle_is_not_mirrored(root: Path) -> None:
    golden = root / "candidate/golden.json"
    golden.write_text(json.dumps(json.loads(golden.read_text())[1:]))
    with pytest.raises(manifest.BundleError):
        mirror("demo", "champion", root / "candidate", {}, root)
    assert mirrored("demo", "champion", root) is None


def test_a_registry_that_is_away(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(RegistryError, match="MLFLOW_TRACKING_URI"):
        mirror("demo", "champion", root / "candidate", {}, root)
