"""Estimators of trees of every library, and rows that have all that a tree can be asked about."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from mlops.contract import Task
from mlops.runtime.target_encoding import TargetEncoded

os.environ.setdefault("OMP_NUM_THREADS", "1")
WIDTH, CATEGORIES = 6, {4: 8, 5: 40}  # labels of each column of codes
EXTREME = np.array([3e38, -3e38, 1e-40, 0.0, -0.0, 1e30], np.float32)
ROWS = 1500


class Case(NamedTuple):
    """How an estimator is made, and what it is fitted to."""

    make: Callable[[], Any]
    task: Task
    target: str
    told: bool = False  # which columns are categories, when it is fitted


def matrix(rows: int, rng: np.random.Generator) -> np.ndarray:
    """Return rows with missing values, rounded numbers and codes of categories."""
    made = rng.normal(size=(rows, WIDTH)).astype(np.float32)
    made[:, 1] = np.round(made[:, 1], 1)
    made[:, 2] = np.round(rng.exponential(3, rows), 2)
    for column, labels in CATEGORIES.items():
        made[:, column] = rng.integers(0, labels, rows)
    made[rng.random(made.shape) < 0.04] = np.nan
    return made


def targets(rows: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return a target of each kind that depends on numbers and categories."""
    known = np.nan_to_num(rows)
    score = known[:, 0] + np.sin(known[:, 1]) + (known[:, 4] == 3) + 0.5 * (known[:, 5] % 3)
    score += rng.normal(size=len(rows)) * 0.5
    return {
        "binary": (score > np.median(score)).astype(int),
        "classes": np.digitize(score, np.quantile(score, [0.3, 0.6])),
        "number": score * 10,
        "positive": np.exp(score / 2),
    }


def fitted(case: Case, seed: int) -> Any:
    """Fit the estimator of a case."""
    rng = np.random.default_rng(seed)
    rows = matrix(ROWS, rng)
    told = {"categorical_feature": sorted(CATEGORIES)} if case.told else {}
    return case.make().fit(rows, targets(rows, rng)[case.target], **told)


def asked(thresholds: dict[int, np.ndarray], rows: int, seed: int) -> np.ndarray:
    """Return rows that also have unseen codes, extremes, and values on and beside thresholds."""
    rng = np.random.default_rng(seed)
    made, drawn = matrix(rows, rng), rng.random((rows, WIDTH))
    for column, labels in CATEGORIES.items():
        made[drawn[:, column] < 0.05, column] = labels
    for column in sorted(set(range(WIDTH)) - set(CATEGORIES)):
        extreme = drawn[:, column] < 0.02
        made[extreme, column] = rng.choice(EXTREME, int(extreme.sum()))
        if len(there := thresholds.get(column, ())):
            near = drawn[:, column] > 0.6
            on = rng.choice(there, int(near.sum())).astype(np.float32)
            side = rng.choice([-np.inf, 0.0, np.inf], len(on)).astype(np.float32)
            made[near, column] = np.where(side == 0, on, np.nextafter(on, side))
    return made


def _classifiers(make: Callable[..., Any]) -> Iterator[tuple[str, Case]]:
    yield "binary", Case(make, "binary", "binary")
    yield "multiclass", Case(make, "multiclass", "classes")


