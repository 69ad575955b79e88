"""A score that is too good to be true, by a quick model of the rows that are being adopted."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..config.settings import Derived, Features
from ..contract import Contract, Task
from ..data.association import auc, r2
from ..data.parsing import parse
from ..data.parts import typed
from ..data.prepared import arrays, target
from ..evaluation.suspicion import TOO_GOOD
from ..features.encoding import Encoder

ROWS = 4_000  # looked at, of which every third measures
FEWEST = 100
THIRD = 3
MOST = 60  # columns of a table that is tried
SUSPECTS = 3  # columns tried without, those first without whose order the model loses most
LEANS = 0.5  # what is left above chance without the column on which a model leans
NAMES: Mapping[Task, str] = {"binary": "AUC", "multiclass": "accuracy", "regression": "R²"}


def doubt(frame: pd.DataFrame, contract: Contract, derived: Mapping[str, Derived]) -> str | None:
    """Say where a quick model of the rows is too good, and the column without which it is not."""
    frame = frame.iloc[:: -(-len(frame) // ROWS)]
    encoder = Encoder.build(contract, Features(derived=dict(derived)))
    if len(frame) < FEWEST or len(encoder.features) > MOST:
        return None
    kept = {n: parse(frame[n], c, contract.source).values for n, c in contract.kept()}
    columns = arrays(typed(pd.DataFrame(kept), contract.columns), contract, list(kept))
    wanted = target(columns, contract)
    matrix, task = encoder.matrix(columns), contract.task
    held = np.arange(len(wanted)) % THIRD == 0
    if len(np.unique(wanted[~held])) < 2 or len(np.unique(wanted[held])) < 2:
        return None
    model = _fitted(task, matrix[~held], wanted[~held])
    score = _score(task, wanted[held], model(matrix[held]))
    if not score >= TOO_GOOD:
        return None
    said = f"a quick model has {NAMES[task]} {score:.3f}, too good to be true for most questions"
    best = ("", score)
    for name in _suspects(encoder, task, model, matrix[held], wanted[held]):
        places = [at for at in range(len(encoder.names)) if at not in _read(encoder, name)]
        if not places:
            continue
        without = _fitted(task, matrix[np.ix_(~held, places)], wanted[~held])
        left = _score(task, wanted[held], without(matrix[np.ix_(held, places)]))
        best = min(best, (name, left), key=lambda one: one[1])
    chance = _chance(task, wanted[held])
    if best[1] - chance < LEANS * (score - chance):
        return f"{said}; without {best[0]} it has {best[1]:.3f}: is that known when predicting?"
    return f"{said}: is every column known when predicting?"


def _read(encoder: Encoder, name: str) -> set[int]:
    """Return the positions in the matrix that depend on a column."""
    return {
        at
        for feature, places in encoder.features.items()
        if feature == name
        or (feature in encoder.derived and name in encoder.derived[feature].columns)
        for at in places
    }


def _suspects(
    encoder: Encoder, task: Task, model: Any, matrix: np.ndarray, wanted: np.ndarray
) -> Sequence[str]:
    """Return the columns without whose order the model loses most."""
    found = {}
    for name in encoder.inputs:
        places = sorted(_read(encoder, name))
        shuffled = matrix.copy()
        shuffled[:, places] = np.random.default_rng(0).permutation(matrix[:, places])
        found[name] = _score(task, wanted, model(shuffled))
    return sorted(found, key=lambda name: found[name])[:SUSPECTS]


def _fitted(task: Task, matrix: np.ndarray, wanted: np.ndarray) -> Any:
    """Fit a small model, and return what answers by it: a score, a class or a number."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    options: dict[str, Any] = {
        "max_iter": 40,
        "max_leaf_nodes": 15,
        "early_stopping": False,
        "random_state": 0,
    }
    if task == "regression":
        return HistGradientBoostingRegressor(**options).fit(matrix, wanted).predict
    fitted = HistGradientBoostingClassifier(**options).fit(matrix, wanted)
    return fitted.predict if task == "multiclass" else lambda rows: fitted.predict_proba(rows)[:, 1]


def _score(task: Task, wanted: np.ndarray, answers: np.ndarray) -> float:
    if task == "binary":
        return auc(answers, wanted)
    if task == "multiclass":
        return float((wanted == answers).mean())
    return r2(wanted - answers, wanted)


def _chance(task: Task, wanted: np.ndarray) -> float:
    if task == "multiclass":
        return float(np.bincount(wanted).max() / len(wanted))
    return 0.5 if task == "binary" else 0.0
