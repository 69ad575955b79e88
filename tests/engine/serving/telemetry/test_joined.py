"""What several processes counted, as one: nothing twice, and nothing less than before."""

from pathlib import Path

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from mlops.serving.telemetry.joined import Joined, bury


def counts(requests: float, in_flight: float, started: float) -> list[Metric]:
    """Return what one process counted."""
    counter = CounterMetricFamily("mlops_requests", "Answers.", labels=("route",))
    counter.add_metric(("/predict",), requests)
    histogram = HistogramMetricFamily("mlops_seconds", "Seconds.")
    histogram.add_metric((), [("0.1", requests / 2), ("+Inf", requests)], requests / 4)
    return [
        counter,
        histogram,
        GaugeMetricFamily("mlops_in_flight", "Now.", in_flight),
        GaugeMetricFamily("mlops_log_bytes", "Size.", 100.0 + in_flight),
        GaugeMetricFamily("process_start_time_seconds", "Start.", started),
    ]


def told(joined: Joined, own: list[Metric]) -> dict[str, float]:
    """Return the samples of all, as this worker tells them."""
    return {
        one.name + "".join(one.labels.values()): one.value
        for metric in joined.all(own)
        for one in metric.samples
    }


def test_counters_add_up_and_gauges_are_what_they_are_of_all(tmp_path: Path) -> None:
    one, other = Joined(tmp_path, "one"), Joined(tmp_path, "other")
    other.write(counts(10, 2, 50.0))
    assert told(one, counts(4, 1, 40.0)) == {
        "mlops_requests_total/predict": 14,
        "mlops_seconds_bucket0.1": 7,
        "mlops_seconds_bucket+Inf": 14,
        "mlops_seconds_count": 14,
        "mlops_seconds_sum": 3.5,
        "mlops_in_flight": 3,
        "mlops_log_bytes": 102,
        "process_start_time_seconds": 40.0,
    }


def test_what_is_gone_stays_counted_and_is_nowhere_now(tmp_path: Path) -> None:
    joined = Joined(tmp_path, "one")
    for number in range(1, 4):
        Joined(tmp_path, f"gone-{number}").write(counts(10, 5, 1.0))
        before = told(joined, counts(4, 0, 40.0))
        bury(tmp_path, f"gone-{number}", number)
        after = told(joined, counts(4, 0, 40.0))
        assert after["mlops_requests_total/predict"] == before["mlops_requests_total/predict"]
        assert after["mlops_requests_total/predict"] == 4 + 10 * number
        assert after["mlops_worker_restarts_total"] == number
        assert (after["mlops_in_flight"], after["process_start_time_seconds"]) == (0, 40.0)


def test_who_is_being_buried_is_not_counted_twice(tmp_path: Path) -> None:
    joined, gone = Joined(tmp_path, "one"), Joined(tmp_path, "gone")
    gone.write(counts(10, 5, 1.0))
    bury(tmp_path, "gone", 1)
    gone.write(counts(10, 5, 1.0))  # as if it had not been removed yet
    assert told(joined, counts(4, 0, 40.0))["mlops_requests_total/predict"] == 14
