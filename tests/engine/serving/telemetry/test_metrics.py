"""The exposition parses, says what happened, and stays small whatever happens."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlops.serving.predictor import Predictor
from mlops.serving.telemetry.metrics import MODELS, VALUES, Metrics

NAMES = {
    "mlops_requests": "counter",
    "mlops_request_seconds": "histogram",
    "mlops_rows": "counter",
    "mlops_in_flight": "gauge",
    "mlops_rejected": "counter",
    "mlops_feature": "histogram",
    "mlops_feature_category": "counter",
    "mlops_feature_unseen": "counter",
    "mlops_feature_missing": "counter",
    "mlops_prediction": "histogram",
    "mlops_model_info": "gauge",
    "mlops_model_age_seconds": "gauge",
    "mlops_log_dropped": "counter",
    "mlops_log_bytes": "gauge",
    "mlops_swaps": "counter",
    "mlops_online_outages": "counter",
}


def parsed(metrics: Metrics) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return the samples by name and labels."""
    text, kind = metrics.render()
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    samples: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in samples.get(sample.name, {})
            samples.setdefault(sample.name, {})[labels] = sample.value
    return samples


@pytest.fixture
def served(predictor: Predictor) -> Metrics:
    models = SimpleNamespace(
        champion=predictor, challenger=None, shadow=None, trial=None, outages=0
    )
    metrics = Metrics(models)
    golden = json.loads(predictor.loaded.files["golden.json"])
    rows = predictor.decode(json.dumps([one["row"] for one in golden]).encode())
    matrix = predictor.matrix(rows)
    metrics.observe(np.full(5, 0.0003), predictor, matrix, predictor.predict(matrix))
    return metrics


def test_every_family_is_there_before_anything_happens() -> None:
    text = Metrics().render()[0].decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {n: families[n].type for n in NAMES} == NAMES
    assert all(family.documentation for family in families.values())
    assert "process_resident_memory_bytes" in families


def test_what_was_observed(served: Metrics, predictor: Predictor) -> None:
    found = parsed(served)
    assert found["mlops_requests_total"] == {(("route", "/predict"), ("status", "2xx")): 5}
    assert found["mlops_rows_total"] == {(): 20}
    seconds = {dict(k)["le"]: v for k, v in found["mlops_request_seconds_bucket"].items()}
    assert (seconds["0.00025"], seconds["0.0005"], seconds["+Inf"]) == (0, 5, 5)
    model = predictor.bundle_digest[:12]
    (info,) = found["mlops_model_info"]
    assert dict(info) == {
        "name": "churn",
        "model": model,
        "digest": predictor.bundle_digest,
        "role": "champion",
    }
    (age,) = found["mlops_model_age_seconds"].values()
    assert 0 <= age < 3600
    fees = found["mlops_feature_count"][("feature", "monthly_fee"), ("model", model)]
    assert fees == 20
    plans = {
        dict(k)["category"]: v
        for k, v in found["mlops_feature_category_total"].items()
        if dict(k)["feature"] == "plan"
    }
    assert sum(plans.values()) == 20
    assert set(plans) == set(predictor.loaded.contract.columns["plan"].categories)
    assert found["mlops_prediction_count"] == {(("label", ""), ("model", model)): 20}


def test_counts_of_all_else() -> None:
    metrics = Metrics()
    metrics.in_flight = 3
    metrics.log_bytes = 1024
    metrics.request("/model", 200, 0.2)
    metrics.request("/predict", 422, 0.001)
    metrics.rejected("bad-value")
    metrics.dropped("memory", 7)
    metrics.swapped("refused")
    found = parsed(metrics)
    assert found["mlops_in_flight"] == {(): 3}
    assert found["mlops_log_bytes"] == {(): 1024}
    assert found["mlops_rejected_total"] == {(("reason", "bad-value"),): 1}
    assert found["mlops_log_dropped_total"] == {(("reason", "memory"),): 7}
    assert found["mlops_swaps_total"] == {(("result", "refused"),): 1}
    assert found["mlops_requests_total"] == {
        (("route", "/model"), ("status", "2xx")): 1,
        (("route", "/predict"), ("status", "4xx")): 1,
    }


def test_a_challenger_is_told_by_its_role(predictor: Predictor) -> None:
    def roles(**models: Any) -> set[str]:
        found = parsed(Metrics(SimpleNamespace(champion=None, trial=None, outages=0, **models)))
        return {dict(labels)["role"] for labels in found["mlops_model_info"]}

    assert roles(challenger=predictor, shadow=predictor) == {"shadow"}
    assert roles(challenger=predictor, shadow=None) == {"challenger"}


def test_hostile_label_values_are_escaped() -> None:
    metrics = Metrics()
    metrics.rejected('a"b\\c\nd')
    assert parsed(metrics)["mlops_rejected_total"] == {(("reason", 'a"b\\c\nd'),): 1}


def test_label_values_are_bounded(predictor: Predictor, served: Metrics) -> None:
    for number in range(500):
        served.request(f"/{number}", 404, 0.1)
        served.rejected(f"reason{number}")
    found = parsed(served)
    assert len(found["mlops_rejected_total"]) == VALUES + 1
    assert len(found["mlops_request_seconds_count"]) == VALUES + 1
    assert sum(found["mlops_rejected_total"].values()) == 500


def test_distributions_of_bundles_long_gone_are_forgotten(predictor: Predictor) -> None:
    metrics = Metrics()
    width = len(predictor.loaded.encoder.names)
    for number in range(20):
        swapped = SimpleNamespace(bundle_digest=f"{number:064x}", loaded=predictor.loaded)
        metrics.distributed(swapped, np.zeros((1, width), np.float32), np.zeros(1))  # type: ignore[arg-type]
    assert list(metrics.models) == [f"{number:064x}" for number in range(20 - MODELS, 20)]
