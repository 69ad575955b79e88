"""A fitted model as it runs, in ONNX Runtime or scikit-learn, behind one `predict`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..contract import Task
from ..errors import ProjectError

ONNX = "model.onnx"
SKOPS = "model.skops"
ABOUT = "training.json"
BATCH = 100_000

# The types that a skops file may hold beyond those that skops itself trusts. Kept here and not
# read from the file: a file that names its own trusted types protects against nothing.
TRUSTED = (
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn._loss._loss.CyHalfSquaredError",
    "sklearn.tree._tree.Tree",
    "numpy.dtype",
)

Predict = Callable[[np.ndarray], np.ndarray]


class ModelError(ProjectError):
    """A model file cannot be loaded or does not answer."""


class Model(NamedTuple):
    """A model that answers for the float32 matrix (rows, features).

    Binary: float64 (rows,), the probability of the last label. Multiclass: float64
    (rows, classes). Regression: float64 (rows,).
    """

    runtime: str
    task: Task
    answer: Predict

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Predict in blocks of rows, so that memory beyond the result stays flat."""
        if len(matrix) <= BATCH:
            return self.answer(matrix)
        blocks = range(0, len(matrix), BATCH)
        return np.concatenate([self.answer(matrix[i : i + BATCH]) for i in blocks])


def load(folder: Path, threads: int = 1) -> Model:
    """Load the model of a folder (model/ or a bundle).

    Raises ModelError where the folder holds no model, or a skops file holds a type that
    TRUSTED does not list.
    """
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        task, runtime = about["task"], about["runtime"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder} holds no readable {ABOUT}: run `dvc repro`") from error
    if runtime == "onnx":
        return Model(runtime, task, onnx(folder / ONNX, task, threads))
    return Model(runtime, task, estimator(skops(folder / SKOPS), task))


def onnx(path: Path, task: Task, threads: int = 1) -> Predict:
    """Return what predicts with an ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime raises classes of its own that share no base
        raise ModelError(f"{path} is no ONNX model that loads: run `dvc repro`") from error
    source = session.get_inputs()[0].name
    answer = session.get_outputs()[-1].name

    def predict(matrix: np.ndarray) -> np.ndarray:
        values = session.run([answer], {source: matrix})[0].astype(np.float64)
        return _shaped(values, task)

    return predict


def skops(path: Path) -> object:
    """Load an estimator from a skops file, refusing any type that is not on the allow-list."""
    from skops.io import get_untrusted_types, load

    try:
        foreign = sorted(set(get_untrusted_types(file=path)) - set(TRUSTED))
        if foreign:
            raise ModelError(
                f"{path} holds types that are not on the allow-list: {', '.join(foreign)}: if the "
                "file is yours, add them to TRUSTED in src/mlops/runtime/model.py"
            )
        return load(path, trusted=list(TRUSTED))
    except ModelError:
        raise
    except Exception as error:  # a damaged archive fails in many ways
        raise ModelError(f"{path} is no skops file that loads: run `dvc repro`") from error


def estimator(fitted: object, task: Task) -> Predict:
    """Return what predicts with a fitted scikit-learn estimator."""
    method = "predict" if task == "regression" else "predict_proba"
    answer = getattr(fitted, method)

    def predict(matrix: np.ndarray) -> np.ndarray:
        return _shaped(np.asarray(answer(matrix), dtype=np.float64), task)

    return predict


def _shaped(values: np.ndarray, task: Task) -> np.ndarray:
    if task == "binary":
        return values[:, 1]
    return values if task == "multiclass" else values.reshape(len(values))
