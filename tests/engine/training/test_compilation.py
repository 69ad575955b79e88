"""What is compiled answers as what was fitted, or is refused."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlops.contract import Task
from mlops.runtime.model import estimator, load, onnx
from mlops.runtime.target_encoding import TargetEncoded
from mlops.training.compilation import CompilationError, compile_model, difference

RNG = np.random.default_rng(1)
MATRIX = RNG.normal(size=(400, 4)).astype(np.float32)
TARGET = (MATRIX[:, 0] + RNG.normal(size=400) > 0).astype(int)
BOOSTING = HistGradientBoostingClassifier(max_iter=20)


def test_a_model_that_converts_and_agrees_becomes_onnx(tmp_path: Path) -> None:
    compiled = compile_model(
        BOOSTING.fit(MATRIX, TARGET), "binary", MATRIX, tmp_path, runtime="auto", tolerance=1e-5
    )
    assert compiled.runtime == "onnx"
    assert compiled.difference <= 1e-5
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def test_the_same_fit_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        fitted = BOOSTING.fit(MATRIX, TARGET)
        compile_model(fitted, "binary", MATRIX, tmp_path / name, runtime="onnx", tolerance=1e-5)
    one, two = ((tmp_path / name / "model.onnx").read_bytes() for name in "ab")
    assert one == two


@pytest.mark.parametrize(
    ("fitted", "reason"),
    [
        (DummyClassifier(), "does not convert"),
        # ONNX has no isotonic step that agrees: a silent error that only the comparison sees.
        (CalibratedClassifierCV(BOOSTING, method="isotonic", cv=3), "differ from the fitted model"),
    ],
)
def test_otherwise_it_becomes_skops_and_says_why(
    fitted: DummyClassifier, reason: str, tmp_path: Path
) -> None:
    fitted.fit(MATRIX, TARGET)
    compiled = compile_model(fitted, "binary", MATRIX, tmp_path, runtime="auto", tolerance=1e-5)
    assert compiled.runtime == "skops"
    assert reason in compiled.reason
    assert [p.name for p in tmp_path.iterdir()] == ["model.skops"]
    with pytest.raises(CompilationError, match=reason):
        compile_model(fitted, "binary", MATRIX, tmp_path, runtime="onnx", tolerance=1e-5)


def test_tolerance_is_kept(tmp_path: Path) -> None:
    fitted = LogisticRegression().fit(MATRIX, TARGET)  # scikit-learn multiplies in float32
    with pytest.raises(CompilationError, match="differ from the fitted model"):
        compile_model(fitted, "binary", MATRIX, tmp_path, runtime="onnx", tolerance=1e-12)


def test_nan_answers_are_infinitely_far() -> None:
    right = estimator(BOOSTING.fit(MATRIX, TARGET), "binary")
    assert difference(right, lambda m: np.full(len(m), np.nan), MATRIX) == np.inf
    assert difference(right, right, MATRIX) == 0.0


@pytest.mark.parametrize("classes", [2, 3])
def test_linear_models_behind_a_target_encoding_become_onnx(classes: int, tmp_path: Path) -> None:
    codes = RNG.integers(0, 30, (400, 2)).astype(np.float32)
    codes[::17] = np.nan
    matrix = np.column_stack([MATRIX[:, :2], codes])
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    scaled = ColumnTransformer([("numbers", numbers, [*range(4 if classes == 2 else 8)])])
    model = make_pipeline(TargetEncoded((2, 3), classes), scaled, LogisticRegression())
    fitted = model.fit(matrix, np.arange(400) % classes)
    task: Task = "binary" if classes == 2 else "multiclass"
    compile_model(fitted, task, matrix, tmp_path, runtime="onnx", tolerance=1e-5)
    asked = np.array([[0, 0, code, 29] for code in (-1, 0, 0.5, 30, 3e38, np.nan)], np.float32)
    answers = onnx((tmp_path / "model.onnx").read_bytes(), task)(asked)
    np.testing.assert_allclose(answers, estimator(fitted, task)(asked), atol=1e-5)


def test_a_target_encoding_runs_in_skops(tmp_path: Path) -> None:
    fitted = make_pipeline(TargetEncoded((1,)), LinearDiscriminantAnalysis()).fit(MATRIX, TARGET)
    compile_model(fitted, "binary", MATRIX, tmp_path, runtime="skops", tolerance=1e-5)
    (tmp_path / "training.json").write_text('{"task": "binary", "runtime": "skops"}')
    model = load(tmp_path)
    assert model.width == 4
    np.testing.assert_array_equal(model.predict(MATRIX), estimator(fitted, "binary")(MATRIX))
