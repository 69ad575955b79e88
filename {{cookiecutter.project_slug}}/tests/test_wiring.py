"""What conf/ names is there: columns, features, cleaning, estimators, sources, rules."""

from pathlib import Path

import pytest

from mlops import owner
from mlops.config.compose import composed
from mlops.config.experiment import read_experiment
from mlops.config.settings import Settings
from mlops.features.encoding import Encoder
from mlops.gate.policy import compose
from mlops.training import estimators

PROJECT = Path(__file__).parents[1]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return what params.yaml and conf/ compose to."""
    monkeypatch.chdir(PROJECT)
    return Settings.parse(composed(Path("conf"), read_experiment(Path("params.yaml"))))


def test_features_and_cleaning(settings: Settings) -> None:
    assert Encoder.build(settings.data, settings.features).names


def test_the_estimator(settings: Settings) -> None:
    encoder = Encoder.build(settings.data, settings.features)
    folds = [([0], [1])]
    asked = (settings.model, settings.training, settings.data.task, encoder, settings.seed, folds)
    assert hasattr(estimators.build(*asked), "fit")


def test_sources(settings: Settings) -> None:
    source, module = settings.data.source, owner.module("project.sources")
    assert all(hasattr(module, name) for name in (source.reader, source.ingest) if name)


def test_the_policy(settings: Settings) -> None:
    assert compose(PROJECT, settings.data.task, "this branch").rules
