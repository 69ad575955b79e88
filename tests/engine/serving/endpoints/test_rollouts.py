"""What Argo Rollouts asks Prometheus of a server, evaluated by Prometheus' own promtool."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import SOURCE
from prometheus import unit_tests
from prometheus_client.parser import text_string_to_metric_families

from mlops.serving.telemetry.metrics import SECONDS

FILE = SOURCE / "deploy/kubernetes/rollouts/analysis.yaml"
OBJECTS = list(yaml.safe_load_all(FILE.read_text(encoding="utf-8")))
TEMPLATES = {one["metadata"]["name"]: one["spec"] for one in OBJECTS}
METRICS = {one["name"]: one for spec in TEMPLATES.values() for one in spec["metrics"]}
PODS = {"namespace": "production", "rollouts_pod_template_hash": "new"}


def query(name: str) -> str:
    """Return the query of a metric, with the arguments of its template and those of a Rollout."""
    (spec,) = (one for one in TEMPLATES.values() if METRICS[name] in one["metrics"])
    given = {"pods": "new", "namespace": "production"}
    given |= {one["name"]: one["value"] for one in spec["args"] if "value" in one}
    text = METRICS[name]["provider"]["prometheus"]["query"]
    return re.sub(r"\{\{args\.(\w+)\}\}", lambda found: given[found[1]], text)


def condition(name: str, kind: str) -> str:
    """Return the query under a condition of its metric: 1 where it holds, else 0."""
    found = re.fullmatch(r"result\[0\] (>=) (\d+|\{\{args\.requests\}\})", METRICS[name][kind])
    assert found is not None
    bound = "200" if "args" in found[2] else found[2]
    return f"({query(name)}) {found[1]} bool {bound}"


def near(expression: str, value: float) -> str:
    """Return an expression that is 1 where another has a value, but for rounding."""
    return f"abs({expression} - {value:.9f}) < bool 1e-6"


def series(name: str, value: float, **labels: str) -> dict[str, str]:
    told = ", ".join(f'{key}="{one}"' for key, one in {**PODS, **labels}.items())
    return {"series": f"{name}{{{told}}}", "values": f"{value:g}+0x2"}


def answers(well: int, badly: int, **labels: str) -> list[dict[str, str]]:
    """Return counters of so many answers, those that went badly slow too."""
    own = {"route": "/predict", **labels}
    return [
        series("mlops_requests_total", well, status="2xx", **own),
        series("mlops_requests_total", badly, status="5xx", **own),
        series("mlops_request_seconds_count", well + badly, **own),
        series("mlops_request_seconds_bucket", well, le="0.5", **own),
    ]


def evaluated(folder: Path, given: list[dict[str, str]], expected: dict[str, float]) -> str:
    """Return what promtool has against the values that expressions should have."""
    asked = [
        {"expr": one, "eval_time": "2m", "exp_samples": [{"labels": "{}", "value": value}]}
        for one, value in expected.items()
    ]
    told = {"interval": "1m", "input_series": given, "promql_expr_test": asked}
    (folder / "tests.yaml").write_text(yaml.safe_dump({"rule_files": [], "tests": [told]}))
    return unit_tests(folder / "tests.yaml")


CASES = {
    "nobody came": ([], {"errors": 0, "latency": 0, "requests": 0}),
    "all is well": (answers(1000, 5), {"errors": 0, "latency": 0, "requests": 1}),
    "the first two fail": (answers(0, 2), {"errors": 0, "latency": 0, "requests": 0}),
    "the first ones fail": (answers(0, 4), {"errors": 1, "latency": 1, "requests": 0}),
    "five of a hundred fail": (answers(190, 10), {"errors": 1, "latency": 0, "requests": 1}),
    "many are slow": (answers(170, 30), {"errors": 1, "latency": 1, "requests": 1}),
    "a million answers": (answers(995_000, 5000), {"errors": 0, "latency": 0, "requests": 1}),
    "a million, of which many fail": (answers(10**6, 50_000), {"errors": 1, "requests": 1}),
    "the old pods fail": (
        answers(0, 90, rollouts_pod_template_hash="old"),
        {"errors": 0, "latency": 0, "requests": 0},
    ),
    "another namespace fails": (
        answers(0, 90, namespace="staging"),
        {"errors": 0, "latency": 0, "requests": 0},
    ),
    "only probes fail": (
        answers(0, 90, route="/readyz"),
        {"errors": 0, "latency": 0, "requests": 0},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_new_image_goes_back_where_enough_went_wrong(case: str, tmp_path: Path) -> None:
    given, holds = CASES[case]
    kinds = {"requests": "successCondition"}
    expected = {
        condition(name, kinds.get(name, "failureCondition")): float(value)
        for name, value in holds.items()
    }
    assert evaluated(tmp_path, given, expected) == ""


def test_the_odds_are_those_of_three_times_the_limit(tmp_path: Path) -> None:
    ratios = {"errors": (1 - 0.03) / (1 - 0.01), "latency": (1 - 0.15) / (1 - 0.05)}
    expected = {near(query(name), 3**10 * ratio**190): 1.0 for name, ratio in ratios.items()}
    assert evaluated(tmp_path, answers(190, 10), expected) == ""
    assert evaluated(tmp_path, answers(190, 11), expected) != ""


def test_a_server_has_what_is_asked_for(client: Any, rows: list[Any], tmp_path: Path) -> None:
    """Its own /metrics, as Prometheus labels them; what probes ask does not count."""
    for path in ("/readyz", "/healthz", "/metrics"):
        assert client.get(path).status_code == 200
    assert client.post("/predict", json=rows[:2]).status_code == 200
    samples = [
        sample
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if sample.name.startswith("mlops_request")
    ]
    given = [series(one.name, one.value, **one.labels) for one in samples]
    count = {
        name: sum(
            one.value
            for one in samples
            if one.name == name and one.labels["route"] in ("/predict", "/model")
        )
        for name in ("mlops_requests_total", "mlops_request_seconds_count")
    }
    assert min(count.values()) >= 1
    (seconds,) = (one["value"] for one in TEMPLATES["model"]["args"] if one["name"] == "seconds")
    assert float(seconds) in SECONDS
    answered = ((1 - 0.03) / (1 - 0.01)) ** count["mlops_requests_total"]
    in_time = ((1 - 0.15) / (1 - 0.05)) ** count["mlops_request_seconds_count"]
    expected = {
        query("requests"): count["mlops_requests_total"],
        near(query("errors"), answered): 1.0,
        near(query("latency"), in_time): 1.0,
    }
    assert evaluated(tmp_path, given, expected) == ""
