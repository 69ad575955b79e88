import json

import numpy as np
import pytest

from mlops.config.settings import Evaluation
from mlops.evaluation.measurement import Measurement, measure
from mlops.evaluation.slices import Slice
from mlops.metrics.catalogue import MetricError, compute

GENERATOR = np.random.default_rng(0)
SCORES = GENERATOR.random(300)
TARGET = (GENERATOR.random(300) < SCORES).astype(np.int64)
ASKED = Evaluation("roc_auc", ["brier", "roc_auc"], resamples=50)


def measured(*parts: Slice, target: np.ndarray = TARGET) -> Measurement:
    return measure("binary", target, SCORES, parts, ASKED, seed=3)


def test_values_are_the_plain_metrics_and_lie_in_their_intervals() -> None:
    found = measured().overall
    expected = compute("binary", ["roc_auc", "brier"], TARGET, SCORES)
    assert list(found) == ["roc_auc", "brier"]
    for name, estimate in found.items():
        assert estimate.value == pytest.approx(expected[name])
        assert estimate.low < estimate.value < estimate.high


def test_a_slice_of_every_row_has_the_figures_of_the_whole() -> None:
    found = measured(Slice("c", "all", np.arange(300), True))
    for name, estimate in found.overall.items():
        assert found.slices[0][1][name] == pytest.approx(estimate)


def test_a_small_slice_is_counted_and_not_measured() -> None:
    figures = measured(Slice("c", "few", np.arange(3), False)).figures()
    assert figures["slices"] == {"c=few": {"rows": 3}}


def test_what_is_undefined_is_null_in_valid_json() -> None:
    target = TARGET.copy()
    target[:50] = 1
    found = measured(Slice("c", "one class", np.arange(50), True), target=target).figures()
    text = json.dumps(found, allow_nan=False)
    one = json.loads(text)["slices"]["c=one class"]
    assert one["rows"] == 50
    assert one["roc_auc"] == {"value": None, "low": None, "high": None, "undefined_draws": 50}
    assert one["brier"]["value"] > 0


def test_an_unknown_primary_metric_is_refused() -> None:
    with pytest.raises(MetricError, match="'rmse'"):
        measure("binary", TARGET, SCORES, (), Evaluation("rmse", ["brier"]), seed=0)
