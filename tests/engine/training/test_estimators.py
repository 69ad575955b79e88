"""The estimator is the one that conf/ names, and nothing else can be imported."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops.config.settings import Derived, Model, Training
from mlops.contract import Task
from mlops.errors import ProjectError
from mlops.features.encoding import Encoder
from mlops.runtime.target_encoding import TargetEncoded
from mlops.training import estimators
from mlops.training.estimators import EstimatorError, build, fit

ENCODER = Encoder(("a", "b"), ("a", "b"), (1,), ("a", "b"), {})
LOGISTIC = "sklearn.linear_model.LogisticRegression"


def made(
    target: str, inputs: str = "codes", task: Task = "binary", training: Any = None, **given: Any
) -> Any:
    model = Model(target=target, inputs=inputs, tasks=[task], parameters=given)  # type: ignore[arg-type]
    return build(model, training or Training(), task, ENCODER, seed=3)


def test_parameters_and_seed_arrive() -> None:
    estimator = made("sklearn.ensemble.RandomForestClassifier", n_estimators=7)
    assert estimator.get_params()["n_estimators"] == 7
    assert estimator.get_params()["random_state"] == 3


def test_nested_estimators_are_built() -> None:
    base = {"_target_": "sklearn.linear_model.Ridge", "alpha": 2.0}
    stacked = made("sklearn.ensemble.BaggingRegressor", task="regression", estimator=base)
    assert stacked.estimator.alpha == 2.0


def test_class_weight_arrives() -> None:
    assert made(LOGISTIC, training=Training(class_weight="balanced")).class_weight == "balanced"


def test_onehot_takes_missing_and_unseen_codes() -> None:
    matrix = np.array([[1, 0], [2, 1], [np.nan, 2], [4, np.nan]], np.float32)
    fitted = made(LOGISTIC, inputs="onehot").fit(matrix, [0, 1, 0, 1])
    assert np.isfinite(fitted.predict_proba(np.array([[0, 9], [np.nan, np.nan]]))).all()


@pytest.mark.parametrize(
    ("target", "named", "told"),
    [
        ("sklearn.ensemble.HistGradientBoostingClassifier", "categorical_features", [1]),
        ("xgboost.XGBClassifier", "feature_types", ["q", "c"]),
        (
            "interpret.glassbox.ExplainableBoostingClassifier",
            "feature_types",
            ["continuous", "nominal"],
        ),
    ],
)
def test_an_estimator_is_told_which_columns_are_categories(
    target: str, named: str, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimators, "_locked", lambda _: {"xgboost", "interpret"})
    estimator = made(target, inputs="categories")
    assert estimator.get_params()[named] == told


@pytest.mark.parametrize("around", ["nothing", "a transformation"])
def test_lightgbm_is_told_when_it_is_fitted(around: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimators, "_locked", lambda _: {"lightgbm"})
    training = Training(transform="none" if around == "nothing" else "sqrt")
    settings = {"n_estimators": 3, "verbosity": -1, "n_jobs": 1}
    given = {"inputs": "categories", "task": "regression", "training": training}
    unfitted = made("lightgbm.LGBMRegressor", **given, **settings)
    codes = np.arange(400) % 4
    matrix = np.stack([np.zeros(400), codes], axis=1).astype(np.float32)
    fitted = fit(unfitted, matrix, np.array([9.0, 1.0, 8.0, 2.0])[codes], categorical=(1,))
    inner = getattr(fitted, "regressor_", fitted)
    assert "cat_threshold" in inner.booster_.model_to_string()


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("sklearn.ensemble.HistGradientBoostingClassifier", "interaction_cst"),
        ("lightgbm.LGBMClassifier", "interaction_constraints"),
        ("xgboost.XGBClassifier", "interaction_constraints"),
    ],
)
def test_what_may_act_together_is_named_by_column(
    target: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimators, "_locked", lambda _: {"lightgbm", "xgboost"})
    encoder = Encoder(("a", "b", "c"), ("a", "b", "c"), (), ("a", "b", "c"), {})
    model = Model(target, "codes", ["binary"], {}, interaction_constraints=[["c", "a"]])
    made = build(model, Training(), "binary", encoder, seed=3)
    assert made.get_params()[named] == [[2, 0], [1]]
    if target.startswith("xgboost"):
        return  # its own tests hold that it follows
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 2, (2000, 3)).astype(np.float32)
    made.set_params(**({"verbosity": -1, "n_jobs": 1} if target.startswith("light") else {}))
    made.fit(rows, (rows[:, 0] != rows[:, 1]).astype(int))  # a and b alone tell nothing
    assert np.ptp(made.predict_proba(rows)[:, 1]) < 0.2


def test_a_feature_of_several_columns_is_constrained_by_its_name() -> None:
    derived = {"b": Derived("cycle", ["at"], "me", arguments={"of": "day"})}
    encoder = Encoder(("a", "at"), ("a", "b_0", "b_1"), (), ("a",), derived)
    target = "sklearn.ensemble.HistGradientBoostingClassifier"
    named = {"monotonic": {"b": 1}, "interaction_constraints": [["b"]]}
    made = build(Model(target, "codes", ["binary"], {}, **named), Training(), "binary", encoder, 3)
    assert made.get_params()["monotonic_cst"] == (0, 1, 1)
    assert made.get_params()["interaction_cst"] == [[1, 2], [0]]
    model = Model(target, "codes", ["binary"], {}, monotonic={"b_0": 1})
    with pytest.raises(EstimatorError, match=r"names b_0, which is no feature: choose from a, b$"):
        build(model, Training(), "binary", encoder, 3)


@pytest.mark.parametrize(
    ("target", "group", "said"),
    [
        ("sklearn.ensemble.HistGradientBoostingClassifier", ["z"], "names z, which is no feature"),
        (LOGISTIC, ["a"], "takes no interaction constraints here"),
    ],
)
def test_what_cannot_be_kept_apart_is_refused(target: str, group: list[str], said: str) -> None:
    model = Model(target, "codes", ["binary"], {}, interaction_constraints=[group])
    with pytest.raises(EstimatorError, match=said):
        build(model, Training(), "binary", ENCODER, seed=3)


def test_the_systems_openmp_is_named_where_it_is_missing() -> None:
    """As on a bare Debian, in a process that has not loaded it."""
    code = """
