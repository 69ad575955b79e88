"""Boosting ends where rows that its hash holds out gain nothing more."""

import json
from contextlib import chdir
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mlops.config.settings import EarlyStopping, Training, load
from mlops.data.hashing import folds
from mlops.runtime.target_encoding import TargetEncoded
from mlops.training import estimators
from mlops.training.fitting import train
from mlops.training.stopping import Fold, Rows, StoppingError, stop

ROWS, MOST, PATIENCE = 1200, 300, 15
BOOSTERS: dict[str, Any] = {
    "lightgbm": lambda: lightgbm.LGBMClassifier(n_estimators=MOST, verbosity=-1, n_jobs=1),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=MOST, early_stopping=False),
    "xgboost": lambda: pytest.importorskip(
        "xgboost", reason="needs XGBoost: pip install -r requirements/model-xgboost.txt"
    ).XGBClassifier(n_estimators=MOST, n_jobs=1),
    "catboost": lambda: pytest.importorskip(
        "catboost", reason="needs CatBoost: pip install -r requirements/model-catboost.txt"
    ).CatBoostClassifier(iterations=MOST, verbose=0, allow_writing_files=False, thread_count=1),
}


def rows(weights: bool = False) -> Rows:
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(ROWS, 4)).astype(np.float32)
    target = (matrix[:, 0] + matrix[:, 1] + generator.logistic(size=ROWS) > 0).astype(np.int64)
    return Rows(matrix, target, generator.uniform(0.5, 2, ROWS) if weights else None)


def held_out() -> list[Fold]:
    places = folds(np.arange(ROWS, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15), 4)
    return [(np.flatnonzero(places != at), np.flatnonzero(places == at)) for at in range(4)]


def loss(model: Any, one: Rows, fold: Fold) -> float:
    fitted = model.fit(*one.at(fold[0])[:2])
    shares = np.clip(fitted.predict_proba(one.matrix[fold[1]])[:, 1], 1e-9, 1 - 1e-9)
    right = np.where(one.target[fold[1]] == 1, shares, 1 - shares)
    return float(-np.log(right).mean())


@pytest.mark.parametrize("name", BOOSTERS)
@pytest.mark.parametrize("weights", [False, True])
def test_fewer_rounds_lose_less_on_rows_that_were_held_out(name: str, weights: bool) -> None:
    one, model = rows(weights), BOOSTERS[name]()
    found = stop(model, one, held_out(), PATIENCE)
    assert len(found.folds) == 4
    assert 1 <= found.rounds < MOST == found.most
    assert found.rounds == int(np.ceil(np.mean(found.folds)))
    assert found.rounds in model.get_params().values()
    fold = held_out()[0]
    assert loss(model, one, fold) < loss(BOOSTERS[name](), one, fold)
    assert stop(BOOSTERS[name](), one, held_out(), PATIENCE) == found


def test_steps_a_transformation_and_a_calibration_are_looked_through() -> None:
    one = rows()
    one.matrix[::7, 2] = np.nan
    positive = one._replace(target=np.exp(one.matrix[:, 0].astype(float)))
    inner = HistGradientBoostingRegressor(max_iter=MOST, early_stopping=False)
    around = TransformedTargetRegressor(
        make_pipeline(SimpleImputer(), inner), func=np.log, inverse_func=np.exp
    )
    found = stop(around, positive, held_out(), PATIENCE)
    plain = HistGradientBoostingRegressor(max_iter=MOST, early_stopping=False)
    filled = SimpleImputer().fit_transform(one.matrix)
    logs = one._replace(matrix=filled, target=np.log(positive.target))
    assert found.rounds == inner.max_iter
    assert abs(found.rounds - stop(plain, logs, held_out(), PATIENCE).rounds) < 30
    booster = BOOSTERS["lightgbm"]()
    stop(CalibratedClassifierCV(booster, cv=3), one, held_out(), PATIENCE)
    assert booster.n_estimators < MOST


