"""The train stage uses training rows alone, and ends the same every time."""

import json
import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from mlops.config.settings import Model, SearchRange, Settings, Split, Training, Tuning, load
from mlops.data import prepared
from mlops.runtime import model as runtime
from mlops.training.fitting import Fitting, TrainingError, train


def changed(trained: Path, **parts: Any) -> Settings:
    return msgspec.structs.replace(load(trained / "resolved.yaml"), **parts)


def predictions(trained: Path, settings: Settings, out: Path) -> np.ndarray:
    with chdir(trained):
        train(settings, out=out)
        fit = Fitting(settings, Path("data/prepared"))
        return runtime.load(out).predict(fit.matrix("holdout"))


def about(out: Path) -> Any:
    return json.loads((out / "training.json").read_text())


def test_two_runs_give_the_same_predictions(trained: Path, tmp_path: Path) -> None:
    settings = load(trained / "resolved.yaml")
    first, second = (predictions(trained, settings, tmp_path / name) for name in "ab")
    np.testing.assert_array_equal(first, second)
    assert about(tmp_path / "a") == about(tmp_path / "b") == about(trained / "model")


def test_another_seed_gives_others(trained: Path, tmp_path: Path) -> None:
    one = predictions(trained, load(trained / "resolved.yaml"), tmp_path / "a")
    other = predictions(trained, changed(trained, seed=7), tmp_path / "b")
    assert (one != other).any()


@pytest.mark.parametrize("calibration", ["sigmoid", "isotonic"])
def test_calibration(trained: Path, tmp_path: Path, calibration: str) -> None:
    training = Training(calibration=calibration)  # type: ignore[arg-type]
    found = predictions(trained, changed(trained, training=training), tmp_path / "a")
    assert ((found >= 0) & (found <= 1)).all()
    assert about(tmp_path / "a")["runtime"] == "onnx"


@pytest.mark.parametrize("calibration", ["none", "sigmoid", "isotonic"])
def test_lightgbm_knows_the_categories_and_becomes_onnx(
    trained: Path, tmp_path: Path, calibration: str
) -> None:
    given = {"n_estimators": 20, "verbosity": -1, "n_jobs": 1}
    model = Model("lightgbm.LGBMClassifier", "categories", ["binary"], given)
    training = Training(calibration=calibration)  # type: ignore[arg-type]
    settings = changed(trained, training=training, model=model)
    found = predictions(trained, settings, tmp_path / "a")
    assert about(tmp_path / "a")["runtime"] == "onnx"
    assert np.ptp(found) > 0.2
    content = (tmp_path / "a/model.onnx").read_bytes()
    assert b"membership_values" in content


def test_a_target_encoding_is_fitted_across_folds_of_keys(trained: Path, tmp_path: Path) -> None:
    given = {"n_estimators": 20, "verbosity": -1, "n_jobs": 1}
    model = Model("lightgbm.LGBMClassifier", "categories", ["binary"], given, high_cardinality=2)
    model = msgspec.structs.replace(model, target_encoded="auto")
    training = Training(calibration="sigmoid", folds=2)
    settings = changed(trained, training=training, model=model)
    assert np.ptp(predictions(trained, settings, tmp_path / "a")) > 0.2
    assert about(tmp_path / "a")["runtime"] == "onnx"
    with chdir(trained):
        fit = Fitting(settings, Path("data/prepared"))
    assert fit.apart is not None
    hashes = prepared.row_hashes(trained / "data/prepared/train.parquet")
    pairs = set(zip(hashes.tolist(), fit.apart.tolist(), strict=True))
    assert len(pairs) == len(set(hashes.tolist())) > 100
    assert set(fit.apart.tolist()) == set(range(5))


def test_class_weight_moves_the_predictions(trained: Path, tmp_path: Path) -> None:
    plain = predictions(trained, load(trained / "resolved.yaml"), tmp_path / "a")
    weighted = changed(trained, training=Training(class_weight="balanced"))
    assert predictions(trained, weighted, tmp_path / "b").mean() > plain.mean() + 0.1


def test_cross_validation_is_reported(trained: Path, tmp_path: Path) -> None:
    predictions(trained, changed(trained, training=Training(folds=3)), tmp_path / "a")
    validated = about(tmp_path / "a")["cross_validation"]
    assert 0.6 < validated["roc_auc"]["mean"] < 1
    assert validated["roc_auc"]["std"] > 0


def test_folds_keep_a_key_together_and_leave_nothing_out(trained: Path) -> None:
    settings = load(trained / "resolved.yaml")
    fit = Fitting(settings, trained / "data/prepared")
    columns = prepared.read(trained / "data/prepared/train.parquet", settings.data)
    tested = []
    for training, test in fit.folds(4):
        assert not set(columns["customer_id"][training]) & set(columns["customer_id"][test])
        tested += test.tolist()
    assert sorted(tested) == list(range(len(fit.target)))


def test_folds_of_a_time_split_test_the_later_rows(trained: Path) -> None:
    settings = changed(trained, split=Split(method="time", cutoff="2025-03-01"))
    fit = Fitting(settings, trained / "data/prepared")
    months = prepared.read(trained / "data/prepared/train.parquet", settings.data)["month"]
    for training, test in fit.folds(3):
        assert months[training].max() <= months[test].min()


def test_search_finds_parameters_and_says_so(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    model = load(trained / "resolved.yaml").model
    searched = msgspec.structs.replace(
        model, search={"max_iter": SearchRange(low=5, high=30, integer=True)}
    )
    tuning = Tuning(method="optuna", trials=3, folds=2)
    predictions(trained, changed(trained, model=searched, tuning=tuning), tmp_path / "a")
    found = about(tmp_path / "a")
    assert 5 <= found["parameters"]["max_iter"] <= 30
    assert found["search"]["trials"] == 3
    assert (tmp_path / ".mlops/studies.db").exists()


def test_class_without_a_training_row_is_named(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "data/prepared", tmp_path / "prepared")
    path = tmp_path / "prepared/train.parquet"
    rows = pq.read_table(path)
    pq.write_table(rows.filter(pc.invert(rows["churned"])), path)
    with pytest.raises(TrainingError, match="no training row has churned = true"):
        Fitting(load(trained / "resolved.yaml"), tmp_path / "prepared")


def test_model_that_cannot_take_the_rows_is_one_sentence(trained: Path, tmp_path: Path) -> None:
    model = Model(
        target="sklearn.linear_model.LogisticRegression",
        inputs="codes",
        tasks=["binary"],
        parameters={},
    )
    with pytest.raises(TrainingError, match=r"cannot be fitted: .*NaN"):
        predictions(trained, changed(trained, model=model), tmp_path / "a")
    assert not (tmp_path / "a").exists()
