"""Predictors of every task over small fitted models, and recorders of what they answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from pydantic import SecretStr
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from mlops.bundle.profile import profile
from mlops.bundle.reading import Loaded
from mlops.config.settings import (
    Derived,
    Evaluation,
    Features,
    Model,
    Settings,
    Split,
    Training,
    Tuning,
)
from mlops.contract import Contract
from mlops.features.encoding import Encoder
from mlops.rollout.assignment import PLACES
from mlops.runtime import model as runtime
from mlops.serving.models import Arms, Shadowed
from mlops.serving.predictor import Predictor
from mlops.serving.recording.recorder import Recorder
from mlops.serving.telemetry.metrics import Metrics

COLUMNS: dict[str, dict[str, Any]] = {
    "fee": {"type": "number"},
    "calls": {"type": "integer", "nullable": True},
    "renews": {"type": "boolean"},
    "plan": {"type": "category", "categories": ["basic", "plus"], "nullable": True},
    "model": {"type": "category", "categories": ["a", "b"]},
    "billed": {"type": "datetime"},
    "paid": {"type": "datetime", "nullable": True},
    "email": {"type": "text", "role": "id", "pii": True},
}
TARGETS: dict[str, dict[str, Any]] = {
    "binary": {"type": "boolean", "role": "target"},
    "multiclass": {"type": "category", "categories": ["x", "y", "z"], "role": "target"},
    "regression": {"type": "number", "role": "target"},
}
ALONE = Arms()
DELAY = Derived("elapsed_days", ["billed", "paid"], "tests")


def contract(task: str, **changes: dict[str, Any]) -> Contract:
    """Return a contract with columns of every type, some declared otherwise."""
    columns = {name: column | changes.get(name, {}) for name, column in COLUMNS.items()}
    content = {"name": "bills", "task": task, "columns": {**columns, "y": TARGETS[task]}}
    return msgspec.convert(content, Contract)


def predictor(task: str = "binary", derived: bool = True, **changes: dict[str, Any]) -> Predictor:
    """Return a predictor over a model that is fitted to noise."""
    declared = contract(task, **changes)
    features = Features(derived={"delay": DELAY} if derived else {})
    encoder = Encoder.build(declared, features)
    generator = np.random.default_rng(7)
    matrix = generator.integers(0, 3, (200, len(encoder.names))).astype(np.float32)
    regression = task == "regression"
    kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    classes = {"binary": 2, "multiclass": 3, "regression": 9}[task]
    fitted = kind(max_iter=3, early_stopping=False).fit(matrix, generator.integers(0, classes, 200))
    model = runtime.Model("skops", declared.task, runtime.estimator(fitted, declared.task))
    settings = Settings(
        seed=1,
        data=declared,
        split=Split("hash"),
        features=features,
        model=Model("sklearn.ensemble.HistGradientBoosting", "codes", [declared.task], {}),
        training=Training(),
        tuning=Tuning(),
        evaluation=Evaluation("rmse", ["rmse"], threshold=0.3),
    )
    about = profile(declared, encoder, matrix, model.predict(matrix), declared.task)
    files = {"profile.json": json.dumps(about).encode()}
    name = sha256(msgspec.json.encode([declared, derived])).hexdigest()
    return Predictor(Loaded({}, declared, encoder, model, settings, files), name)


def row(number: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a row as a client sends it."""
    return {
        "fee": number + 0.5,
        "calls": number % 4 or None,
        "renews": number % 2 == 0,
        "plan": ["basic", "plus", None][number % 3],
        "model": "a",
        "billed": "2026-01-01T00:00:00",
        "paid": "2026-01-03T12:00:00" if number % 5 else None,
        **changes,
    }


@dataclass
class Serving:
    """Bundles of which each is set."""

    champion: Predictor | None = None
    challenger: Predictor | None = None
    shadow: Predictor | None = None
    outages: int = 0
    shadowed: Shadowed = field(default_factory=lambda: Shadowed(PLACES))

    def count_shadow(self, failed: bool, disagreed: bool = False) -> None:
        """Take a count that nothing here asks for."""

    def compare(self, requests: Sequence[Any], beside: np.ndarray | None = None) -> None:
        """Take answers that nothing here compares."""


@dataclass
class Told:
    """The settings of a recorder."""

    log_folder: Path | None
    log_sample: float = 1.0
    workers: int = 1
    log_max_bytes: int = 1 << 30
    log_buffer_rows: int = 100_000
    log_key: SecretStr | None = None


@dataclass
class Desk:
    """A recorder at work, with what belongs to it."""

    recorder: Recorder
    metrics: Metrics
    served: Serving

    def answer(
        self,
        rows: Sequence[dict[str, Any]],
        request_id: str,
        by: Predictor | None = None,
        arms: Arms = ALONE,
        key: bytes | None = None,
    ) -> np.ndarray:
        """Answer a request as the hot path does, and hand it to the recorder."""
        answering = by or self.served.champion
        assert answering is not None
        wanted = answering.schema.names
        body = msgspec.json.encode([{name: r[name] for name in wanted} for r in rows])
        decoded = answering.decode(body)
        matrix = answering.matrix(decoded)
        predictions = answering.predict(matrix)
        self.recorder.add(answering, request_id, decoded, matrix, predictions, 0.001, arms, key)
        return predictions


@asynccontextmanager
async def recording(told: Told, models: Serving) -> AsyncIterator[Desk]:
    """Run a recorder from start to stop."""
    metrics = Metrics(models)
    recorder = Recorder(told, models, metrics)
    await recorder.start()
    try:
        yield Desk(recorder, metrics, models)
    finally:
        await recorder.stop()


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Metrics]:
    """Return what runs a function at a desk, from start to stop, and returns the metrics."""

    def run(work: Callable[[Desk], Any], models: Serving, **changes: Any) -> Metrics:
        async def whole() -> Metrics:
            told = Told(**{"log_folder": tmp_path / "log", **changes})
            async with recording(told, models) as desk:
                found = work(desk)
                if asyncio.iscoroutine(found):
                    await found
            return desk.metrics

        return asyncio.run(whole())

    return run


@pytest.fixture(scope="session")
def make() -> Callable[..., Predictor]:
    """Return what makes predictors."""
    return predictor


@pytest.fixture(scope="session")
def bill() -> Callable[..., dict[str, Any]]:
    """Return what makes rows."""
    return row


@pytest.fixture(scope="session")
def serving() -> type[Serving]:
    """Return the class of what is served."""
    return Serving


@pytest.fixture
def binary(make: Callable[..., Predictor]) -> Predictor:
    """A predictor of a binary task."""
    return make()
