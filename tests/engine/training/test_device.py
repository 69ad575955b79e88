"""XGBoost makes the same bundle of a CPU as of a GPU, and says where it found none."""

import json
import shutil
import subprocess
from contextlib import chdir
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mlops.config.settings import Model, Settings, load
from mlops.data import prepared
from mlops.features.encoding import Encoder
from mlops.runtime import model as runtime
from mlops.training import estimators
from mlops.training.fitting import train

pytest.importorskip(
    "xgboost", reason="needs XGBoost: pip install -r requirements/model-xgboost.txt"
)


def has_gpu() -> bool:
    tool = shutil.which("nvidia-smi")
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True).returncode == 0


def settings(trained: Path, device: str) -> Settings:
    parameters: dict[str, Any] = {"n_estimators": 20, "max_depth": 4, "tree_method": "hist"}
    model = Model(
        "xgboost.XGBClassifier",
        "categories",
        ["binary"],
        parameters | {"n_jobs": 1, "device": device},
        lock="model-xgboost",
    )
    return msgspec.structs.replace(load(trained / "resolved.yaml"), model=model)


def made(trained: Path, device: str, out: Path) -> tuple[str, Any, np.ndarray]:
    asked = settings(trained, device)
    with chdir(trained):
        said = train(asked, out=out)
        encoder = Encoder.build(asked.data, asked.features)
        path = Path("data/prepared/holdout")
        matrix = prepared.matrix(
            path, asked.data, encoder.inputs, encoder.matrix, len(encoder.names)
        )
    about = json.loads((out / "training.json").read_text())
    return said, about, runtime.load(out).predict(matrix)


def test_on_a_cpu_nothing_is_said(trained: Path, tmp_path: Path) -> None:
    said, about, _ = made(trained, "cpu", tmp_path / "a")
    assert said.endswith("runs in onnx")
    assert about["runtime"] == "onnx"


@pytest.mark.skipif(has_gpu(), reason="there is a GPU: the test of what is said without one")
def test_without_a_gpu_it_is_fitted_on_the_cpu_and_said(trained: Path, tmp_path: Path) -> None:
    said, about, answers = made(trained, "cuda", tmp_path / "a")
    assert "fitted on the CPU, since no GPU was found for device cuda: run it where" in said
    _, other, same = made(trained, "cpu", tmp_path / "b")
    np.testing.assert_array_equal(answers, same)
    assert about == other


@pytest.mark.gpu
@pytest.mark.skipif(
    not has_gpu(),
    reason="needs an NVIDIA GPU and its driver: run it where `nvidia-smi -L` lists one",
)
def test_a_gpu_makes_the_same_bundle(trained: Path, tmp_path: Path) -> None:
    said, about, answers = made(trained, "cuda", tmp_path / "a")
    assert "CPU" not in said
    _, other, same = made(trained, "cpu", tmp_path / "b")
    assert {p.name for p in (tmp_path / "a").iterdir()} == {
        p.name for p in (tmp_path / "b").iterdir()
    }
    for key in ("task", "runtime", "features", "estimator", "rows"):
        assert about[key] == other[key]
    assert about["parity"]["difference"] <= about["parity"]["tolerance"]
    assert np.abs(answers - same).mean() < 0.01


def test_others_have_no_device() -> None:
    assert estimators.device(object()) is None
