"""The estimator that conf/model asks for, with what the matrix needs before it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.errors import HydraException
from hydra.utils import get_object, instantiate
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline

from ..config.settings import Model, Training
from ..contract import Task
from ..errors import ProjectError
from ..features.encoding import Encoder

# What `_target_` may import, since an import path in a config file is code that runs.
ALLOWED = ("sklearn.",)


class EstimatorError(ProjectError):
    """The configured estimator cannot be built."""


def build(
    model: Model,
    training: Training,
    task: Task,
    encoder: Encoder,
    seed: int,
    folds: Sequence[tuple[Any, Any]] = (),
    changes: Mapping[str, Any] | None = None,
) -> BaseEstimator:
    """Return the unfitted estimator, with `changes` to its parameters.

    `folds` are (training, test) row indices, which calibration needs.
    Raises EstimatorError for an import path off the allow-list, a parameter that the estimator
    does not have, and a class weight or calibration that does not apply.
    """
    fitted = _instantiate(model, changes or {})
    parameters = fitted.get_params()
    settings: dict[str, Any] = {}
    if "random_state" in parameters and parameters["random_state"] is None:
        settings["random_state"] = seed
    if training.class_weight != "none":
        if "class_weight" not in parameters or task == "regression":
            raise EstimatorError(
                f"training.class_weight is {training.class_weight} and {model.target} takes "
                "none: set it to none"
            )
        settings["class_weight"] = training.class_weight
    fitted.set_params(**settings)
    if model.inputs == "onehot":
        fitted = make_pipeline(_onehot(encoder), fitted)
    elif model.inputs == "imputed":
        fitted = make_pipeline(_median(), fitted)
    if training.calibration == "none":
        return fitted
    if task == "regression":
        raise EstimatorError(
            f"training.calibration is {training.calibration} and the task is regression, which "
            "has no probabilities: set it to none"
        )
    from sklearn.calibration import CalibratedClassifierCV

    return CalibratedClassifierCV(
        fitted, method=training.calibration, cv=list(folds), ensemble=False
    )


def _instantiate(model: Model, changes: Mapping[str, Any]) -> BaseEstimator:
    section = {"_target_": model.target, **model.parameters, **changes}
    try:
        for path in _targets(section):
            _check_allowed(path)
        estimator = instantiate(section, _convert_="all")
    except (HydraException, ImportError, TypeError, ValueError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise EstimatorError(
            f"{model.target} cannot be built: {reason}: correct conf/model or params.yaml"
        ) from error
    if not isinstance(estimator, BaseEstimator) or not hasattr(estimator, "fit"):
        raise EstimatorError(f"{model.target} is no estimator: name a scikit-learn class")
    return estimator


def _check_allowed(path: str) -> None:
    """Raise EstimatorError unless the path names a class that an allowed package defines.

    The prefix alone is not enough: sklearn.datasets._base.os.system begins with it too.
    """
    if path.startswith(ALLOWED):
        found = get_object(path)
        if isinstance(found, type) and f"{found.__module__}.".startswith(ALLOWED):
            return
    raise EstimatorError(
        f"model._target_ {path} is not allowed: only classes of {', '.join(ALLOWED)}… are; extend "
        "ALLOWED in src/mlops/training/estimators.py in a reviewed change"
    )


def _targets(node: Any) -> Iterator[str]:
    """Yield every import path below a section, since parameters may hold estimators too."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _targets(value)


def _onehot(encoder: Encoder) -> BaseEstimator:
    """Categories become indicators (missing is one more), numbers are imputed and scaled."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    categorical = list(encoder.categorical)
    numeric = [i for i in range(len(encoder.names)) if i not in encoder.categorical]
    return ColumnTransformer(
        [
            (
                "categories",
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value=-1.0),
                    OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                ),
                categorical,
            ),
            (
                "numbers",
                make_pipeline(_median(), StandardScaler()),
                numeric,
            ),
        ]
    )


def _median() -> BaseEstimator:
    from sklearn.impute import SimpleImputer

    return SimpleImputer(strategy="median", keep_empty_features=True)
