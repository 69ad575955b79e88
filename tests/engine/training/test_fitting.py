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
from baked import SOURCE
from parts import put
from sklearn.metrics import mean_pinball_loss

from mlops.config.settings import (
    EarlyStopping,
    Model,
    SearchRange,
    Settings,
    Split,
    Training,
    Tuning,
    load,
)
from mlops.data import prepared
from mlops.metrics.catalogue import metric
from mlops.runtime import model as runtime
from mlops.training import fitting
from mlops.training.fitting import Fitting, TrainingError, train
from mlops.training.trees import ranges


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
    trained: Path, tmp_path: Path, calibration: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "GROWTH", -1.0)  # so that sets stay sets in the file
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
    hashes = prepared.row_hashes(trained / "data/prepared/train")
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
    columns = prepared.read(trained / "data/prepared/train", settings.data)
    tested = []
    for training, test in fit.folds(4):
        assert not set(columns["customer_id"][training]) & set(columns["customer_id"][test])
        tested += test.tolist()
    assert sorted(tested) == list(range(len(fit.target)))


def test_folds_of_a_time_split_test_the_later_rows(trained: Path) -> None:
    settings = changed(trained, split=Split(method="time", cutoff="2025-03-01"))
    fit = Fitting(settings, trained / "data/prepared")
    months = prepared.read(trained / "data/prepared/train", settings.data)["month"]
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
    tuning = Tuning(method="optuna", trials=3, folds=2, batch=2)
    predictions(trained, changed(trained, model=searched, tuning=tuning), tmp_path / "a")
    found = about(tmp_path / "a")
    assert 5 <= found["parameters"]["max_iter"] <= 30
    assert (found["search"]["trials"], found["search"]["pruned"]) == (3, 0)
    assert (tmp_path / ".mlops/studies.db").exists()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))
    alone = msgspec.structs.replace(tuning, workers=1)
    predictions(trained, changed(trained, model=searched, tuning=alone), tmp_path / "b")
    assert about(tmp_path / "b") == found


def question(trained: Path, **parts: Any) -> str:
    fit = Fitting(changed(trained, **parts), trained / "data/prepared")
    return fit._question(list(fit.folds(3)))


def test_another_question_has_another_study(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(trained / "resolved.yaml")
    replace = msgspec.structs.replace
    f1 = replace(settings.evaluation, primary="f1")
    asked = [
        question(trained),
        question(trained, seed=7),
        question(trained, training=replace(settings.training, class_weight="balanced")),
        question(trained, evaluation=f1),
        question(trained, evaluation=replace(f1, threshold=0.4)),
    ]
    fit = Fitting(settings, trained / "data/prepared")
    asked.append(fit._question(list(fit.folds(4))))
    fit._weights = np.ones(len(fit.target))
    asked.append(fit._question(list(fit.folds(3))))
    fit._weights[0] = 2
    asked.append(fit._question(list(fit.folds(3))))
    fit.target = fit.target[::-1]
    asked.append(fit._question(list(fit.folds(3))))
    monkeypatch.setattr(fitting, "_versions", lambda _: ["later"])
    asked.append(question(trained))
    monkeypatch.setattr(fitting, "own", lambda: ["roc_auc"])
    for code in ("mine", "mended"):
        monkeypatch.setattr(fitting, "_source", {"policy.metrics": code}.__getitem__)
        asked.append(question(trained))
    assert len(set(asked)) == len(asked)


def test_what_no_score_depends_on_asks_the_same(trained: Path) -> None:
    settings = load(trained / "resolved.yaml")
    replace = msgspec.structs.replace
    told = replace(settings.data, description="another", owner="somebody")
    for parts in (
        {"data": told},
        {"evaluation": replace(settings.evaluation, threshold=0.4, resamples=60)},
        {"tuning": Tuning(method="optuna", trials=3, workers=4)},
    ):
        assert question(trained, **parts) == question(trained)


@pytest.mark.parametrize(
    ("parameters", "primary", "refused"),
    [
        ({"loss": "quantile", "quantile": 0.9}, "rmse", True),
        ({"loss": "quantile", "quantile": 0.9}, "mae", True),
        ({"loss": "quantile", "quantile": 0.5}, "mae", False),
        ({"loss": "quantile", "quantile": 0.9}, "pinball", False),
        ({"objective": "reg:quantileerror", "quantile_alpha": 0.9}, "mae", True),
        ({"loss_function": "Quantile:alpha=0.9"}, "rmse", True),
        ({"loss": "squared_error"}, "rmse", False),
        ({}, "rmse", False),
    ],
)
def test_a_quantile_is_not_searched_by_a_metric_of_the_mean(
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    parameters: dict[str, Any],
    primary: str,
    refused: bool,
) -> None:
    monkeypatch.setattr(fitting, "own", lambda: ["pinball"])
    model = Model("sklearn.dummy.DummyRegressor", "codes", ["regression"], parameters)
    fit = Fitting(changed(trained, model=model), trained / "data/prepared")
    if refused:
        with pytest.raises(TrainingError, match=r"quantile to the mean: write the pinball loss"):
            fit._check_primary(primary)
    else:
        fit._check_primary(primary)


def test_class_without_a_training_row_is_named(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "data/prepared", tmp_path / "prepared")
    path = tmp_path / "prepared/train"
    rows = pq.read_table(path)
    put(rows.filter(pc.invert(rows["churned"])), path)
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


def test_the_metric_that_the_docs_have_for_a_quantile_asks_for_it() -> None:
    text = (SOURCE / "engine/docs/models.md").read_text(encoding="utf-8")
    code = text.partition("```python\n@metric")[2].partition("```")[0]
    named: dict[str, Any] = {"np": np, "NDArray": np.ndarray, "metric": metric}
    exec(f"@metric{code}", named)
    generator = np.random.default_rng(2)
    target, weights = generator.normal(size=500), generator.integers(0, 4, 500)
    asked = [named["pinball"](target, np.full(500, at), weights) for at in np.sort(target)]
    least = np.sort(target)[int(np.argmin(asked))]
    assert least == np.sort(np.repeat(target, weights))[int(0.9 * weights.sum())]
    for at, found in zip(np.sort(target)[::100], asked[::100], strict=True):
        said = mean_pinball_loss(target, np.full(500, at), sample_weight=weights, alpha=0.9)
        assert found == pytest.approx(said)


def test_as_many_folds_within_the_folds_have_rows_each(trained: Path) -> None:
    training = Training(
        calibration="sigmoid", folds=5, early_stopping=EarlyStopping(rounds=5, folds=5)
    )
    with chdir(trained):
        fit = Fitting(changed(trained, training=training), Path("data/prepared"))
        found = fit.cross_validated({})
    assert all(np.isfinite(one["mean"]) for one in found.values())