import ctypes
load = ctypes.cdll.LoadLibrary
def fails(path):
    if "lightgbm" in str(path):
        raise OSError("libgomp.so.1: cannot open shared object file")
    return load(path)
ctypes.cdll.LoadLibrary = fails
from mlops.training import estimators
from mlops.config.settings import Model
estimators._locked = lambda _: {"lightgbm"}
try:
    estimators._instantiate(Model("lightgbm.LGBMClassifier", "codes", ["binary"], {}), {})
except estimators.EstimatorError as error:
    print(error)
"""
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True)
    assert "install it (on Debian and Ubuntu libgomp1" in told.stdout


def test_an_estimator_without_categories_is_refused() -> None:
    with pytest.raises(EstimatorError, match="takes no categories as they are"):
        made(LOGISTIC, inputs="categories")


def test_a_package_that_is_not_installed_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimators, "find_spec", lambda _: None)
    asked = Model("absent.Model", "codes", ["binary"], {}, lock="model-absent@0")
    with pytest.raises(EstimatorError, match=r"`make setup` installs requirements/model-absent"):
        build(asked, Training(), "binary", ENCODER, seed=3)


@pytest.mark.parametrize(
    ("target", "given", "said"),
    [
        ("os.system", {"command": "true"}, "os.system is not allowed"),
        ("sklearnx.Model", {}, "is not allowed"),
        (
            "sklearn.ensemble.BaggingClassifier",
            {"estimator": {"_target_": "subprocess.run", "args": "true"}},
            "subprocess.run is not allowed",
        ),
        (
            "sklearn.pipeline.Pipeline",
            {"steps": [["a", {"_target_": "builtins.eval"}]]},
            "builtins.eval is not allowed",
        ),
        ("sklearn.datasets._base.os.system", {"command": "true"}, "is not allowed"),
        (LOGISTIC, {"Cc": 1}, "cannot be built"),
        ("sklearn.linear_model.Nothing", {}, "cannot be built"),
        ("sklearn.metrics.get_scorer_names", {}, "is not allowed"),
        ("sklearn.model_selection.KFold", {}, "is no estimator"),
    ],
)
def test_what_must_not_be_built_is_refused(target: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(EstimatorError, match=said):
        made(target, **given)


@pytest.mark.parametrize(
    ("target", "task", "training", "said"),
    [
        (
            "sklearn.dummy.DummyClassifier",
            "binary",
            Training(class_weight="balanced"),
            "takes none",
        ),
        ("sklearn.linear_model.Ridge", "regression", Training(class_weight="balanced"), "none"),
        ("sklearn.linear_model.Ridge", "regression", Training(calibration="sigmoid"), "no prob"),
    ],
)
def test_settings_that_do_not_apply(target: str, task: Task, training: Any, said: str) -> None:
    with pytest.raises(EstimatorError, match=said):
        made(target, task=task, training=training)


@pytest.mark.parametrize("transform", ["log", "log1p", "sqrt"])
@pytest.mark.parametrize("inputs", ["codes", "imputed"])
def test_a_transformed_target_is_predicted_as_it_is(transform: str, inputs: str) -> None:
    from mlops.runtime.model import farthest, onnx
    from mlops.training.compilation import convert

    rng = np.random.default_rng(0)
    matrix = rng.random((400, 2), dtype=np.float32)
    target = np.exp(2 * matrix[:, 0]) + matrix[:, 1]
    training = Training(transform=transform)  # type: ignore[arg-type]
    model = made(
        "sklearn.ensemble.HistGradientBoostingRegressor",
        inputs,
        "regression",
        training,
        max_iter=50,
    )
    fitted = fit(model, matrix, target)
    answers = fitted.predict(matrix)
    assert np.abs(answers - target).mean() < 0.2 * target.std()
    compiled = onnx(convert(fitted, "regression", 2), "regression")(matrix)
    assert farthest(compiled, answers) < 1e-5


@pytest.mark.parametrize(
    ("transform", "value"), [("log", 0.0), ("log1p", -1.0), ("sqrt", -0.5), ("log", -3.0)]
)
def test_a_target_without_a_transform_is_told(transform: Any, value: float) -> None:
    model = made("sklearn.linear_model.Ridge", "codes", "regression", Training(transform=transform))
    said = f"training.transform is {transform} and 1 targets have none, like {value:g}"
    with pytest.raises(EstimatorError, match=said):
        fit(model, np.ones((3, 2), np.float32), np.array([1.0, value, 2.0]))


def test_a_class_has_no_transform() -> None:
    with pytest.raises(EstimatorError, match="the target is a class: set it to none"):
        made(LOGISTIC, training=Training(transform="log"))


@pytest.mark.parametrize("inputs", ["codes", "imputed", "onehot"])
def test_weights_arrive(inputs: str) -> None:
    matrix = np.array([[0, 0], [0, 0], [1, 1], [1, 1]] * 20, np.float32)
    target = np.array([0, 1, 0, 1] * 20)
    weights = np.array([1.0, 9.0, 1.0, 9.0] * 20)
    fitted = fit(made(LOGISTIC, inputs), matrix, target, weights)
    assert fitted.predict_proba(matrix)[:, 1] == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(
    ("target", "training", "said"),
    [
        ("sklearn.neighbors.KNeighborsClassifier", Training(), "takes no weights"),
        (LOGISTIC, Training(calibration="sigmoid"), "hands no weights"),
    ],
)
def test_a_model_that_takes_no_weights_is_refused(
    target: str, training: Training, said: str
) -> None:
    matrix, labels = np.ones((8, 2), np.float32), np.array([0, 1] * 4)
    with pytest.raises(EstimatorError, match=said):
        fit(made(target, "onehot", training=training), matrix, labels, np.ones(8))


def test_predictions_only_rise_with_what_is_monotonic() -> None:
    target = "sklearn.ensemble.HistGradientBoostingClassifier"
    model = Model(target, "codes", ["binary"], {"max_iter": 30}, monotonic={"a": 1})
    rng = np.random.default_rng(0)
    matrix = rng.random((500, 2), dtype=np.float32)
    labels = (rng.random(500) < 0.5 + 0.3 * np.sin(9 * matrix[:, 0])).astype(int)
    fitted = fit(build(model, Training(), "binary", ENCODER, 3), matrix, labels)
    line = np.column_stack([np.linspace(0, 1, 50), np.full(50, 0.5)]).astype(np.float32)
    assert (np.diff(fitted.predict_proba(line)[:, 1]) >= 0).all()


@pytest.mark.parametrize(
    ("target", "monotonic", "said"),
    [
        (LOGISTIC, {"a": 1}, "takes no monotonic constraints here"),
        ("sklearn.ensemble.HistGradientBoostingClassifier", {"z": 1}, "choose from a, b"),
    ],
)
def test_what_cannot_be_monotonic_is_refused(
    target: str, monotonic: dict[str, Any], said: str
) -> None:
    model = Model(target, "codes", ["binary"], {}, monotonic=monotonic)
    with pytest.raises(EstimatorError, match=said):
        build(model, Training(), "binary", ENCODER, 3)


OWN = """
from sklearn.base import BaseEstimator, ClassifierMixin
import numpy as np
import os

