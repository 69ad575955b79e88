"""The estimator that conf/model asks for, with what the matrix needs before it."""

import inspect
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from hydra.errors import HydraException
from hydra.utils import get_object, instantiate
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import has_fit_parameter

from .. import owner
from ..config.settings import LOCK, Model, Training
from ..contract import Task
from ..data.hashing import folds as by_hash
from ..errors import ProjectError
from ..runtime.intervals import SCALES
from ..runtime.target_encoding import TargetEncoded
from .layout import Columns, Layout, layout
from .stopping import NO_GPU

# What `_target_` may import, since an import path in a config file is code that runs: classes of
# scikit-learn, of a package that the training lock pins, and of the owner.
SKLEARN, OWN = "sklearn", "project.estimators"
# What libraries call a list of -1, 0 and 1 for each feature.
MONOTONIC = ("monotonic_cst", "monotone_constraints")
# And lists of positions that may act together.
INTERACTIONS = ("interaction_cst", "interaction_constraints")
# What is fitted in place of the target, and the way back.
TRANSFORMS = {name: (s.there, s.back) for name, s in SCALES.items() if name != "none"}
INTERFACE = ("fit", "get_params", "set_params")  # not every library has its base class
LIGHTGBM = "lightgbm"
OPENMP = ("libgomp", "libomp")  # the system's, which no wheel of these libraries has


class EstimatorError(ProjectError):
    """The configured estimator cannot be built."""


def build(
    model: Model,
    training: Training,
    task: Task,
    encoder: Columns,
    seed: int,
    folds: Sequence[tuple[Any, Any]] = (),
    changes: Mapping[str, Any] | None = None,
    classes: int = 2,
) -> BaseEstimator:
    """Return the unfitted estimator, with `changes` to its parameters.

    `folds` are (training, test) row indices, which calibration needs, `classes` how many the
    target has.
    Raises EstimatorError for an import path off the allow-list, a parameter that the estimator
    does not have, and a class weight or calibration that does not apply.
    """
    fitted = _instantiate(model, changes or {})
    parameters = fitted.get_params()
    reaching = layout(model, encoder, classes)
    settings: dict[str, Any] = _constraints(model, reaching, parameters)
    settings |= _interactions(model, reaching, parameters)
    if model.inputs == "categories":
        settings |= _categories(model, reaching, parameters)
    if "random_state" in parameters and parameters["random_state"] is None:
        settings["random_state"] = seed
    if training.class_weight != "none":
        if "class_weight" not in parameters or task == "regression":
            raise EstimatorError(
                f"training.class_weight is {training.class_weight} and {model.target} takes "
                "none: set it to none"
            )
        settings["class_weight"] = training.class_weight
    try:
        fitted.set_params(**settings)
    except (TypeError, ValueError) as error:
        raise EstimatorError(
            f"{model.target} does not take {', '.join(settings)}: delete it in conf/model"
        ) from error
    before: list[BaseEstimator] = []
    if reaching.encoded:
        before.append(TargetEncoded(reaching.encoded, classes))
    if model.inputs == "onehot":
        before.append(_onehot(reaching))
    elif model.inputs == "imputed":
        before.append(_median())
    if before:
        fitted = make_pipeline(*before, fitted)
    if training.transform != "none":
        fitted = _transformed(fitted, training.transform, task)
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


def fit(
    model: BaseEstimator,
    matrix: Any,
    target: Any,
    weights: Any = None,
    categorical: Sequence[int] = (),
    folds: Any = None,
    hashes: Any = None,
) -> BaseEstimator:
    """Fit an estimator that `build` made, with a weight for each row where there are weights.

    `categorical` are the columns of codes, for an estimator that is told of them only here, and
    `folds` has a number for each row, by which a target encoding keeps the rows of a key together;
    `hashes` (rows,) of uint64 decide which rows an explainable boosting machine holds out of each
    of its bags, where it would draw them.
    Raises EstimatorError where the estimator takes no weights, and where a target has no transform.
    """
    _check_transform(model, target)
    more: dict[str, Any] = {}
    if weights is not None:
        more[_weights(model)] = weights
    pipeline = _pipeline(model)
    last = "" if pipeline is None else f"{pipeline.steps[-1][0]}__"
    encoding = None if pipeline is None else pipeline.steps[0][1]
    if isinstance(encoding, TargetEncoded):
        categorical = [at for at in categorical if at not in encoding.columns]
        if folds is not None:
            more["targetencoded__folds"] = folds
    if categorical and _is_lightgbm(_kind(_innermost(model))):
        more[f"{last}categorical_feature"] = list(categorical)
    if hashes is not None and (bags := _bags(model, hashes)) is not None:
        more[f"{last}bags"] = bags
    with warnings.catch_warnings():
        # Of an explainable boosting machine, whose own pictures nobody looks at here.
        warnings.filterwarnings("ignore", "Missing values detected", UserWarning)
        # Of XGBoost where there is no GPU; `device` tells it.
        warnings.filterwarnings("ignore", NO_GPU, UserWarning)
        return model.fit(matrix, target, **more)


