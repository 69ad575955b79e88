"""A model answers alike in both runtimes, and only a model that is allowed is loaded."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from mlops.contract import Task
from mlops.runtime.model import ABOUT, ModelError, estimator, farthest, load
from mlops.training.compilation import compile_model

RNG = np.random.default_rng(1)
MATRIX = RNG.normal(size=(400, 4)).astype(np.float32)
TARGETS = {
    "binary": (MATRIX[:, 0] > 0).astype(int),
    "multiclass": np.digitize(MATRIX[:, 0], [-0.5, 0.5]),
    "regression": MATRIX[:, 0] * 3.0,
}
SHAPES = {"binary": (400,), "multiclass": (400, 3), "regression": (400,)}


def saved(task: Task, runtime: str, folder: Path) -> HistGradientBoostingClassifier:
    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    fitted = kind(max_iter=5).fit(MATRIX, TARGETS[task])
    folder.mkdir()
    compile_model(fitted, task, MATRIX, folder, runtime=runtime, tolerance=1e-5)
    (folder / ABOUT).write_text(json.dumps({"task": task, "runtime": runtime}))
    return fitted


@pytest.mark.parametrize("task", list(TARGETS))
@pytest.mark.parametrize("runtime", ["onnx", "skops"])
def test_loaded_model_answers_as_the_estimator(task: Task, runtime: str, tmp_path: Path) -> None:
    fitted = saved(task, runtime, tmp_path / "model")
    answers = load(tmp_path / "model").predict(MATRIX)
    assert answers.shape == SHAPES[task]
    assert answers.dtype == np.float64
    np.testing.assert_allclose(answers, estimator(fitted, task)(MATRIX), atol=1e-5)


@pytest.mark.parametrize(
    ("answers", "expected", "task", "far"),
    [
        ([0.5, 0.25], [0.5, 0.5], "binary", 0.25),
        ([0.5, 0.25], [0.5, 0.5], "regression", 0.5),
        ([2e-6, 1e-6], [1e-6, 1e-6], "regression", 1.0),
        ([2e-6, 1e-6], [1e-6, 1e-6], "binary", 1e-6),
        ([1e6 + 1, 1], [1e6, 1], "regression", 1e-6),
        ([0.0, 1e-7], [0.0, 0.0], "regression", 1e-7),
        ([1.0], [1.0, 1.0], "binary", np.inf),
    ],
)
def test_what_is_far_depends_on_the_scale_of_a_number(
    answers: list[float], expected: list[float], task: Task, far: float
) -> None:
    assert farthest(np.array(answers), np.array(expected), task) == pytest.approx(far)


def test_blocks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved("multiclass", "onnx", tmp_path / "model")
    model = load(tmp_path / "model")
    whole = model.predict(MATRIX)
    monkeypatch.setattr("mlops.runtime.model.BATCH", 7)
    np.testing.assert_allclose(model.predict(MATRIX), whole, rtol=1e-12)  # of sums of doubles


def test_foreign_type_is_named_and_not_loaded(tmp_path: Path) -> None:
    from skops.io import dump

    folder = tmp_path / "model"
    folder.mkdir()
    dump({"harmless": 1, "foreign": Path("x")}, folder / "model.skops")
    (folder / ABOUT).write_text('{"task": "binary", "runtime": "skops"}')
    with pytest.raises(ModelError, match=r"not on the allow-list: pathlib"):
        load(folder)


@pytest.mark.parametrize("runtime", ["onnx", "skops"])
@pytest.mark.parametrize("damage", ["truncated", "rubbish", "absent"])
def test_damaged_file_is_refused(runtime: str, damage: str, tmp_path: Path) -> None:
    saved("binary", runtime, tmp_path / "model")
    file = tmp_path / "model" / f"model.{runtime}"
    whole = file.read_bytes()
    file.unlink()
    if damage != "absent":
        file.write_bytes(whole[: len(whole) // 2] if damage == "truncated" else b"rubbish")
    with pytest.raises(ModelError, match="dvc repro"):
        load(tmp_path / "model")


@pytest.mark.parametrize("about", [None, "{", '{"task": "binary"}', "[]"])
def test_folder_without_a_model(about: str | None, tmp_path: Path) -> None:
    if about is not None:
        (tmp_path / ABOUT).write_text(about)
    with pytest.raises(ModelError, match="dvc repro"):
        load(tmp_path)
