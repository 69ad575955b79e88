"""A fitted model as it runs, in ONNX Runtime or scikit-learn, behind one `predict`."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from .. import owner
from ..contract import Task
from ..errors import ProjectError
from . import archive

ONNX = "model.onnx"
SKOPS = "model.skops"
ABOUT = "training.json"
BATCH = 100_000

# The types that a skops file may hold beyond those that skops itself trusts. Kept here and not
# read from the file: a file that names its own trusted types protects against nothing.
TRUSTED = (
    "mlops.runtime.target_encoding.TargetEncoded",
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
    (rows, classes). Regression: float64 (rows,). `width` is how many features the file says
    that it takes, where it does.
    """

    runtime: str
    task: Task
    answer: Predict
    width: int | None = None

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Predict in blocks of rows, so that memory beyond the result stays flat."""
        if len(matrix) <= BATCH:
            return self.answer(matrix)
        blocks = range(0, len(matrix), BATCH)
        return np.concatenate([self.answer(matrix[i : i + BATCH]) for i in blocks])


def load(folder: Path, threads: int = 1) -> Model:
    """Load the model of a folder (model/ or a bundle) as `parsed` does."""
    present = [name for name in (ABOUT, ONNX, SKOPS) if (folder / name).is_file()]
    return parsed({name: (folder / name).read_bytes() for name in present}, threads)


def parsed(files: Mapping[str, bytes], threads: int = 1) -> Model:
    """Return the model that files hold.

    Raises ModelError where they hold none, or a skops file holds a type that TRUSTED does not
    list.
    """
    try:
        about = json.loads(files[ABOUT])
        task, runtime = about["task"], about["runtime"]
        known = task in get_args(Task) and runtime in ("onnx", "skops")
        content = files[ONNX if runtime == "onnx" else SKOPS] if known else None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"there is no readable {ABOUT}, or no model: run `dvc repro`") from error
    if content is None:
        raise ModelError(f"{ABOUT} names no known task and runtime: run `dvc repro`")
    if runtime == "onnx":
        session = _session(content, threads)
        width = session.get_inputs()[0].shape[-1]  # a name, where the file leaves it open
        known_width = width if isinstance(width, int) else None
        return Model(runtime, task, _answers(session, task), known_width)
    fitted = skops(content)
    return Model(runtime, task, estimator(fitted, task), getattr(fitted, "n_features_in_", None))


def onnx(content: bytes, task: Task, threads: int = 1) -> Predict:
    """Return what predicts with the content of an ONNX file."""
    return _answers(_session(content, threads), task)


def _session(content: bytes, threads: int) -> Any:
    # The key that names the file of a tensor that is kept outside; nothing else in a model that
    # takes a matrix and gives numbers says it, and ONNX Runtime would read that file.
    if b"location" in content:
        raise ModelError(f"{ONNX} refers to data outside of it: run `dvc repro`")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        if [len(one.shape) for one in session.get_inputs()] != [2]:
            raise ModelError(f"{ONNX} does not take one matrix: run `dvc repro`")
    except ModelError:
        raise
    except Exception as error:  # onnxruntime raises classes of its own that share no base
        raise ModelError(f"{ONNX} is no ONNX model that loads: run `dvc repro`") from error
    return session


def _answers(session: Any, task: Task) -> Predict:
    source = session.get_inputs()[0].name
    answer = session.get_outputs()[-1].name

    def predict(matrix: np.ndarray) -> np.ndarray:
        values = session.run([answer], {source: matrix})[0].astype(np.float64)
        return _shaped(values, task)

    return predict


def skops(content: bytes) -> object:
    """Load an estimator from a skops file, refusing any type that is not on the allow-list."""
    try:
        if fault := archive.fault(content):
            raise ModelError(f"{SKOPS} {fault}: run `dvc repro`")
        from skops.io import get_untrusted_types, loads

        known = [*TRUSTED, *_owned()]
        foreign = sorted(set(get_untrusted_types(data=content)) - set(known))
        if foreign:
            raise ModelError(
                f"{SKOPS} holds types that are not on the allow-list: {', '.join(foreign)}: if the "
                "file is yours, add them to TRUSTED in src/project/estimators.py"
            )
        return loads(content, trusted=known)
    except ModelError:
        raise
    except ImportError as error:
        raise ModelError(
            f"{SKOPS} needs scikit-learn and skops: install requirements/serve-skops.txt"
        ) from error
    except Exception as error:  # a damaged archive fails in many ways
        raise ModelError(f"{SKOPS} is no skops file that loads: run `dvc repro`") from error


def _owned() -> list[str]:
    """Return the types of src/project/estimators.py, and those that its TRUSTED names."""
    module = owner.module("project.estimators")
    if module is None:
        return []
    own = [kind for kind in vars(module).values() if isinstance(kind, type)]
    defined = [f"{k.__module__}.{k.__qualname__}" for k in own if k.__module__ == module.__name__]
    return [*defined, *getattr(module, "TRUSTED", ())]


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


def farthest(answers: np.ndarray, expected: np.ndarray, task: Task = "binary") -> float:
    """Return the largest difference, relative above 1; infinite where shapes differ.

    Of a regression it is relative to the largest answer too, where that is below 1: where targets
    are around a millionth, a millionth is far.
    """
    if answers.shape != expected.shape:
        return float("inf")
    sizes, least = np.abs(expected), 1.0
    if task == "regression":
        least = min(1.0, float(sizes.max(initial=0.0))) or 1.0
    return float((np.abs(answers - expected) / np.maximum(least, sizes)).max(initial=0.0))