class Share(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.share_ = counts / len(y)
        return self

    def predict_proba(self, X):
        return np.tile(self.share_, (len(X), 1))

class Open(Share):
    def __init__(self, **more):
        self.set_params(**more)

    def set_params(self, **more):
        vars(self).update(more)
        return self

class Shut(Share):
    def __init__(self, **more):
        pass
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Estimators of an owner."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project/__init__.py").touch()
    (tmp_path / "project/estimators.py").write_text(OWN)

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "project"]:
            del sys.modules[name]

    forget()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    forget()


@pytest.mark.usefixtures("own")
def test_constraints_reach_what_takes_parameters_that_it_does_not_name() -> None:
    """As LightGBM's estimators do."""
    model = Model("project.estimators.Open", "codes", ["binary"], {}, monotonic={"b": -1})
    built: Any = build(model, Training(), "binary", ENCODER, 3)
    assert built.monotone_constraints == (0, -1)
    shut = Model("project.estimators.Shut", "codes", ["binary"], {}, monotonic={"b": -1})
    with pytest.raises(EstimatorError, match="does not take monotone_constraints: delete it"):
        build(shut, Training(), "binary", ENCODER, 3)


@pytest.mark.usefixtures("own")
def test_an_estimator_of_the_owners() -> None:
    from skops.io import dumps

    from mlops.runtime.model import skops

    fitted = fit(made("project.estimators.Share"), np.ones((4, 2)), np.array([0, 0, 0, 1]))
    loaded: Any = skops(dumps(fitted))
    assert loaded.predict_proba(np.ones((1, 2))).tolist() == [[0.75, 0.25]]
    with pytest.raises(EstimatorError, match="is not allowed"):
        made("project.estimators.os.system", command="true")


