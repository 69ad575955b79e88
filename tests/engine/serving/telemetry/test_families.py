"""Names and help of the families follow what Prometheus asks for."""

import re

from prometheus_client.parser import text_string_to_metric_families

from mlops.serving.predictor import Predictor
from mlops.serving.telemetry.distributions import Distributions
from mlops.serving.telemetry.metrics import Metrics


def test_names_are_prefixed_and_units_are_base_units() -> None:
    text = Metrics().render()[0].decode()
    for family in text_string_to_metric_families(text):
        assert re.fullmatch(r"(mlops|process)_[a-z_]+", family.name)
        assert not re.search(r"_(ms|millis|minutes|kb|mb)(_|$)", family.name)
        assert family.documentation.endswith(".")


def test_a_reference_stands_beside_the_counts(predictor: Predictor) -> None:
    metrics = Metrics()
    metrics.models["x"] = counted = Distributions(predictor)
    text = metrics.render()[0].decode()
    told = {f.name: f.samples for f in text_string_to_metric_families(text)}
    missing = told["mlops_feature_missing_reference"]
    assert {one.labels["feature"]: one.value for one in missing} == counted.reference.missing
    assert {one.labels["model"] for one in missing} == {counted.model}
    [mean] = told["mlops_prediction_reference_mean"]
    assert mean.value == counted.reference.means[""]
