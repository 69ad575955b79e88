"""Distributions follow the profile of the bundle."""

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from mlops.features.encoding import Encoder
from mlops.serving.predictor import Predictor
from mlops.serving.telemetry.distributions import LABELS, OTHER, Distributions


def bundle(features: dict[str, Any], predictions: dict[str, Any], task: str) -> Predictor:
    """Return what a bundle with this profile would be to its distributions."""
    profile = {"features": features, "predictions": predictions}
    loaded = SimpleNamespace(
        files={"profile.json": json.dumps(profile).encode()},
        encoder=Encoder((), tuple(features), (), tuple(features), {}),
        contract=SimpleNamespace(task=task, columns={}, restricted=False),
    )
    return cast(Predictor, SimpleNamespace(bundle_digest="d" * 64, loaded=loaded))


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)[:, None]


def numbers(buckets: Sequence[tuple[str, int]]) -> list[int]:
    return [count for _, count in buckets]


def test_of_the_real_bundle(predictor: Predictor) -> None:
    golden = json.loads(predictor.loaded.files["golden.json"])
    rows = predictor.decode(json.dumps([one["row"] for one in golden]).encode())
    matrix = predictor.matrix(rows)
    counted = Distributions(predictor)
    counted.add(matrix, predictor.predict(matrix))
    assert counted.model == predictor.bundle_digest[:12]
    found = {number.name: number for number in counted.numbers()}
    plans = {category.feature: category for category in counted.categories()}
    assert {*found, *plans} == set(predictor.loaded.encoder.names)
    for number in found.values():
        assert number.buckets[-1] == ("+Inf", len(rows) - number.missing)
    labels = [one["row"]["plan"] for one in golden]
    assert plans["plan"].labels == {name: labels.count(name) for name in plans["plan"].labels}
    (answers,) = counted.predictions()
    edges = json.loads(predictor.loaded.files["profile.json"])["predictions"]["edges"]
    assert [upper for upper, _ in answers.buckets] == [*map(repr, edges), "+Inf"]


def test_categories_are_counted_by_label_and_unseen_and_missing_apart() -> None:
    counted = Distributions(bundle({"plan": {"labels": ["a", "b"]}}, {}, "binary"))
    counted.add(column(0, 1, 1, 2, np.nan, np.nan), np.zeros(6))
    (plan,) = counted.categories()
    assert plan.labels == {"a": 1, "b": 2}
    assert (plan.unseen, plan.missing) == (1, 2)


def test_many_labels_are_counted_together() -> None:
    labels = [f"label{number}" for number in range(LABELS + 10)]
    counted = Distributions(bundle({"city": {"labels": labels}}, {}, "binary"))
    counted.add(column(*range(len(labels))), np.zeros(len(labels)))
    (city,) = counted.categories()
    assert len(city.labels) == LABELS + 1
    assert city.labels[OTHER] == 10


def test_each_class_has_its_own_predictions() -> None:
    outputs = {"x": {"edges": [0.5]}, "y": {"edges": [0.1, 0.2]}, "z": {}}
    counted = Distributions(bundle({"fee": {"edges": [1.0]}}, outputs, "multiclass"))
    counted.add(column(1, 2), np.array([[0.6, 0.3, 0.1], [0.5, 0.15, 0.35]]))
    found = {number.name: numbers(number.buckets) for number in counted.predictions()}
    assert found == {"x": [1, 2], "y": [0, 1, 2], "z": [2]}


def test_a_feature_that_was_always_missing_has_one_bin() -> None:
    counted = Distributions(bundle({"fee": {"missing": 1.0}}, {}, "regression"))
    counted.add(column(1, np.nan), np.array([3.0, 4.0]))
    (fee,) = counted.numbers()
    assert (fee.buckets, fee.missing, fee.total) == ([("+Inf", 1)], 1, 1.0)


def test_the_reference_is_what_the_profile_says(predictor: Predictor) -> None:
    profile = json.loads(predictor.loaded.files["profile.json"])
    reference = Distributions(predictor).reference
    assert reference.missing == {n: one["missing"] for n, one in profile["features"].items()}
    assert any(reference.missing.values())
    assert reference.unseen["plan"] == profile["features"]["plan"]["unseen"] / profile["rows"]
    assert reference.means == {"": profile["predictions"]["mean"]}
    assert reference.deviations == {"": profile["predictions"]["std"]}


def test_of_what_a_profile_does_not_say_there_is_no_reference() -> None:
    labels = {"plan": {"labels": ["a"], "unseen": 3}, "fee": {"edges": [1.0]}}
    outputs = {"low": {"edges": [], "mean": 0.2, "std": 0.1}, "high": {"missing": 1.0}}
    reference = Distributions(bundle(labels, outputs, "multiclass")).reference
    assert (reference.missing, reference.unseen) == ({}, {})
    assert (reference.means, reference.deviations) == ({"low": 0.2}, {"low": 0.1})
