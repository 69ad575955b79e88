"""A server answers Triton's own client, in JSON and in bytes, as it answers anyone."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
import tritonclient.http as triton
from baked import Project
from served import serving
from tritonclient.utils import InferenceServerException

NAME = "churn"


@pytest.fixture(scope="module")
def address(finished: Project) -> Iterator[str]:
    """Where a server of the candidate answers."""
    with serving(finished, finished.path / "candidate") as found:
        yield found


@pytest.fixture
def client(address: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(address.removeprefix("http://")) as connected:
        yield connected


def ask(address: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"{address}/{path}", data, {"content-type": "application/json"})
    with urlopen(request, timeout=30) as response:
        return json.load(response)


@pytest.fixture(scope="module")
def rows(address: str) -> list[dict[str, Any]]:
    return list(ask(address, "model")["examples"])


@pytest.fixture(scope="module")
def expected(address: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(ask(address, "predict", rows)["predictions"])


KINDS = {"BYTES": object, "BOOL": np.bool_, "INT64": np.int64, "FP64": np.float64}


def tensors(
    client: triton.InferenceServerClient, rows: list[dict[str, Any]], binary: bool, width: bool
) -> list[triton.InferInput]:
    """Return rows as tensors, as the model's metadata asks for them."""
    given = []
    for about in client.get_model_metadata(NAME)["inputs"]:
        kind = about["datatype"]
        values = [row[about["name"]] for row in rows]
        if kind in ("BYTES", "FP64"):
            empty = "" if kind == "BYTES" else np.nan
            values = [empty if value is None else value for value in values]
        array: np.ndarray = np.array(values, dtype=KINDS[kind])
        array = array[:, np.newaxis] if width else array
        tensor = triton.InferInput(about["name"], list(array.shape), kind)
        given.append(tensor.set_data_from_numpy(array, binary_data=binary))
    return given


def test_server_and_model_introduce_themselves(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    model = client.get_model_metadata(NAME)
    (version,) = model["versions"]
    assert client.is_model_ready(NAME)
    assert client.is_model_ready(NAME, version)
    assert not client.is_model_ready(NAME, "other")
    assert not client.is_model_ready("other")
    assert client.get_model_metadata(NAME, version) == model


@pytest.mark.parametrize("width", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_answers_are_those_of_predict(
    client: triton.InferenceServerClient,
    rows: list[dict[str, Any]],
    expected: list[dict[str, Any]],
    binary: bool,
    width: bool,
) -> None:
    if not binary:  # NaN, which is no JSON, is how this client would say that a value is missing
        rows, expected = zip(
            *((r, e) for r, e in zip(rows, expected, strict=True) if None not in r.values()),
            strict=True,
        )
    given = tensors(client, rows, binary, width)
    version = client.get_model_metadata(NAME)["versions"][0]
    result = client.infer(NAME, given, model_version=version, request_id="42")
    about = result.get_response()
    assert (about["id"], about["model_name"], about["model_version"]) == ("42", NAME, version)
    decided = [label.decode() for label in result.as_numpy("prediction")]
    assert decided == [one["prediction"] for one in expected]
    probabilities = [list(one["probabilities"].values()) for one in expected]
    np.testing.assert_allclose(result.as_numpy("probability"), probabilities, atol=1e-9)


@pytest.mark.parametrize("binary", [False, True])
def test_outputs_are_those_asked_for(
    client: triton.InferenceServerClient, rows: list[dict[str, Any]], binary: bool
) -> None:
    wanted = triton.InferRequestedOutput("probability", binary_data=binary)
    given = tensors(client, rows, binary=True, width=False)
    result = client.infer(NAME, given, outputs=[wanted])
    assert [one["name"] for one in result.get_response()["outputs"]] == ["probability"]
    assert result.as_numpy("probability").shape == (len(rows), 2)
    assert result.as_numpy("prediction") is None


def test_refusals_reach_the_client_as_sentences(
    client: triton.InferenceServerClient, rows: list[dict[str, Any]]
) -> None:
    given = tensors(client, rows, binary=True, width=False)
    with pytest.raises(InferenceServerException, match="there is no input 'other'") as refused:
        other = triton.InferInput("other", [len(rows)], "FP64")
        client.infer(NAME, [*given, other.set_data_from_numpy(np.zeros(len(rows)))])
    assert refused.value.status() == "400"
    with pytest.raises(InferenceServerException, match=given[0].name()):
        client.infer(NAME, given[1:])
    with pytest.raises(InferenceServerException, match="the model is 'churn'"):
        client.infer("other", given)
    with pytest.raises(InferenceServerException, match="send at most"):
        client.infer(NAME, tensors(client, rows * 100, binary=True, width=False))
    for algorithm in ("gzip", "deflate"):
        with pytest.raises(InferenceServerException, match="without content-encoding"):
            client.infer(NAME, given, request_compression_algorithm=algorithm)
