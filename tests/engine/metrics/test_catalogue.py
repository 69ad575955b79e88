import numpy as np
import pytest

from mlops.metrics import catalogue
from mlops.metrics.catalogue import MetricError


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_all_draws_at_once_give_what_each_gives_alone(task: str) -> None:
    generator = np.random.default_rng(0)
    predictions = {
        "binary": generator.integers(0, 9, 60) / 8,
        "multiclass": generator.dirichlet([1, 1, 1], 60),
        "regression": generator.normal(size=60),
    }[task]
    target = generator.normal(size=60) if task == "regression" else np.arange(60) % 2
    weights = generator.integers(0, 3, (5, 60)).astype(float)
    chosen = np.flatnonzero(generator.random(60) < 0.7)
    names = catalogue.allowed(task)

    together = catalogue.values(
        catalogue.prepare(task, target, predictions, chosen), names, task, weights
    )

    for draw, row in zip(weights, together, strict=True):
        alone = catalogue.compute(task, names, target[chosen], predictions[chosen], draw[chosen])
        assert row.tolist() == pytest.approx(list(alone.values()), nan_ok=True)


def test_an_unknown_metric_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(MetricError, match=r"no metric 'auc' for a binary target: .*roc_auc, "):
        catalogue.compute("binary", ["auc"], np.array([0, 1]), np.array([0.1, 0.9]))


def test_a_metric_of_another_task_is_refused() -> None:
    with pytest.raises(MetricError, match="choose from rmse, mae, r2"):
        catalogue.check(["roc_auc"], "regression")


@pytest.mark.parametrize(
    ("predictions", "said"),
    [
        ([0.1, np.nan], "1 of the predictions are not finite"),
        ([0.1, np.inf], "not finite"),
        ([0.1, 1.5], "no probabilities"),
        ([-0.1, 0.5], "no probabilities"),
        ([0.1], "shape"),
        ([[0.1, 0.9], [0.2, 0.8]], "shape"),
    ],
)
def test_predictions_that_cannot_be_measured_are_refused(predictions: list, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        catalogue.compute("binary", ["roc_auc"], np.array([0, 1]), np.array(predictions))


def test_decisions_are_made_above_the_threshold() -> None:
    target, predictions = np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.4, 0.9])

    def found(threshold: float) -> dict[str, float]:
        names = ("accuracy", "f1", "roc_auc")
        return catalogue.compute("binary", names, target, predictions, threshold=threshold)

    assert found(0.5) == pytest.approx({"accuracy": 0.75, "f1": 2 / 3, "roc_auc": 1.0})
    assert found(0.3) == pytest.approx({"accuracy": 1.0, "f1": 1.0, "roc_auc": 1.0})
