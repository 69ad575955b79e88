"""From a fitted estimator of trees or a linear one to ONNX, with what is put around it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...contract import Task
from ...runtime.target_encoding import TargetEncoded
from . import catboost, ebm, forest, histogram, lightgbm, linear, xgboost
from .ensemble import Ensemble, Numbers
from .lookups import encoded
from .steps import Axis, tree
from .writing import DOMAIN, Graph, linked, sums

Model = Ensemble | linear.Linear
Reader = Callable[[Any], Model]
IR_VERSION, OPSET = 10, 21
READERS: dict[str, dict[str, Reader]] = {
    "lightgbm": {"LGBMClassifier": lightgbm.read, "LGBMRegressor": lightgbm.read},
    "xgboost": {
        "XGBClassifier": xgboost.read,
        "XGBRegressor": xgboost.read,
        "XGBRFClassifier": xgboost.read,
        "XGBRFRegressor": xgboost.read,
    },
    "catboost": {"CatBoostClassifier": catboost.read, "CatBoostRegressor": catboost.read},
    "interpret": {
        "ExplainableBoostingClassifier": ebm.read,
        "ExplainableBoostingRegressor": ebm.read,
    },
    "sklearn": {
        "HistGradientBoostingClassifier": histogram.read,
        "HistGradientBoostingRegressor": histogram.read,
        "GradientBoostingClassifier": forest.read_boosting,
        "GradientBoostingRegressor": forest.read_boosting,
        "RandomForestClassifier": forest.read,
        "RandomForestRegressor": forest.read,
        "ExtraTreesClassifier": forest.read,
        "ExtraTreesRegressor": forest.read,
        "DecisionTreeClassifier": forest.read,
        "DecisionTreeRegressor": forest.read,
        "LogisticRegression": linear.read,
        **dict.fromkeys(linear.LINKS, linear.read),
    },
}


class Layers(NamedTuple):
    """An estimator of trees or a linear one, and what is done before and after it.

    `encoding` replaces codes of categories, `prepared` makes indicators and scaled numbers (for a
    linear model alone), `medians` replace missing values, `calibrators` are those of
    each class that has one, and `inverse` takes a transformed target back.
    """

    trees: Any
    reader: Reader
    encoding: TargetEncoded | None = None
    prepared: Any = None
    medians: np.ndarray | None = None
    calibrators: tuple[Any, ...] = ()
    inverse: Callable[..., Any] | None = None


class Trees(NamedTuple):
    """The trees of an estimator, or its weights, and what scikit-learn has around them."""

    layers: Layers
    ensemble: Model

    def thresholds(self) -> dict[int, Numbers]:
        """Return the thresholds of each column of the matrix, in order: an encoding has none."""
        found, encoding = self.ensemble.thresholds(), self.layers.encoding
        if encoding is None:
            return found
        columns = set(range(encoding.n_features_in_)) - set(encoding.columns)
        return {column: values for column, values in found.items() if column in columns}

    def onnx(self, task: Task, width: int) -> bytes:
        """Return what answers as the estimator, for a float32 matrix (rows, width).

        The output is float64: (rows, classes) probabilities, or (rows, 1) predictions.
        """
        from onnx import TensorProto, helper

        graph, source = Graph(), "features"
        if self.layers.encoding is not None:
            source = encoded(graph, source, self.layers.encoding)
        if self.layers.medians is not None:
            there = graph.constant(self.layers.medians, np.float32)
            source = graph.add("Where", graph.add("IsNaN", source), there, source)
        if isinstance(self.ensemble, linear.Linear):
            raw = linear.sums(graph, source, self.ensemble)
        else:
            matrix = graph.add("Cast", source, to=TensorProto.DOUBLE)
            stepped = any(hasattr(one, "X_thresholds_") for one in self.layers.calibrators)
            raw = sums(graph, matrix, self.ensemble.apart() if stepped else self.ensemble)
        _answer(graph, raw, self.ensemble, self.layers, task)
        name = "prediction" if task == "regression" else "probabilities"
        graph.nodes[-1].output[0] = name
        classes = max(2, len(self.ensemble.base)) if task != "regression" else 1
        made = helper.make_graph(
            graph.nodes,
            "trees",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])],
            [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, classes])],
            graph.constants,
        )
        domains = (("", OPSET), (DOMAIN, graph.opset))
        model = helper.make_model(
            made,
            opset_imports=[helper.make_opsetid(name, version) for name, version in domains],
            ir_version=IR_VERSION,
            producer_name="mlops",
        )
        return bytes(model.SerializeToString(deterministic=True))


def read(fitted: Any) -> Trees | None:
    """Return the trees or the weights of an estimator; None where it has neither.

    Raises UnreadableError for trees that the runtime has none of.
    """
    layers = _layers(fitted)
    if layers is None:
        return None
    model: Model | None = layers.reader(layers.trees)
    if layers.prepared is not None:
        known = model if isinstance(model, linear.Linear) else None
        model = known and linear.behind(known, layers.prepared)
    return None if model is None else Trees(layers, model)


def _layers(fitted: Any) -> Layers | None:
    """Return the estimator of trees within, and what is around it; None where there is none."""
    for kind in type(fitted).__mro__:  # an owner's class may be one of these with another fit
        package = kind.__module__.partition(".")[0]
        if (reader := READERS.get(package, {}).get(kind.__name__)) is not None:
            return Layers(fitted, reader)
    name = type(fitted).__name__
    if not type(fitted).__module__.startswith("sklearn."):
        return None
    if name == "TransformedTargetRegressor" and fitted.inverse_func is not None:
        inner = _layers(fitted.regressor_)
        return inner and inner._replace(inverse=fitted.inverse_func)
    if name == "Pipeline":
        return _prepared([step for _, step in fitted.steps])
    if name == "CalibratedClassifierCV" and fitted.method in ("sigmoid", "isotonic"):
        (only, *more) = fitted.calibrated_classifiers_
        inner = None if more else _layers(only.estimator)
        return inner and inner._replace(calibrators=tuple(only.calibrators))
    return None


def _prepared(steps: Sequence[Any]) -> Layers | None:
    """Return the layers of a pipeline: an encoding, then an imputation or indicators."""
    (first, *rest) = steps
    if not rest:
        return _layers(first)
    inner = _prepared(rest)
    if inner is None or inner.encoding is not None:
        return None
    if isinstance(first, TargetEncoded):
        return inner._replace(encoding=first)
    if inner.medians is not None or inner.prepared is not None:
        return None
    if type(first).__name__ == "SimpleImputer":
        return inner._replace(medians=np.asarray(first.statistics_, np.float32))
    return inner._replace(prepared=first) if type(first).__name__ == "ColumnTransformer" else None


def _answer(graph: Graph, raw: str, ensemble: Model, layers: Layers, task: Task) -> str:
    if task == "regression":
        return _inverse(graph, linked(graph, raw, ensemble), layers.inverse)
    if layers.calibrators:
        return _calibrated(graph, raw, ensemble, layers)
    found = linked(graph, raw, ensemble)
    if len(ensemble.base) > 1:
        return graph.add("Identity", found)
    return _both(graph, found)


def _both(graph: Graph, second: str) -> str:
    first = graph.add("Sub", graph.constant(1.0), second)
    return graph.add("Concat", first, second, axis=1)


def _calibrated(graph: Graph, raw: str, ensemble: Model, layers: Layers) -> str:
    """Add the calibration of each class, of what scikit-learn fitted it to, and their shares."""
    scores = raw if hasattr(layers.trees, "decision_function") else linked(graph, raw, ensemble)
    if len(layers.calibrators) == 1:
        if len(ensemble.base) > 1:
            scores = _column(graph, scores, len(ensemble.base) - 1)
        return _both(graph, _one(graph, scores, layers.calibrators[0]))
    columns = [
        _one(graph, _column(graph, scores, at), calibrator)
        for at, calibrator in enumerate(layers.calibrators)
    ]
    found = graph.add("Concat", *columns, axis=1)
    total = graph.add("ReduceSum", found, graph.constant([1], np.int64))
    none = graph.add("Equal", total, graph.constant(0.0))
    even = graph.constant(1.0 / len(columns))
    return graph.add("Where", none, even, graph.add("Div", found, total))


def _one(graph: Graph, scores: str, calibrator: Any) -> str:
    """Add Platt's sigmoid, or isotonic regression: straight lines between its thresholds."""
    from onnx import TensorProto

    if hasattr(calibrator, "a_"):
        grown = graph.add("Mul", scores, graph.constant(-calibrator.a_))
        return graph.add("Sigmoid", graph.add("Sub", grown, graph.constant(calibrator.b_)))
    x, y = (
        np.asarray(one, np.float64) for one in (calibrator.X_thresholds_, calibrator.y_thresholds_)
    )
    if len(x) == 1:
        x, y = np.array([x[0], x[0] + 1]), np.repeat(y, 2)
    within = graph.add("Max", scores, graph.constant(x[0]))
    within = graph.add("Min", within, graph.constant(x[-1]))
    pieces = np.arange(len(x) - 1)
    which = tree([Axis(0, x[1:-1], pieces)], pieces.astype(np.float64)[:, None])
    piece = sums(graph, within, Ensemble([which], (0.0,)))
    number = graph.add("Cast", piece, to=TensorProto.INT64)
    slope, start, height = (
        graph.add("Gather", graph.constant(one), number)
        for one in (np.diff(y) / np.diff(x), x[:-1], y[:-1])
    )
    risen = graph.add("Mul", slope, graph.add("Sub", within, start))
    return graph.add("Add", risen, height)


def _column(graph: Graph, scores: str, at: int) -> str:
    return graph.add("Gather", scores, graph.constant([at], np.int64), axis=1)


def _inverse(graph: Graph, answer: str, inverse: Callable[..., Any] | None) -> str:
    if inverse is None:
        return graph.add("Identity", answer)
    if inverse is np.square:
        return graph.add("Mul", answer, answer)
    grown = graph.add("Exp", answer)
    if inverse is np.exp:
        return grown
    return graph.add("Sub", grown, graph.constant(1.0))
