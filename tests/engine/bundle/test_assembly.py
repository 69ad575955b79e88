"""The candidate holds everything that is promoted, and predicts what it says it does."""

import json
import shutil
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest

from mlops.bundle import contents, manifest
from mlops.bundle.assembly import bundle
from mlops.bundle.card import _searched
from mlops.bundle.manifest import BundleError
from mlops.bundle.reading import load
from mlops.config.settings import load as load_settings
from mlops.data import fingerprints, prepared


def test_files_of_the_bundle(trained: Path) -> None:
    assert {p.name for p in (trained / "candidate").iterdir()} == {
        "card.md",
        "contract.json",
        "edges.json",
        "golden.json",
        "holdout.npy",
        "manifest.json",
        "metrics.json",
        "model.onnx",
        "profile.json",
        "reference.json",
        "resolved.yaml",
        "slices.json",
        "training.json",
    }


def test_lineage_names_what_it_came_from(trained: Path) -> None:
    origin = contents.read(trained / "candidate").manifest["lineage"]
    assert origin["commit"] is None
    assert origin["clean"] is False
    assert [file["name"] for file in origin["data"]] == [
        "2025-01.parquet",
        "2025-02.parquet",
        "2025-03.parquet",
    ]
    assert sum(origin["rows"].values()) == 2000
    assert len(origin["environment"]) == len(origin["config"]) == len(origin["code"]) == 64


def test_golden_rows_and_digest_are_what_the_loaded_model_predicts(trained: Path) -> None:
    loaded = load(trained / "candidate")
    path = trained / "data/prepared/holdout"
    columns = prepared.read(path, loaded.contract)
    predictions = loaded.model.predict(loaded.encoder.matrix(columns))
    assert manifest.digest(predictions) == loaded.manifest["holdout"]["predictions"]
    rows = json.loads((trained / "candidate/golden.json").read_text())
    assert len(rows) == 20
    assert np.isin([row["prediction"] for row in rows], predictions).all()
    assert set(rows[0]["row"]) == set(loaded.encoder.inputs)


def test_holdout_rows_are_named_by_their_fingerprints(trained: Path) -> None:
    loaded = load(trained / "candidate")
    prints = np.load(trained / "candidate/holdout.npy")
    path = trained / "data/prepared/holdout"
    assert np.array_equal(prints, fingerprints.fingerprints(path, loaded.contract))
    assert fingerprints.digest(prints) == loaded.manifest["holdout"]["digest"]


def test_the_same_inputs_give_the_same_bundle(trained: Path, tmp_path: Path) -> None:
    with chdir(trained):
        again = bundle(load_settings(), out=tmp_path / "again")
    assert again == manifest.bundle_digest(trained / "candidate")


def test_card_says_what_a_search_found() -> None:
    search = {"trials": 40, "pruned": 12, "roc_auc": 0.8, "folds": 3}
    found = {"rate": 0.123456, "depth": 3, "kind": None}
    said = _searched({"parameters": found, "search": search})["Search"]
    assert said == ("rate 0.1235, depth 3, kind None (of 40 trials on 3 folds, 12 ended early)")
    assert _searched({"parameters": {}, "search": None}) == {}


def test_card_names_what_is_known_and_what_is_not(trained: Path) -> None:
    card = (trained / "candidate/card.md").read_text()
    assert "HistGradientBoostingClassifier" in card
    assert "| roc_auc |" in card
    assert "To be filled in by the owner" in card


def test_changed_model_is_not_loaded(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "candidate", tmp_path / "b")
    model = bytearray((tmp_path / "b/model.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (tmp_path / "b/model.onnx").write_bytes(model)
    with pytest.raises(BundleError, match=r"model\.onnx"):
        load(tmp_path / "b")