def device(fitted: Any) -> str | None:
    """Return where XGBoost fitted a model, which is the CPU where it found no GPU; None of others.

    "cpu" or like "cuda:0".
    """
    if (inner := getattr(fitted, "regressor_", None)) is not None:
        return device(inner)
    if (several := getattr(fitted, "calibrated_classifiers_", None)) is not None:
        return device(several[0].estimator)
    if isinstance(fitted, Pipeline):
        return device(fitted.steps[-1][1])
    if not hasattr(fitted, "get_booster"):
        return None
    told = json.loads(fitted.get_booster().save_config())
    return str(told["learner"]["generic_param"]["device"])


def _pipeline(model: Any) -> Pipeline | None:
    """Return the pipeline that a transformation or a calibration is around, where there is one."""
    for inner in (getattr(model, name, None) for name in ("estimator", "regressor")):
        if inner is not None:
            return _pipeline(inner)
    return model if isinstance(model, Pipeline) else None


def _innermost(model: Any) -> Any:
    """Return the estimator that preparation, transformation and calibration surround."""
    for name in ("estimator", "regressor"):
        if (inner := getattr(model, name, None)) is not None:
            return _innermost(inner)
    return _innermost(model.steps[-1][1]) if isinstance(model, Pipeline) else model


def _kind(model: Any) -> type:
    """Return the class of an estimator, or where that is the owner's, the one it is made of."""
    return next((one for one in type(model).__mro__ if one.__module__ != OWN), type(model))


def _bags(model: Any, hashes: np.ndarray) -> np.ndarray | None:
    """Return which rows train (1) and which tell when to stop (-1) in each bag, (rows, bags).

    None for what has no bags.
    """
    inner = _innermost(model)
    count = getattr(inner, "outer_bags", None)
    if not isinstance(count, int) or count < 2 or not has_fit_parameter(inner, "bags"):
        return None
    held = by_hash(hashes, count, "bags")
    return np.where(held[:, np.newaxis] == np.arange(count), -1, 1).astype(np.int8)


