"""The metric families of /metrics: names, labels and help of everything that is counted."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from .distributions import Distributions, buckets

if TYPE_CHECKING:
    from ..predictor import Predictor
    from .metrics import Metrics, Serving


def families(metrics: "Metrics") -> Iterator[Metric]:
    """Yield every family, also those that count nothing yet."""
    yield _counter(
        "mlops_requests",
        "Answers by route and class of status.",
        ("route", "status"),
        metrics.requests,
    )
    yield _latencies(metrics)
    yield CounterMetricFamily("mlops_rows", "Rows that were answered.", value=metrics.rows)
    yield GaugeMetricFamily("mlops_in_flight", "Requests being worked on.", metrics.in_flight)
    yield _counter("mlops_rejected", "Refused requests.", ("reason",), metrics.rejections)
    yield from _features(metrics.models.values())
    yield _predictions(metrics.models.values())
    yield from _references(metrics.models.values())
    yield from _models(metrics.served)
    yield from _trial(metrics.served)
    yield _counter(
        "mlops_log_dropped", "Rows that the prediction log lost.", ("reason",), metrics.drops
    )
    yield GaugeMetricFamily("mlops_log_bytes", "Size of the log folder.", metrics.log_bytes)
    yield _counter("mlops_swaps", "Attempts to load a bundle.", ("result",), metrics.swaps)
    outages = metrics.served.outages if metrics.served is not None else 0
    yield CounterMetricFamily(
        "mlops_online_outages", "Times that the online store did not answer.", value=outages
    )


def _counter(
    name: str, about: str, labels: tuple[str, ...], counts: Mapping[Any, int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, about, labels=labels)
    for key, count in counts.items():
        family.add_metric(key if isinstance(key, tuple) else (key,), count)
    return family


def _latencies(metrics: "Metrics") -> HistogramMetricFamily:
    family = HistogramMetricFamily(
        "mlops_request_seconds", "From the whole request to the answer.", labels=("route",)
    )
    for route, histograms in metrics.seconds.items():
        for edges, (counts, _, total) in zip(histograms.edges, histograms, strict=True):
            family.add_metric((route,), buckets(edges, counts), total)
    return family


def _features(models: Iterable[Distributions]) -> Iterator[Metric]:
    numbers = HistogramMetricFamily(
        "mlops_feature",
        "Values of a feature, over the edges of the bundle's profile.",
        labels=("model", "feature"),
    )
    labels = CounterMetricFamily(
        "mlops_feature_category",
        "Rows by label of a category.",
        labels=("model", "feature", "category"),
    )
    unseen = CounterMetricFamily(
        "mlops_feature_unseen", "Rows with an undeclared label.", labels=("model", "feature")
    )
    missing = CounterMetricFamily(
        "mlops_feature_missing", "Rows without a value.", labels=("model", "feature")
    )
    for model in models:
        for number in model.numbers():
            numbers.add_metric((model.model, number.name), number.buckets, number.total)
            missing.add_metric((model.model, number.name), number.missing)
        for category in model.categories():
            key = (model.model, category.feature)
            for label, count in category.labels.items():
                labels.add_metric((*key, label), count)
            unseen.add_metric(key, category.unseen)
            missing.add_metric(key, category.missing)
    yield from (numbers, labels, unseen, missing)


def _predictions(models: Iterable[Distributions]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(
        "mlops_prediction",
        "Predictions, over the edges of the bundle's profile; of several classes, by label.",
        labels=("model", "label"),
    )
    for model in models:
        for number in model.predictions():
            family.add_metric((model.model, number.name), number.buckets, number.total)
    return family


def _references(models: Iterable[Distributions]) -> Iterator[GaugeMetricFamily]:
    """Yield what the counts are compared with, so that no rule has to know the bundle."""
    feature, prediction = ("model", "feature"), ("model", "label")
    families = (
        ("mlops_feature_missing_reference", "Share of rows without a value.", feature),
        ("mlops_feature_unseen_reference", "Share of rows with an undeclared label.", feature),
        ("mlops_prediction_reference_mean", "Mean of the predictions.", prediction),
        ("mlops_prediction_reference_deviation", "Deviation of the predictions.", prediction),
    )
    made = [GaugeMetricFamily(n, f"In the bundle's profile: {a}", labels=k) for n, a, k in families]
    for model in models:
        for family, values in zip(made, model.reference, strict=True):
            for name, value in values.items():
                family.add_metric((model.model, name), value)
    yield from made


def _models(models: "Serving | None") -> Iterator[GaugeMetricFamily]:
    info = GaugeMetricFamily(
        "mlops_model_info", "Bundles that serve.", labels=("name", "model", "digest", "role")
    )
    age = GaugeMetricFamily(
        "mlops_model_age_seconds", "Since the bundle was loaded.", labels=("model", "role")
    )
    for role, predictor in _roles(models):
        model = predictor.bundle_digest[:12]
        info.add_metric((predictor.loaded.contract.name, model, predictor.bundle_digest, role), 1)
        age.add_metric((model, role), max(0.0, time.time() - predictor.loaded_at))
    yield from (info, age)


def _trial(models: "Serving | None") -> Iterator[Metric]:
    """Yield what becomes of the experiment, where one is followed."""
    trial = models.trial if models is not None else None
    if trial is None:
        return
    yield GaugeMetricFamily(
        "mlops_experiment_share", "The challenger's share of keys.", trial.shared
    )
    yield GaugeMetricFamily(
        "mlops_experiment_stopped", "Whether the server took it back.", float(bool(trial.stopped))
    )
    yield _counter(
        "mlops_experiment_requests",
        "The challenger's requests, and whether they kept a guardrail.",
        ("guardrail", "kept"),
        trial.counts,
    )


def _roles(models: "Serving | None") -> Iterator[tuple[str, "Predictor"]]:
    if models is None:
        return
    if models.champion is not None:
        yield "champion", models.champion
    if models.challenger is not None:
        yield ("shadow" if models.shadow else "challenger"), models.challenger
