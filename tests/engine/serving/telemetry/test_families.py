"""Names and help of the families follow what Prometheus asks for."""

import re

from prometheus_client.parser import text_string_to_metric_families

from mlops.serving.telemetry.metrics import Metrics


def test_names_are_prefixed_and_units_are_base_units() -> None:
    text = Metrics().render()[0].decode()
    for family in text_string_to_metric_families(text):
        assert re.fullmatch(r"(mlops|process)_[a-z_]+", family.name)
        assert not re.search(r"_(ms|millis|minutes|kb|mb)(_|$)", family.name)
        assert family.documentation.endswith(".")
