"""Linear models, with the indicators and scaled numbers that estimators.py puts before them.

An indicator times its coefficient is a look-up by the code, however many labels there are.
"""

from typing import Any, NamedTuple

import numpy as np

from .ensemble import Link, Numbers, UnreadableError
from .lookups import looked_up
from .writing import Graph

LINKS: dict[str, Link] = {
    "LinearRegression": "identity",
    "Ridge": "identity",
    "Lasso": "identity",
    "ElasticNet": "identity",
    "PoissonRegressor": "exp",
    "GammaRegressor": "exp",
}
PARTS = ["categories", "numbers"]


class Lookup(NamedTuple):
    """What the codes of a column add to each target: a row a code, and one for all others."""

    column: int
    codes: np.ndarray
    values: Numbers
    missing: float


class Scaled(NamedTuple):
    """Numbers in float32, as scikit-learn has them: a missing one is `medians`, then scaled."""

    columns: list[int]
    medians: np.ndarray
    mean: np.ndarray
    scale: np.ndarray


class Linear(NamedTuple):
    """A weighted sum for each target: of look-ups, and of numbers or of the whole matrix.

    `coefficients` is (numbers, targets); `base`, `link` and `slope` are as those of an ensemble.
    """

    coefficients: Numbers
    base: tuple[float, ...]
    link: Link
    lookups: tuple[Lookup, ...] = ()
    numbers: Scaled | None = None
    slope: float = 1.0

    def thresholds(self) -> dict[int, Numbers]:
        """Return none: it has none."""
        return {}


def read(fitted: Any) -> Linear:
    """Read a linear model of scikit-learn.

    Raises UnreadableError for one of several targets, or of classes one by one.
    """
    name = type(fitted).__name__
    coefficients = np.atleast_2d(np.asarray(fitted.coef_, np.float64))
    base = np.broadcast_to(np.asarray(fitted.intercept_, np.float64), len(coefficients))
    if name == "LogisticRegression":
        if len(coefficients) > 1 and fitted.solver == "liblinear":
            raise UnreadableError("liblinear fits each class against all others")
        link: Link = "softmax" if len(coefficients) > 1 else "logistic"
    else:
        link = LINKS[name]
        if len(coefficients) > 1:
            raise UnreadableError("it has several targets")
    return Linear(coefficients.T, tuple(base.tolist()), link)


def behind(model: Linear, prepared: Any) -> Linear | None:
    """Return the model of the matrix before its preparation; None where that is another one."""
    parts = {name: (step, list(columns)) for name, step, columns in prepared.transformers_}
    if list(parts) != PARTS or prepared.sparse_output_:
        return None
    lookups, used = [], 0
    step, columns = parts["categories"]
    if columns:
        imputer, onehot = (one for _, one in step.steps)
        for column, codes in zip(columns, onehot.categories_, strict=True):
            own = model.coefficients[used : used + len(codes)]
            others = np.zeros((1, own.shape[1]))
            values, missing = np.concatenate([own, others]), float(imputer.fill_value)
            lookups.append(Lookup(column, np.asarray(codes, np.float32), values, missing))
            used += len(codes)
    numbers = None
    step, columns = parts["numbers"]
    if columns:
        imputer, scaler = (one for _, one in step.steps)
        told = (imputer.statistics_, scaler.mean_, scaler.scale_)
        numbers = Scaled(columns, *(np.asarray(one, np.float32) for one in told))
    return model._replace(
        coefficients=model.coefficients[used:], lookups=tuple(lookups), numbers=numbers
    )


def sums(graph: Graph, source: str, model: Linear) -> str:
    """Add the sums: from the matrix to (rows, targets) in double."""
    from onnx import TensorProto

    terms = [
        looked_up(graph, source, one.column, one.codes, one.values, one.missing)
        for one in model.lookups
    ]
    matrix = source
    if model.numbers is not None:
        columns, medians, mean, scale = model.numbers
        matrix = graph.add("Gather", source, graph.constant(columns, np.int64), axis=1)
        constants = [graph.constant(one, np.float32) for one in (medians, mean, scale)]
        matrix = graph.add("Where", graph.add("IsNaN", matrix), constants[0], matrix)
        matrix = graph.add("Div", graph.add("Sub", matrix, constants[1]), constants[2])
    if len(model.coefficients):
        double = graph.add("Cast", matrix, to=TensorProto.DOUBLE)
        terms.append(graph.add("MatMul", double, graph.constant(model.coefficients)))
    return graph.add("Sum", *terms, graph.constant(model.base))
