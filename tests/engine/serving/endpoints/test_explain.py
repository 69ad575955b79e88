import asyncio
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from httpx import AsyncClient

from mlops.serving.endpoints.explain import ROWS, WAITING

Rows = list[dict[str, Any]]


def test_contributions_sum_to_the_answer_less_the_base(client: Any, rows: Rows) -> None:
    response = client.post("/explain", json=rows[:3])
    assert response.status_code == 200
    content = response.json()
    model = client.get("/model").json()
    assert content["model"] == model["digest"]
    assert content["scale"] == "log_odds"
    assert content["background"] == len(rows)
    assert content["request_id"] == response.headers["x-request-id"]
    predicted = client.post("/predict", json=rows[:3]).json()["predictions"]
    for explanation, answer in zip(content["explanations"], predicted, strict=True):
        assert {name: explanation[name] for name in answer} == answer
        assert explanation["label"] == model["labels"][1]
        probability = answer["probabilities"][explanation["label"]]
        odds = np.log(probability / (1 - probability))
        np.testing.assert_allclose(explanation["output"], odds, atol=1e-9)
        total = sum(each["contribution"] for each in explanation["contributions"])
        np.testing.assert_allclose(total, explanation["output"] - explanation["base"], atol=1e-9)


def test_every_feature_stands_with_the_value_of_the_row(client: Any, rows: Rows) -> None:
    (explanation,) = client.post("/explain", json=rows[0]).json()["explanations"]
    found = explanation["contributions"]
    sizes = [abs(each["contribution"]) for each in found]
    assert sizes == sorted(sizes, reverse=True)
    features = client.get("/model").json()["features"]
    assert sorted(each["feature"] for each in found) == sorted(features)
    values = {each["feature"]: each["value"] for each in found}
    assert {name: values[name] for name in rows[0] if name in values} == {
        name: value for name, value in rows[0].items() if name in values
    }
    assert set(values) - set(rows[0]), "the bundle has a derived feature"
    assert all(each["error"] >= 0 for each in found)


def test_a_row_is_explained_the_same_alone_and_again(client: Any, rows: Rows) -> None:
    alone = client.post("/explain", json=rows[1]).json()["explanations"]
    beside = client.post("/explain", json=rows[:2]).json()["explanations"]
    assert alone == beside[1:]


@pytest.mark.parametrize("change", ["missing", "unknown", "wrong"])
def test_rows_are_checked_as_predict_checks_them(client: Any, rows: Rows, change: str) -> None:
    name = next(iter(rows[0]))
    bad = {
        "missing": {key: rows[0][key] for key in rows[0] if key != name},
        "unknown": {**rows[0], "other": 1},
        "wrong": {**rows[0], name: ["x"]},
    }[change]
    explained, predicted = (
        client.post(path, json=[rows[1], bad]) for path in ("/explain", "/predict")
    )
    assert explained.status_code == predicted.status_code == 422
    problems = [response.json() for response in (explained, predicted)]
    for problem in problems:
        del problem["request_id"]
    assert problems[0] == problems[1]
    assert problems[0]["row"] == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_rows_is_refused(client: Any, body: bytes) -> None:
    response = client.post("/explain", content=body)
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


def test_rows_have_a_limit(client: Any, rows: Rows) -> None:
    response = client.post("/explain", json=[rows[0]] * (ROWS + 1))
    assert response.status_code == 413
    assert response.json()["detail"] == f"send at most {ROWS}"


def test_a_body_that_is_too_large_is_refused(started: Callable[..., Any]) -> None:
    response = started(max_body_bytes=1000).post("/explain", content=b" " * 1001)
    assert response.status_code == 413


def test_deadline_ends_it_between_rows(started: Callable[..., Any], rows: Rows) -> None:
    response = started(deadline_seconds=1e-9).post("/explain", json=rows[:2])
    assert response.status_code == 503
    assert response.json()["type"] == "urn:mlops:problem:deadline"


def test_only_so_many_wait(client: Any, rows: Rows) -> None:
    async def many(ask: AsyncClient) -> list[int]:
        asked = [ask.post("/explain", json=rows[0]) for _ in range(WAITING + 3)]
        return [response.status_code for response in await asyncio.gather(*asked)]

    assert sorted(client.together(many)) == [200] * WAITING + [503] * 3
    assert client.post("/explain", json=rows[0]).status_code == 200


def test_the_server_answers_meanwhile(client: Any, rows: Rows) -> None:
    async def both(ask: AsyncClient) -> list[str]:
        done = []

        async def asked(name: str, path: str, body: Any) -> None:
            assert (await ask.post(path, json=body)).status_code == 200
            done.append(name)

        slow = asyncio.create_task(asked("explain", "/explain", rows))
        await asyncio.sleep(0)
        await asked("predict", "/predict", rows[0])
        await slow
        return done

    assert client.together(both) == ["predict", "explain"]


def test_it_is_in_openapi_with_its_types(client: Any) -> None:
    described = client.get("/openapi.json").json()
    operation = described["paths"]["/explain"]["post"]
    assert "#/components/schemas/Row" in json.dumps(operation["requestBody"])
    assert {"200", "400", "413", "422", "503"} <= set(operation["responses"])
    assert "Contribution" in described["components"]["schemas"]


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        (["kündin-7".encode()], "kündin-7".encode()),
        ([b"k\xfcndin-7"], b"k\xfcndin-7"),  # in Latin-1, as some clients write it
        ([b"a b"], b"a b"),
        ([b"first", b"last"], b"last"),
        ([b""], b"mine"),
        ([], b"mine"),
    ],
)
def test_every_route_is_answered_by_the_same_key(
    client: Any, rows: list[dict[str, Any]], sent: list[bytes], key: bytes
) -> None:
    models = client.app.state.models
    route, keys = models.route, []
    models.route = lambda key: keys.append(key) or route(key)
    headers = [(b"x-request-id", b"mine"), *((b"x-routing-key", one) for one in sent)]
    for path in ("/predict", "/explain"):
        client.post(path, json=rows[0], headers=headers)
    name = client.get("/model").json()["name"]
    tensor = {"name": "plan", "datatype": "BYTES", "shape": [1], "data": ["basic"]}
    client.post(f"/v2/models/{name}/infer", json={"inputs": [tensor]}, headers=headers)
    assert [each for each in keys if each] == [key] * 3