def _categories(model: Model, encoder: Layout, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return which columns hold codes as the estimator's own parameter, where it has one."""
    chosen = set(encoder.categorical)
    if "feature_types" in parameters:  # always told: an explainable boosting machine would guess
        words = ("q", "c") if "enable_categorical" in parameters else ("continuous", "nominal")
        types = [words[at in chosen] for at in range(len(encoder.names))]
        told = {"enable_categorical": True} if "enable_categorical" in parameters else {}
        return {"feature_types": types, **told}
    if not chosen or _is_lightgbm(get_object(model.target)):
        return {}  # LightGBM is told when it is fitted
    if "categorical_features" in parameters:
        return {"categorical_features": sorted(chosen)}
    raise EstimatorError(
        f"{model.target} takes no categories as they are: set `inputs` to codes, imputed or onehot "
        "in conf/model"
    )


def _check_transform(model: Any, target: Any) -> None:
    """Refuse a target of which some values have no logarithm or root."""
    transform = getattr(model, "func", None)
    if transform is None:
        return
    with np.errstate(all="ignore"):
        without = ~np.isfinite(transform(target))
    if without.any():
        raise EstimatorError(
            f"training.transform is {transform.__name__} and {int(without.sum())} targets have "
            f"none, like {target[without].min():g}: set it to none, or to one that they have"
        )


def _weights(model: Any) -> str:
    """Return the name by which the estimator, or the last step of its pipeline, takes weights."""
    inner = getattr(model, "regressor", model)
    step, prefix = inner, ""
    if isinstance(inner, Pipeline):
        name, step = inner.steps[-1]
        prefix = f"{name}__"
    if isinstance(getattr(model, "estimator", None), Pipeline):
        raise EstimatorError(
            "training.calibration hands no weights to a model whose inputs are prepared: set it to "
            "none, or the model's inputs to codes and its target_encoded to none"
        )
    if not has_fit_parameter(step, "sample_weight"):
        raise EstimatorError(
            f"{type(step).__name__} takes no weights: choose another model, or give the column of "
            "role weight another role"
        )
    return f"{prefix}sample_weight"


def _constraints(model: Model, encoder: Layout, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return model.monotonic as the estimator's own parameter, in the order of the matrix."""
    if not model.monotonic:
        return {}
    _check_names("monotonic", model.monotonic, encoder)
    taken = next((name for name in MONOTONIC if name in parameters), None)
    if taken is None and _takes_more(model.target):
        taken = MONOTONIC[-1]
    if taken is None or model.inputs == "onehot":
        raise EstimatorError(
            f"{model.target} takes no monotonic constraints here: delete model.monotonic, or "
            "choose a model of trees whose inputs are codes"
        )
    directions = [0] * len(encoder.names)
    for name, direction in model.monotonic.items():
        for at in encoder.features[name]:
            directions[at] = direction
    return {taken: tuple(directions)}


def _interactions(model: Model, encoder: Layout, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return model.interaction_constraints as the estimator's own parameter, by position."""
    if not model.interaction_constraints:
        return {}
    named = [name for group in model.interaction_constraints for name in group]
    _check_names("interaction_constraints", named, encoder)
    taken = next((name for name in INTERACTIONS if name in parameters), None)
    if taken is None and _is_lightgbm(get_object(model.target)):
        taken = INTERACTIONS[-1]
    if taken is None or model.inputs == "onehot":
        raise EstimatorError(
            f"{model.target} takes no interaction constraints here: delete "
            "model.interaction_constraints, or choose boosting, lightgbm or xgboost"
        )
    places = encoder.features
    rest = [name for name in places if name not in named]
    groups = [group for group in (*model.interaction_constraints, rest) if group]
    return {taken: [[at for name in group for at in places[name]] for group in groups]}


def _check_names(key: str, named: Iterable[str], encoder: Layout) -> None:
    if unknown := [name for name in named if name not in encoder.features]:
        raise EstimatorError(
            f"model.{key} names {', '.join(unknown)}, which is no feature: choose from "
            f"{', '.join(encoder.features)}"
        )


def _is_lightgbm(kind: type) -> bool:
    return kind.__module__.startswith(f"{LIGHTGBM}.")


def _takes_more(path: str) -> bool:
    """Say whether an estimator takes parameters beyond those that it names, as LightGBM's do."""
    kinds = [p.kind for p in inspect.signature(get_object(path)).parameters.values()]
    return inspect.Parameter.VAR_KEYWORD in kinds


def _transformed(fitted: BaseEstimator, transform: str, task: Task) -> BaseEstimator:
    if task != "regression":
        raise EstimatorError(
            f"training.transform is {transform} and the target is a class: set it to none"
        )
    from sklearn.compose import TransformedTargetRegressor

    there, back = TRANSFORMS[transform]
    return TransformedTargetRegressor(fitted, func=there, inverse_func=back, check_inverse=False)


def _instantiate(model: Model, changes: Mapping[str, Any]) -> BaseEstimator:
    section = {"_target_": model.target, **model.parameters, **changes}
    try:
        for path in _targets(section):
            _check_allowed(path, model)
        if not hasattr(get_object(model.target), "fit"):
            raise _no_estimator(model)
        estimator = instantiate(section, _convert_="all")
    except (HydraException, ImportError, TypeError, ValueError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        if any(name in reason for name in OPENMP):
            raise EstimatorError(
                f"{model.target} needs the system's OpenMP ({reason}): install it (on Debian and "
                "Ubuntu libgomp1, on macOS libomp by brew)"
            ) from error
        raise EstimatorError(
            f"{model.target} cannot be built: {reason}: correct conf/model or params.yaml"
        ) from error
    if not all(hasattr(estimator, name) for name in INTERFACE):
        raise _no_estimator(model)
    return estimator


def _no_estimator(model: Model) -> EstimatorError:
    return EstimatorError(
        f"{model.target} is no estimator: name a class that follows scikit-learn's interface"
    )


def _check_allowed(path: str, model: Model) -> None:
    """Raise EstimatorError unless the path names a class that an allowed package defines.

    The package alone is not enough: sklearn.datasets._base.os.system begins with it too.
    """
    package = path.partition(".")[0]
    if path.startswith(f"{OWN}."):
        allowed = owner.module(OWN) is not None
    else:
        allowed = package == SKLEARN or package in _locked(model.locks)
    if allowed:
        found = get_object(path)
        place = OWN if path.startswith(f"{OWN}.") else package
        if isinstance(found, type) and f"{found.__module__}.".startswith(f"{place}."):
            return
    if model.lock and find_spec(package) is None:
        raise EstimatorError(
            f"{package} is not installed: `make setup` installs {model.locks[-1]} where "
            "params.yaml chooses this model"
        )
    raise EstimatorError(
        f"model._target_ {path} is not allowed: name a class of scikit-learn, of another package "
        f"in {LOCK}, or of src/project/estimators.py"
    )


def _locked(locks: Sequence[Path]) -> frozenset[str]:
    """Return the top-level modules of the installed packages that the training locks pin."""
    return _modules("\n".join(f.read_text(encoding="utf-8") for f in locks if f.is_file()))


@cache
def _modules(pins: str) -> frozenset[str]:
    """Return the top-level modules of what is pinned and installed, by what the locks say."""
    pinned = re.findall(r"^([A-Za-z0-9._-]+)==", pins, re.MULTILINE)
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in pinned}
    known = metadata.packages_distributions()
    return frozenset(
        module
        for module, packages in known.items()
        if names & {re.sub(r"[-_.]+", "-", package).lower() for package in packages}
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


def _onehot(encoder: Layout) -> BaseEstimator:
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