def test_a_class_of_a_locked_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/train.txt").write_text("pandas==3.0.0 \\\n    --hash=sha256:0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EstimatorError, match="is no estimator"):
        made("pandas.DataFrame")
    with pytest.raises(EstimatorError, match="is not allowed"):
        made("pandas.io.common.os.system", command="true")
    with pytest.raises(EstimatorError, match="is not allowed"):
        made("msgspec.Struct")


MANY = Encoder(("a", "b", "c"), ("a", "b", "c"), (1, 2), (), {}, {}, {}, {"b": 3, "c": 60})
HISTOGRAM = "sklearn.ensemble.HistGradientBoostingClassifier"


def encoding(
    target: str = LOGISTIC,
    inputs: str = "onehot",
    asked: Any = "auto",
    training: Training | None = None,
    **given: Any,
) -> Any:
    """Return an estimator of two categories, of which the second has many labels."""
    settings = {name: given.pop(name) for name in ("monotonic",) if name in given}
    model = Model(target, inputs, ["binary"], given, target_encoded=asked, **settings)  # type: ignore[arg-type]
    folds = [(np.arange(at, 300, 2), np.arange(1 - at, 300, 2)) for at in (0, 1)]
    return build(model, training or Training(), "binary", MANY, 3, folds)


def coded(rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of which the third column alone tells the class."""
    rng = np.random.default_rng(0)
    matrix = np.column_stack(
        [rng.normal(size=rows), rng.integers(0, 3, rows), rng.integers(0, 60, rows)]
    )
    return matrix.astype(np.float32), (matrix[:, 2] % 2).astype(int)


@pytest.mark.parametrize(
    ("asked", "columns"), [("auto", (2,)), (["b"], (1,)), (["c", "b"], (1, 2)), ("none", None)]
)
def test_which_categories_are_target_encoded(asked: Any, columns: Any) -> None:
    first = encoding(asked=asked).steps[0][1]
    assert getattr(first, "columns", None) == columns
    if columns is not None:
        left = [at for at in (1, 2) if at not in columns]
        assert encoding(asked=asked).steps[1][1].transformers[0][2] == left


def test_what_is_no_category_is_not_target_encoded() -> None:
    with pytest.raises(ProjectError, match="target_encoded names a, which is no category"):
        encoding(asked=["a", "c"])


@pytest.mark.parametrize("training", [Training(), Training(calibration="sigmoid")])
@pytest.mark.parametrize(
    ("target", "inputs", "given"),
    [
        (LOGISTIC, "onehot", {}),
        (HISTOGRAM, "categories", {"max_iter": 20}),
        ("sklearn.ensemble.RandomForestClassifier", "imputed", {"n_estimators": 10}),
        ("lightgbm.LGBMClassifier", "categories", {"n_estimators": 20, "verbosity": -1}),
    ],
)
def test_folds_reach_the_encoding_wherever_it_is(
    target: str,
    inputs: str,
    given: dict[str, Any],
    training: Training,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimators, "_locked", lambda _: {"lightgbm"})
    given_folds: list[bool] = []
    encode = TargetEncoded.fit_transform

    def watched(self: TargetEncoded, X: Any, y: Any, folds: Any = None) -> Any:  # noqa: N803
        given_folds.append(folds is not None and bool((X[:, 0] == folds).all()))
        return encode(self, X, y, folds)

    monkeypatch.setattr(TargetEncoded, "fit_transform", watched)
    matrix, classes = coded()
    matrix[:, 0] = folds = np.arange(300) // 3 % 5
    told = (1, 2) if inputs == "categories" else ()
    fit(encoding(target, inputs, training=training, **given), matrix, classes, None, told, folds)
    assert given_folds == [True] * (1 if training.calibration == "none" else 3)


def test_constraints_go_by_name_where_the_encoding_adds_columns() -> None:
    model = Model(
        HISTOGRAM,
        "categories",
        ["multiclass"],
        {},
        interaction_constraints=[["a", "c"]],
        target_encoded=["c"],
    )
    built: Any = build(model, Training(), "multiclass", MANY, 3, classes=3)
    assert built.steps[-1][1].interaction_cst == [[0, 2, 3, 4], [1]]
    assert built.steps[-1][1].categorical_features == [1]
    rising = encoding(HISTOGRAM, "categories", monotonic={"a": 1}).steps[-1][1]
    assert rising.monotonic_cst == (1, 0, 0)


def test_weights_reach_the_estimator_behind_an_encoding() -> None:
    matrix, _ = coded(3000)
    matrix[:, 0], target = 0, np.arange(3000) % 2
    fitted = fit(encoding(asked=["b"]), matrix, target, np.where(target, 9.0, 1.0))
    assert fitted.predict_proba(matrix)[:, 1].mean() == pytest.approx(0.9, abs=0.02)
    with pytest.raises(EstimatorError, match="target_encoded to none"):
        fit(encoding(training=Training(calibration="sigmoid")), matrix, target, np.ones(3000))