def sklearn() -> dict[str, Case]:
    """Return what scikit-learn has of trees, and what it puts around them."""
    native = {"max_iter": 25, "categorical_features": sorted(CATEGORIES)}
    boosting = partial(HistGradientBoostingClassifier, **native)
    regressor = partial(HistGradientBoostingRegressor, **native)
    forest = partial(RandomForestClassifier, n_estimators=15, max_depth=10, random_state=1)
    older = partial(GradientBoostingClassifier, n_estimators=10, random_state=1)
    platt = partial(CalibratedClassifierCV, ensemble=False, cv=2)

    def imputed(make: Callable[[], Any]) -> Any:
        return make_pipeline(SimpleImputer(strategy="median"), make())

    cases = {f"boosting {name}": case for name, case in _classifiers(boosting)}
    cases |= {f"forest {name}": case for name, case in _classifiers(forest)}
    cases |= {f"gradient {name}": case for name, case in _classifiers(lambda: imputed(older))}
    cases |= {f"calibrated {name}": case for name, case in _classifiers(lambda: platt(boosting()))}
    for loss in ("squared_error", "absolute_error", "quantile"):
        more = {"quantile": 0.8} if loss == "quantile" else {}
        make = partial(regressor, loss=loss, **more)
        cases[f"boosting {loss}"] = Case(make, "regression", "number")
    for loss in ("poisson", "gamma"):
        cases[f"boosting {loss}"] = Case(partial(regressor, loss=loss), "regression", "positive")
    numbers = partial(HistGradientBoostingClassifier, max_iter=25)
    trees = partial(ExtraTreesClassifier, n_estimators=15, max_depth=10, random_state=1)
    means = partial(RandomForestRegressor, n_estimators=15, max_depth=10, random_state=1)
    huber = partial(GradientBoostingRegressor, n_estimators=10, loss="huber", random_state=1)
    single = partial(DecisionTreeClassifier, max_depth=6)
    return cases | {
        "boosting without categories": Case(numbers, "binary", "binary"),
        "imputed forest": Case(lambda: imputed(forest), "binary", "binary"),
        "calibrated forest": Case(lambda: platt(imputed(forest)), "binary", "binary"),
        "isotonic": Case(lambda: platt(boosting(), method="isotonic"), "binary", "binary"),
        "isotonic multiclass": Case(
            lambda: platt(boosting(), method="isotonic"), "multiclass", "classes"
        ),
        "isotonic forest": Case(
            lambda: platt(imputed(forest), method="isotonic"), "multiclass", "classes"
        ),
        "forest of means": Case(means, "regression", "number"),
        "extra trees": Case(trees, "binary", "binary"),
        "gradient huber": Case(lambda: imputed(huber), "regression", "number"),
        "tree": Case(single, "multiclass", "classes"),
        "boosting of one leaf": Case(
            partial(HistGradientBoostingClassifier, max_iter=2, min_samples_leaf=ROWS),
            "binary",
            "binary",
        ),
    }


def lightgbm() -> dict[str, Case]:
    """Return every objective of LightGBM, and its kinds of boosting."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    common: dict[str, Any] = {"n_estimators": 25, "verbosity": -1, "n_jobs": 1, "random_state": 1}
    classify, number = partial(LGBMClassifier, **common), partial(LGBMRegressor, **common)
    bagged = {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}
    several: dict[str, Callable[[], Any]] = {
        "": classify,
        "dart ": partial(classify, boosting_type="dart"),
        "rf ": partial(classify, **bagged),
    }
    cases = {
        f"{kind}{name}": case for kind, make in several.items() for name, case in _classifiers(make)
    }
    each = partial(classify, objective="multiclassova")
    cases["one against all"] = Case(each, "multiclass", "classes")
    for objective in ("regression", "regression_l1", "quantile", "huber", "fair", "mape"):
        make = partial(number, objective=objective)
        cases[objective] = Case(make, "regression", "number")
    for objective in ("poisson", "gamma", "tweedie"):
        make = partial(number, objective=objective)
        cases[objective] = Case(make, "regression", "positive")
    cases["roots"] = Case(partial(number, reg_sqrt=True), "regression", "number")
    deep = partial(number, num_leaves=300, min_child_samples=2)
    cases["deep"] = Case(deep, "regression", "number")
    for name, there, back in (
        ("log", np.log, np.exp),
        ("log1p", np.log1p, np.expm1),
        ("sqrt", np.sqrt, np.square),
    ):
        make = partial(
            TransformedTargetRegressor, number(), func=there, inverse_func=back, check_inverse=False
        )
        cases[f"transformed {name}"] = Case(make, "regression", "positive")
    return {f"lightgbm {name}": case._replace(told=True) for name, case in cases.items()}


def xgboost() -> dict[str, Case]:
    """Return objectives of XGBoost, with categories as it has them."""
    from xgboost import XGBClassifier, XGBRegressor, XGBRFRegressor

    common: dict[str, Any] = {
        "n_estimators": 25,
        "max_depth": 5,
        "enable_categorical": True,
        "feature_types": ["c" if column in CATEGORIES else "q" for column in range(WIDTH)],
        "tree_method": "hist",
        "n_jobs": 1,
    }
    classify, number = partial(XGBClassifier, **common), partial(XGBRegressor, **common)
    cases = {name: case for name, case in _classifiers(classify)}
    dropping = partial(classify, booster="dart", rate_drop=0.2)
    cases["dart"] = Case(dropping, "binary", "binary")
    for objective in ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror"):
        cases[objective] = Case(partial(number, objective=objective), "regression", "number")
    high = partial(number, objective="reg:quantileerror", quantile_alpha=0.7)
    cases["quantile"] = Case(high, "regression", "number")
    for objective in ("count:poisson", "reg:gamma", "reg:tweedie"):
        cases[objective] = Case(partial(number, objective=objective), "regression", "positive")
    cases["forest"] = Case(partial(XGBRFRegressor, **common), "regression", "number")
    return {f"xgboost {name}": case for name, case in cases.items()}


def catboost() -> dict[str, Case]:
    """Return losses and kinds of trees of CatBoost."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    common: dict[str, Any] = {
        "iterations": 25,
        "verbose": 0,
        "allow_writing_files": False,
        "thread_count": 1,
    }
    classify, number = partial(CatBoostClassifier, **common), partial(CatBoostRegressor, **common)
    cases = {name: case for name, case in _classifiers(classify)}
    for policy in ("Lossguide", "Depthwise"):
        for name, case in _classifiers(partial(classify, grow_policy=policy)):
            cases[f"{policy} {name}"] = case
    each = partial(classify, loss_function="MultiClassOneVsAll")
    cases["one against all"] = Case(each, "multiclass", "classes")
    cases["missing above"] = Case(partial(classify, nan_mode="Max"), "binary", "binary")
    for loss in ("RMSE", "MAE", "Quantile:alpha=0.7"):
        cases[loss] = Case(partial(number, loss_function=loss), "regression", "number")
    for loss in ("Poisson", "Tweedie:variance_power=1.5"):
        cases[loss] = Case(partial(number, loss_function=loss), "regression", "positive")
    return {f"catboost {name}": case for name, case in cases.items()}


