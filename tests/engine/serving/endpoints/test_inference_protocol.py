import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from httpx import AsyncClient

from mlops.serving.tensors import Output

Rows = list[dict[str, Any]]


@pytest.fixture
def name(client: Any) -> str:
    return str(client.get("/model").json()["name"])


@pytest.fixture
def inputs(client: Any, name: str, rows: Rows) -> list[dict[str, Any]]:
    """The golden rows as JSON tensors, as the metadata asks for them."""
    return [
        {**tensor, "shape": [len(rows)], "data": [row[tensor["name"]] for row in rows]}
        for tensor in client.get(f"/v2/models/{name}").json()["inputs"]
    ]


def as_bytes(inputs: list[dict[str, Any]], **more: Any) -> tuple[bytes, dict[str, str]]:
    """Return the body of a binary request, and its headers."""
    parts, written = [], []
    for tensor in inputs:
        missing = "" if tensor["datatype"] == "BYTES" else np.nan
        kind: Any = object if tensor["datatype"] == "BYTES" else None
        values = np.array([missing if v is None else v for v in tensor["data"]], kind)
        parts.append(Output(tensor["name"], tensor["datatype"], values).binary())
        parameters = {"binary_data_size": len(parts[-1])}
        head = {key: tensor[key] for key in ("name", "datatype", "shape")}
        written.append({**head, "parameters": parameters})
    head_part = json.dumps({"inputs": written, **more}).encode()
    return b"".join([head_part, *parts]), {"inference-header-content-length": str(len(head_part))}


def test_the_server_and_its_model(client: Any, name: str) -> None:
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json()["ready"] is True
    version = client.get("/model").json()["digest"][:12]
    for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{version}"):
        model = client.get(path).json()
        assert model["name"] == name
        assert model["versions"] == [version]
        assert model["platform"] == "onnx"
        assert [tensor["name"] for tensor in model["outputs"]] == ["prediction", "probability"]
        assert model["outputs"][1]["shape"] == [-1, 2]
        assert client.get(f"{path}/ready").json() == {"name": name, "ready": True}


def test_another_model_or_version_is_not_found(client: Any, name: str) -> None:
    for path in ("/v2/models/other", f"/v2/models/{name}/versions/0"):
        for response in (
            client.get(path),
            client.get(f"{path}/ready"),
            client.post(f"{path}/infer", json={"inputs": []}),
        ):
            assert response.status_code == 404
            assert list(response.json()) == ["error"]


def test_what_no_route_takes_is_an_error_of_the_protocol(started: Callable[..., Any]) -> None:
    client = started(api_key="correct horse")
    key = {"x-api-key": "correct horse"}
    for response, status in (
        (client.get("/v2/models/x"), 401),
        (client.get("/v2/nothing", headers=key), 404),
        (client.post("/v2/models/x", headers=key), 405),
    ):
        assert response.status_code == status
        assert list(response.json()) == ["error"]
    assert "error" not in client.get("/nothing", headers=key).json()


def test_json_tensors_are_answered_as_predict_answers(
    client: Any, name: str, rows: Rows, inputs: list[dict[str, Any]]
) -> None:
    expected = client.post("/predict", json=rows).json()["predictions"]
    asked = {"id": "42", "inputs": inputs}
    response = client.post(f"/v2/models/{name}/infer", json=asked)
    assert response.status_code == 200
    content = response.json()
    assert content["id"] == "42"
    assert content["model_name"] == name
    assert content["model_version"] == client.get("/model").json()["digest"][:12]
    assert content["parameters"] == {"request_id": response.headers["x-request-id"]}
    prediction, probability = content["outputs"]
    assert prediction["data"] == [one["prediction"] for one in expected]
    assert probability["shape"] == [len(rows), 2]
    probabilities = [list(one["probabilities"].values()) for one in expected]
    np.testing.assert_allclose(np.reshape(probability["data"], (-1, 2)), probabilities, atol=1e-12)


def test_binary_tensors_are_answered_the_same(
    client: Any, name: str, inputs: list[dict[str, Any]]
) -> None:
    path = f"/v2/models/{name}/infer"
    expected = client.post(path, json={"inputs": inputs}).json()["outputs"]
    body, headers = as_bytes(inputs)
    assert client.post(path, content=body, headers=headers).json()["outputs"] == expected
    body, headers = as_bytes(inputs, parameters={"binary_data_output": True})
    response = client.post(path, content=body, headers=headers)
    assert response.headers["content-type"] == "application/octet-stream"
    length = int(response.headers["inference-header-content-length"])
    head, rest = json.loads(response.content[:length]), response.content[length:]
    sizes = [output["parameters"]["binary_data_size"] for output in head["outputs"]]
    assert sum(sizes) == len(rest)
    assert np.frombuffer(rest[sizes[0] :]).tolist() == expected[1]["data"]


def test_only_the_outputs_that_are_asked_for(
    client: Any, name: str, inputs: list[dict[str, Any]]
) -> None:
    asked = {"inputs": inputs, "outputs": [{"name": "probability"}]}
    (output,) = client.post(f"/v2/models/{name}/infer", json=asked).json()["outputs"]
    assert output["name"] == "probability"