@pytest.mark.parametrize("model", [LogisticRegression(), RandomForestClassifier()])
def test_a_model_without_rounds_is_refused(model: Any) -> None:
    with pytest.raises(StoppingError, match=r"rounds to 0, or choose lightgbm, boosting"):
        stop(model, rows(), held_out(), PATIENCE)


def test_rounds_that_are_dropped_again_cannot_be_counted() -> None:
    model = lightgbm.LGBMClassifier(boosting_type="dart", n_estimators=20, verbosity=-1, n_jobs=1)
    with pytest.raises(StoppingError, match=r"boosting_type dart.*rounds to 0"):
        stop(model, rows(), held_out(), PATIENCE)


def test_train_says_where_it_stopped(trained: Path, tmp_path: Path) -> None:
    settings = load(trained / "resolved.yaml")
    settings = msgspec.structs.replace(
        settings,
        model=msgspec.structs.replace(
            settings.model, parameters=settings.model.parameters | {"max_iter": 200}
        ),
        training=Training(early_stopping=EarlyStopping(rounds=10, folds=3)),
    )
    with chdir(trained):
        train(settings, out=tmp_path / "a")
    told = json.loads((tmp_path / "a/training.json").read_text())["early_stopping"]
    assert told["most"] == 200
    assert 1 <= told["rounds"] < 200
    assert len(told["folds"]) == 3


def test_bags_of_explainable_boosting_hold_out_keys_and_no_rows_by_chance() -> None:
    glassbox = pytest.importorskip(
        "interpret.glassbox", reason="needs interpret: pip install -r requirements/model-ebm.txt"
    )
    model = glassbox.ExplainableBoostingClassifier(outer_bags=4, max_rounds=30, n_jobs=1)
    one = rows()
    keys = np.arange(ROWS, dtype=np.uint64) // 3
    bags = estimators._bags(model, keys)
    assert bags is not None
    assert bags.shape == (ROWS, 4)
    assert (np.sort(bags, axis=1) == [-1, 1, 1, 1]).all()
    assert (bags[0::3] == bags[1::3]).all()
    assert (bags[0::3] == bags[2::3]).all()
    again = [
        estimators.fit(
            glassbox.ExplainableBoostingClassifier(
                outer_bags=4, max_rounds=30, n_jobs=1, random_state=seed
            ),
            *one[:2],
            hashes=keys,
        ).predict_proba(one.matrix)
        for seed in (1, 1)
    ]
    np.testing.assert_array_equal(*again)


def test_a_calibration_around_explainable_boosting_hands_on_its_bags() -> None:
    glassbox = pytest.importorskip(
        "interpret.glassbox", reason="needs interpret: pip install -r requirements/model-ebm.txt"
    )
    inner = glassbox.ExplainableBoostingClassifier(outer_bags=3, max_rounds=20, n_jobs=1)
    one, keys = rows(), np.arange(ROWS, dtype=np.uint64) // 3
    model = CalibratedClassifierCV(inner, cv=held_out(), ensemble=False)
    fitted = estimators.fit(model, *one[:2], hashes=keys)
    assert np.isfinite(fitted.predict_proba(one.matrix)).all()


def test_a_target_encoding_is_fitted_to_the_rows_that_train() -> None:
    one = rows()
    codes = np.random.default_rng(1).integers(0, 400, ROWS)
    matrix = np.column_stack([one.matrix, codes]).astype(np.float32)
    apart = folds(np.arange(ROWS, dtype=np.uint64), 5, "target encoding")
    model = make_pipeline(TargetEncoded((4,)), BOOSTERS["lightgbm"]())
    found = stop(model, Rows(matrix, one.target, None, apart), held_out(), PATIENCE)
    assert abs(found.rounds - stop(BOOSTERS["lightgbm"](), one, held_out(), PATIENCE).rounds) < 15