def interpret() -> dict[str, Case]:
    """Return explainable boosting machines, with pairs and without."""
    from interpret.glassbox import (
        ExplainableBoostingClassifier,
        ExplainableBoostingRegressor,
    )

    kinds = ["nominal" if column in CATEGORIES else "continuous" for column in range(WIDTH)]
    common: dict[str, Any] = {
        "feature_types": kinds,
        "interactions": 3,
        "outer_bags": 2,
        "max_rounds": 60,
        "n_jobs": 1,
    }
    classify = partial(ExplainableBoostingClassifier, **common)
    number = partial(ExplainableBoostingRegressor, **common)
    alone = partial(classify, interactions=0)
    return {
        "ebm binary": Case(classify, "binary", "binary"),
        "ebm multiclass": Case(alone, "multiclass", "classes"),
        "ebm number": Case(number, "regression", "number"),
        **{
            f"ebm {loss}": Case(
                partial(number, objective=f"{loss}_deviance"), "regression", "positive"
            )
            for loss in ("poisson", "gamma")
        },
    }


def encoded() -> dict[str, Case]:
    """Return estimators of every library behind a target encoding of one column or both."""
    import catboost as c
    import interpret.glassbox as i
    import lightgbm as l
    import xgboost as x

    few: dict[str, Any] = {"n_estimators": 15, "n_jobs": 1}
    kinds: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        "lightgbm": (l.LGBMClassifier, l.LGBMRegressor, {**few, "verbosity": -1}),
        "xgboost": (x.XGBClassifier, x.XGBRegressor, few),
        "boosting": (
            HistGradientBoostingClassifier,
            HistGradientBoostingRegressor,
            {"max_iter": 15},
        ),
        "catboost": (
            c.CatBoostClassifier,
            c.CatBoostRegressor,
            {"iterations": 15, "verbose": 0, "allow_writing_files": False, "thread_count": 1},
        ),
        "ebm": (
            i.ExplainableBoostingClassifier,
            i.ExplainableBoostingRegressor,
            {"outer_bags": 1, "interactions": 0, "max_rounds": 20, "n_jobs": 1},
        ),
        "forest": (RandomForestClassifier, RandomForestRegressor, {**few, "max_depth": 10}),
    }
    tasks: tuple[tuple[Task, str], ...] = (
        ("binary", "binary"),
        ("multiclass", "classes"),
        ("regression", "number"),
    )

    def make(name: str, task: Task) -> Any:
        classify, number, settings = kinds[name]
        model = (number if task == "regression" else classify)(**settings)
        columns = (5,) if task == "binary" else (4, 5)
        imputer = [SimpleImputer(strategy="median")] if name == "forest" else []
        encoding = TargetEncoded(columns, 3 if task == "multiclass" else 2)
        return make_pipeline(encoding, *imputer, model)

    return {
        f"encoded {name} {task}": Case(partial(make, name, task), task, target)
        for name in kinds
        for task, target in tasks
    }