def test_rows_are_checked_as_predict_checks_them(
    client: Any, name: str, inputs: list[dict[str, Any]]
) -> None:
    first, *others = inputs
    refused = [
        ([*others], 422, first["name"]),
        ([*inputs, {**first, "name": "other"}], 400, "other"),
        ([{**first, "datatype": "FP16"}, *others], 400, first["name"]),
        ([{**first, "shape": [1], "data": first["data"][:1]}, *others], 400, "rows"),
        ([], 400, "inputs"),
    ]
    for wrong, status, named in refused:
        response = client.post(f"/v2/models/{name}/infer", json={"inputs": wrong})
        assert response.status_code == status, response.text
        assert list(response.json()) == ["error"]
        assert named in response.json()["error"]


def test_a_missing_value_must_be_one_that_may_be_missing(
    client: Any, name: str, inputs: list[dict[str, Any]]
) -> None:
    columns = {column["name"]: column for column in client.get("/model").json()["columns"]}
    for place, tensor in enumerate(inputs):
        emptied = {**tensor, "data": [*tensor["data"][:-1], None]}
        asked = {"inputs": [*inputs[:place], emptied, *inputs[place + 1 :]]}
        response = client.post(f"/v2/models/{name}/infer", json=asked)
        nullable = columns[tensor["name"]]["nullable"]
        assert response.status_code == (200 if nullable else 422), response.text
        if not nullable:
            assert f"row {len(tensor['data']) - 1}, input '{tensor['name']}'" in response.text


def test_limits(started: Callable[..., Any], name: str, inputs: list[dict[str, Any]]) -> None:
    path = f"/v2/models/{name}/infer"
    response = started(max_rows=len(inputs[0]["data"]) - 1).post(path, json={"inputs": inputs})
    assert response.status_code == 413
    assert "send at most" in response.json()["error"]
    vast = [{"name": inputs[0]["name"], "datatype": "BYTES", "shape": [10**15], "data": []}]
    assert started().post(path, json={"inputs": vast}).status_code == 413
    response = started(max_body_bytes=500).post(path, content=b" " * 501)
    assert response.status_code == 413
    assert list(response.json()) == ["error"]


def test_an_encoded_body_is_refused(client: Any, name: str) -> None:
    headers = {"content-encoding": "gzip"}
    response = client.post(f"/v2/models/{name}/infer", content=b"x", headers=headers)
    assert response.status_code == 415


def test_a_large_body_is_answered(client: Any, name: str, inputs: list[dict[str, Any]]) -> None:
    wide = [{**t, "shape": [1000], "data": (t["data"] * 1000)[:1000]} for t in inputs]
    body, headers = as_bytes(wide)
    assert len(body) > 1 << 16
    response = client.post(f"/v2/models/{name}/infer", content=body, headers=headers)
    assert response.status_code == 200
    assert response.json()["outputs"][0]["shape"] == [1000]


def test_a_version_that_the_client_names_is_drawn_by_no_lot(
    started: Callable[..., Any], name: str, inputs: list[dict[str, Any]], tmp_path: Path
) -> None:
    client = started(log_folder=tmp_path / "log")
    version = client.get(f"/v2/models/{name}").json()["versions"][0]
    for path in (f"/v2/models/{name}/infer", f"/v2/models/{name}/versions/{version}/infer"):
        sent = {"inputs": inputs}
        assert client.post(path, json=sent, headers={"x-routing-key": "7"}).status_code == 200
    client.together(lambda _: client.app.state.recorder.stop())
    (path,) = (tmp_path / "log").rglob("*.parquet")
    with pq.ParquetFile(path) as file:
        rows = file.read(["unit", "arm", "propensity"]).to_pylist()
    assert {row["arm"] for row in rows} == {"champion"}
    assert {row["propensity"] for row in rows} == {1.0, None}
    (known,) = {row["unit"] for row in rows}
    assert len(bytes.fromhex(known)) == 8


def test_it_is_counted_and_recorded_once(
    started: Callable[..., Any], name: str, inputs: list[dict[str, Any]], tmp_path: Path
) -> None:
    client = started(log_folder=tmp_path / "log")
    client.post(f"/v2/models/{name}/infer", json={"inputs": inputs})

    async def drain(_: AsyncClient) -> None:
        client.app.state.recorder.drain()

    client.together(drain)
    lines = client.get("/metrics").text.splitlines()
    route = 'route="/v2/models/{name}/infer"'
    counted = [line for line in lines if line.startswith("mlops_requests_total") and route in line]
    assert [line.rpartition(" ")[2] for line in counted] == ["1.0"]
    assert not [line for line in lines if line.startswith("mlops_log_dropped_total{")]
    assert f"mlops_rows_total {float(len(inputs[0]['data']))}" in lines


def test_without_a_model_it_is_not_ready(started: Callable[..., Any], tmp_path: Path) -> None:
    client = started(bundle=tmp_path / "absent")
    assert client.get("/v2/health/live").status_code == 200
    response = client.get("/v2/health/ready")
    assert response.status_code == 503
    assert response.json()["ready"] is False
    assert list(client.get("/v2/models/x").json()) == ["error"]
