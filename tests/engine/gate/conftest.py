"""Cases from simulated holdouts, with models fitted and compiled as the train stage does it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from in_process import of
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from mlops.bundle.reading import Loaded
from mlops.config.settings import Evaluation, Features, Model, Settings, Split, Training, Tuning
from mlops.contract import Contract
from mlops.data import prepared
from mlops.features.encoding import Encoder
from mlops.gate.case import Case, Judged
from mlops.git.repository import Repository
from mlops.runtime import model as runtime
from mlops.training.compilation import compile_model

COLUMNS: dict[str, dict[str, Any]] = {
    "calls": {"type": "number", "min": 0, "max": 10},
    "usage": {"type": "number", "nullable": True},
    "plan": {"type": "category", "categories": ["basic", "plus", "max"]},
    "member": {"type": "boolean"},
    "gender": {"type": "category", "categories": ["f", "m", "x"], "role": "sensitive"},
    "household": {"type": "integer", "role": "id"},
}
TARGETS: dict[str, dict[str, Any]] = {
    "binary": {"type": "boolean", "role": "target"},
    "multiclass": {"type": "category", "categories": ["a", "b", "c"], "role": "target"},
    "regression": {"type": "number", "role": "target"},
}
TRAIN = 3000
PRIMARY = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def contract(task: str, **changes: dict[str, Any]) -> Contract:
    """Return the contract, with some columns declared otherwise."""
    columns = {name: column | changes.get(name, {}) for name, column in COLUMNS.items()}
    content = {"name": "sim", "task": task, "columns": {**columns, "y": TARGETS[task]}}
    return msgspec.convert(content, Contract)


def settings(declared: Contract) -> Settings:
    """Return what a candidate of this contract is made with."""
    return Settings(
        seed=1,
        data=declared,
        split=Split("hash"),
        features=Features(),
        model=Model("sklearn.ensemble.HistGradientBoosting", "codes", [declared.task], {}),
        training=Training(),
        tuning=Tuning(),
        evaluation=Evaluation(PRIMARY[declared.task], [PRIMARY[declared.task]]),
    )


def simulated(task: str, rows: int, seed: int) -> dict[str, np.ndarray]:
    """Return columns whose target rises with calls and falls with usage and membership."""
    generator = np.random.default_rng(seed)
    columns = {
        "calls": generator.uniform(0, 10, rows),
        "usage": np.where(generator.random(rows) < 0.1, np.nan, generator.normal(size=rows)),
        "plan": generator.choice([0.0, 1.0, 2.0], rows, p=[0.6, 0.3, 0.1]),
        "member": generator.integers(0, 2, rows).astype(float),
        "gender": generator.choice([0.0, 1.0, 2.0], rows, p=[0.48, 0.48, 0.04]),
        "household": np.arange(rows) // 4 + 0.0,
    }
    score = 0.4 * (columns["calls"] - 5) - np.nan_to_num(columns["usage"]) - columns["member"]
    if task == "regression":
        return columns | {"y": score + generator.normal(size=rows)}
    if task == "binary":
        return columns | {"y": (generator.random(rows) < 1 / (1 + np.exp(-score))).astype(float)}
    weights = np.exp(np.column_stack([score, -score, np.zeros(rows)]))
    shares = (weights / weights.sum(axis=1, keepdims=True)).cumsum(axis=1)
    return columns | {"y": (generator.random((rows, 1)) > shares[:, :2]).sum(axis=1) + 0.0}


class Workshop:
    """Makes cases in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def case(
        self,
        task: str = "binary",
        rows: int = 1500,
        declare: dict[str, dict[str, Any]] | None = None,
        **changes: Any,
    ) -> Case:
        """Return a case of a boosted candidate.

        `declare` changes columns of the contract, `changes` are fields of the case.
        """
        declared = contract(task, **(declare or {}))
        columns = simulated(task, rows, seed=3)
        candidate = self.judged(task, columns, declared=declared)
        base = Case(
            repository=Repository(self.folder),
            settings=settings(declared),
            candidate=candidate,
            champion=None,
            columns=columns,
            target=prepared.target(columns, declared),
            seed=5,
            resamples=200,
        )
        return replace(base, **changes)

    def judged(
        self,
        task: str,
        holdout: dict[str, np.ndarray],
        estimator: BaseEstimator | None = None,
        declared: Contract | None = None,
    ) -> Judged:
        """Fit an estimator on simulated training rows, compile it, and score the holdout."""
        declared = declared or contract(task)
        train = simulated(task, TRAIN, seed=99)
        encoder = Encoder.build(declared, Features())
        if estimator is None:
            regression = task == "regression"
            kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
            estimator = kind(max_iter=30, max_leaf_nodes=8, early_stopping=False)
        fitted = estimator.fit(encoder.matrix(train), prepared.target(train, declared))
        folder = self.folder / f"bundle{len(list(self.folder.glob('bundle*')))}"
        folder.mkdir()
        matrix = encoder.matrix(holdout)
        compiled = compile_model(fitted, task, matrix, folder, runtime="skops", tolerance=1e-5)
        about = {"task": task, "runtime": compiled.runtime}
        (folder / runtime.ABOUT).write_text(json.dumps(about))
        model = runtime.load(folder)
        bundle = of(Loaded({}, declared, encoder, model, settings(declared)))
        return Judged(folder, bundle, model.predict(matrix))

    def write_train(self, case: Case) -> None:
        """Write the training rows as the prepare stage leaves them."""
        columns = simulated(case.settings.data.task, TRAIN, seed=99)
        arrays = {}
        for name, column in case.settings.data.columns.items():
            values = pa.array(columns[name], from_pandas=True)
            if column.type == "category":
                codes = values.cast(pa.int32())
                values = pa.DictionaryArray.from_arrays(codes, column.categories)
            arrays[name] = values.cast(prepared.ARROW[column.type])
        case.train.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(arrays), case.train)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """What makes cases."""
    return Workshop(tmp_path)


@pytest.fixture
def answered() -> Callable[[Case, np.ndarray], Judged]:
    """Return the candidate with other answers, where only the answers matter."""
    return lambda case, predictions: replace(case.candidate, predictions=predictions)
