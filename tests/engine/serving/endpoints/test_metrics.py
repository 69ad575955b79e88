"""What Prometheus scrapes tells what was served."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families


def samples(client: Any) -> dict[str, list[Any]]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.text)
    return {family.name: family.samples for family in families}


def test_answers_and_refusals_are_counted(client: Any, rows: list[dict[str, Any]]) -> None:
    assert client.post("/predict", json=rows[:4]).status_code == 200
    assert client.post("/predict", content=b"{").status_code == 400
    client.app.state.recorder.drain()
    found = samples(client)
    counts = {tuple(s.labels.values()): s.value for s in found["mlops_requests"]}
    assert counts["/predict", "2xx"] == 1
    assert counts["/predict", "4xx"] == 1
    assert counts["/model", "2xx"] == 1
    assert found["mlops_rows"][0].value == 4
    assert [s.labels["reason"] for s in found["mlops_rejected"]] == ["malformed-json"]
    assert found["mlops_in_flight"][0].value == 0
    assert {s.labels["role"] for s in found["mlops_model_info"]} == {"champion"}


def test_paths_that_are_no_route_are_counted_as_one(client: Any) -> None:
    for number in range(20):
        assert client.get(f"/nothing/{number}?card=4111").status_code == 404
    routes = {s.labels["route"] for s in samples(client)["mlops_requests"]}
    assert not any("nothing" in route for route in routes)
