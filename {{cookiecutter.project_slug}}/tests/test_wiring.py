"""What conf/ names is there, and does on made-up rows what the pipeline and a server rely on."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from mlops import owner
from mlops.config.compose import composed
from mlops.config.experiment import choices, read_experiment
from mlops.config.settings import Settings
from mlops.data import prepared
from mlops.data.examples import made_up
from mlops.data.parts import typed
from mlops.data.sources import Frame
from mlops.data.validation import validated
from mlops.features.encoding import Encoder
from mlops.gate.policy import compose
from mlops.monitoring.policy import compose as compose_monitoring
from mlops.runtime.model import estimator
from mlops.training import estimators
from mlops.training.compilation import compile_model

PROJECT = Path(__file__).parents[1]


ROWS = 200


def composition(**changed: dict[str, str]) -> Settings:
    """Return what params.yaml and conf/ compose to, with other choices."""
    return Settings.parse(composed(Path("conf"), read_experiment(Path("params.yaml")) | changed))


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the experiment as it is."""
    monkeypatch.chdir(PROJECT)
    return composition()


@pytest.fixture
def rows(settings: Settings) -> dict[str, np.ndarray]:
    """Return made-up rows of the contract, as cleaning and features get them."""
    frame = Frame(Path("made up"), 1, made_up(settings.data, settings.split, ROWS))
    values, findings = validated(frame, settings.data)
    assert not findings
    columns = typed(values, settings.data.columns)
    return prepared.arrays(columns, settings.data, columns.column_names)


def test_a_row_alone_has_the_features_that_it_has_among_others(
    settings: Settings, rows: dict[str, np.ndarray]
) -> None:
    """Else a request gets other features than the rows that the model was fitted on."""
    encoder = Encoder.build(settings.data, settings.features)
    together = encoder.matrix(rows)
    for at in range(ROWS):
        alone = encoder.matrix({name: values[at : at + 1] for name, values in rows.items()})
        np.testing.assert_allclose(alone[0], together[at], rtol=1e-5, err_msg=str(encoder.names))


@pytest.mark.parametrize("name", choices(PROJECT / "conf", "model"))
def test_every_model_learns_and_answers(
    settings: Settings, rows: dict[str, np.ndarray], name: str, tmp_path: Path
) -> None:
    """Each of conf/model that suits the task: the same twice, and for labels it has not seen.

    It runs in ONNX, or says why not.
    """
    model = composition(model={"use": name}).model
    if settings.data.task not in model.tasks:
        return
    if model.lock and find_spec(model.target.partition(".")[0]) is None:
        pytest.skip(f"not installed: choose {name} in params.yaml, then `make setup`")
    encoder = Encoder.build(settings.data, settings.features)
    folds = [(np.arange(ROWS // 2), np.arange(ROWS // 2, ROWS))]
    asked = (model, settings.training, settings.data.task, encoder, settings.seed, folds, {})
    classes = max(2, len(settings.data.labels))
    matrix, target = encoder.matrix(rows), prepared.target(rows, settings.data)
    if settings.data.task == "regression":
        target = np.abs(target) + 1  # of which every transform has a value
    told = encoder.categorical if model.inputs == "categories" else ()
    with threadpool_limits(1):
        fitted, again = (
            estimators.fit(estimators.build(*asked, classes), matrix, target, categorical=told)
            for _ in range(2)
        )
        answer = estimator(fitted, settings.data.task)
        np.testing.assert_array_equal(answer(matrix), estimator(again, settings.data.task)(matrix))
        codes, unseen = list(encoder.categorical), matrix.copy()
        unseen[:, codes] = np.nanmax(matrix[:, codes], axis=0, initial=-1) + 1
        assert np.isfinite(answer(unseen)).all()
        limits = settings.training.runtime, settings.training.tolerance
        compiled = compile_model(
            fitted, settings.data.task, matrix, tmp_path, runtime=limits[0], tolerance=limits[1]
        )
    assert compiled.runtime == "onnx" or compiled.reason


def test_sources(settings: Settings) -> None:
    source, module = settings.data.source, owner.module("project.sources")
    assert all(hasattr(module, name) for name in (source.reader, source.ingest) if name)


def test_the_policy(settings: Settings) -> None:
    assert compose(PROJECT, settings.data.task, "this branch").rules
    assert compose_monitoring(PROJECT, settings.data.task, "this branch").rules
