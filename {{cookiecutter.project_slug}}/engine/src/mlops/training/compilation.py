"""From a fitted estimator to the file that runs: ONNX where it converts and agrees, else skops."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ..contract import Task
from ..errors import ProjectError
from ..runtime.model import ONNX, SKOPS, Predict, estimator, farthest, onnx, skops
from .probes import probes, spread
from .trees import lookups
from .trees.conversion import Trees, read

THRESHOLDS = 3  # of a column, that a bundle's rows stand on
OPSET = {"": 21, "ai.onnx.ml": 3}


class CompilationError(ProjectError):
    """The model has no form that may be released."""


class Compiled(NamedTuple):
    """Which runtime the model file is for, how far it is from scikit-learn, and why not ONNX.

    `thresholds` has some of those at which a model of trees changes its answer, by column.
    """

    runtime: Literal["onnx", "skops"]
    difference: float
    reason: str = ""
    thresholds: Mapping[int, Sequence[float]] = {}


def compile_model(
    fitted: Any,
    task: Task,
    holdout: np.ndarray,
    folder: Path,
    *,
    runtime: Literal["auto", "onnx", "skops"],
    tolerance: float,
) -> Compiled:
    """Write the model file into `folder` after comparing it with `fitted` on the holdout matrix.

    Raises CompilationError where ONNX is demanded and fails, and where even the skops file
    answers otherwise than the estimator that was fitted.
    """
    expected = estimator(fitted, task)
    reason = "training.runtime is skops"
    if runtime != "skops":
        compiled = _try_onnx(fitted, task, expected, holdout, folder, tolerance)
        if not (reason := compiled.reason):
            return compiled
        if runtime == "onnx":
            raise CompilationError(f"{reason}: set training.runtime to auto, or change the model")
    return Compiled("skops", _write_skops(fitted, task, expected, holdout, folder), reason)


def difference(
    expected: Predict, actual: Predict, matrix: np.ndarray, task: Task = "binary"
) -> float:
    """Return how far the answers for the rows are, infinitely where one is no number."""
    largest = farthest(actual(matrix), expected(matrix), task)
    return largest if np.isfinite(largest) else float("inf")


def _try_onnx(
    fitted: Any,
    task: Task,
    expected: Predict,
    holdout: np.ndarray,
    folder: Path,
    tolerance: float,
) -> Compiled:
    """Write model.onnx and return its difference, or write nothing and return why."""
    try:
        trees = read(fitted)
        converted = _written(trees, fitted, task, holdout.shape[1])
        answer = onnx(converted, task)
        gap = difference(expected, answer, holdout, task)
        thresholds = {} if trees is None else trees.thresholds()
        made = _answered(expected, probes(holdout, thresholds))
        beyond = difference(expected, answer, made, task)
    except Exception as error:  # converters raise whatever their estimator makes them raise
        reason = f"it does not convert to ONNX ({_first_line(error)})"
        return Compiled("onnx", float("inf"), reason)
    for far, where in ((gap, "the holdout"), (beyond, f"{len(made)} rows made from the holdout")):
        if not far <= tolerance:
            reason = (
                f"ONNX answers differ from the fitted model's by {far:.2g} on {where}, more than "
                f"training.tolerance {tolerance:g}"
            )
            return Compiled("onnx", far, reason)
    (folder / ONNX).write_bytes(converted)
    return Compiled("onnx", max(gap, beyond), "", _some(thresholds))


def _some(thresholds: Mapping[int, np.ndarray]) -> dict[int, list[float]]:
    """Return at most THRESHOLDS of each column's, evenly over their order."""
    return {
        column: spread(values, THRESHOLDS).tolist()
        for column, values in thresholds.items()
        if len(values)
    }


def _answered(expected: Predict, rows: np.ndarray) -> np.ndarray:
    """Return the rows that the fitted model takes: some take no missing value."""
    try:
        expected(rows)
    except ValueError:
        return rows[np.isfinite(rows).all(axis=1)]
    return rows


def convert(fitted: Any, task: Task, width: int) -> bytes:
    """Return the estimator as ONNX, for a float32 input of `width` columns.

    Trees are read and written exactly; skl2onnx converts everything else.
    """
    return _written(read(fitted), fitted, task, width)


def _written(trees: Trees | None, fitted: Any, task: Task, width: int) -> bytes:
    if trees is not None:
        return trees.onnx(task, width)
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    lookups.register()
    inverse = getattr(fitted, "inverse_func", None)
    if inverse is not None:  # no converter knows it, so its regressor is converted and it is added
        fitted = fitted.regressor_
    options = {} if task == "regression" else {id(fitted): {"zipmap": False}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = to_onnx(
            fitted,
            initial_types=[("features", FloatTensorType([None, width]))],
            options=options,
            target_opset=OPSET,
        )
    if inverse is not None:
        _add_inverse(model.graph, inverse)
    return bytes(model.SerializeToString())


def _add_inverse(graph: Any, inverse: Any) -> None:
    """Have a graph give the inverse of a transformed target in place of its output."""
    from onnx import TensorProto, helper

    (output,) = graph.output
    source, name = output.name, "prediction"
    if inverse is np.square:
        nodes = [helper.make_node("Mul", [source, source], [name])]
    elif inverse is np.exp:
        nodes = [helper.make_node("Exp", [source], [name])]
    else:
        graph.initializer.append(helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]))
        nodes = [
            helper.make_node("Exp", [source], ["grown"]),
            helper.make_node("Sub", ["grown", "one"], [name]),
        ]
    graph.node.extend(nodes)
    graph.output.pop()
    shape = [dimension.dim_value or None for dimension in output.type.tensor_type.shape.dim]
    graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


def _write_skops(
    fitted: Any, task: Task, expected: Predict, holdout: np.ndarray, folder: Path
) -> float:
    from skops.io import dumps

    written = dumps(fitted)
    (folder / SKOPS).write_bytes(written)
    gap = difference(expected, estimator(skops(written), task), holdout, task)
    if gap > 0.0:
        raise CompilationError(
            f"the skops file answers otherwise than the fitted model (by {gap:.2g}): choose "
            "another estimator"
        )
    return gap


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:160]
