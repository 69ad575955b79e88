import json
from typing import Any

import msgspec
import numpy as np
import pytest

from mlops.contract import Contract
from mlops.serving import protocol
from mlops.serving.protocol import Request, decode, encode, outputs, rows
from mlops.serving.tensors import Output, ProtocolError

NAMES = ("age", "plan")


def contract(task: str = "binary") -> Contract:
    target: dict[str, Any] = {"type": "number"}
    if task != "regression":
        target = {
            "type": "category",
            "categories": ["no", "yes", "maybe"][: 2 + (task != "binary")],
        }
    columns = {
        "age": {"type": "integer", "nullable": True},
        "plan": {"type": "category", "categories": ["a", "b"]},
        "y": {**target, "role": "target"},
    }
    return msgspec.convert({"name": "t", "task": task, "columns": columns}, Contract)


AGE = {"name": "age", "datatype": "INT64", "shape": [2], "data": [30, None]}
PLAN = {"name": "plan", "datatype": "BYTES", "shape": [2, 1], "data": ["a", "b"]}


def body(*inputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": list(inputs), **more}).encode()


def read(content: bytes, header: str | None = None) -> list[dict[str, Any]]:
    request, binary = decode(content, header)
    return rows(request, binary, contract(), NAMES)


def test_tensors_become_the_rows_of_predict() -> None:
    expected = [{"age": 30, "plan": "a"}, {"age": None, "plan": "b"}]
    assert read(body(AGE, PLAN)) == expected
    assert read(body(PLAN, AGE)) == expected
    assert read(body(AGE)) == [{"age": 30}, {"age": None}]


def test_bytes_stand_behind_the_json_in_the_order_of_the_inputs() -> None:
    ages = np.array([30, np.nan]).tobytes()
    plans = Output("plan", "BYTES", np.array(["a", "b"], object)).binary()
    age = {"name": "age", "datatype": "FP64", "shape": [2]}
    plan = {"name": "plan", "datatype": "BYTES", "shape": [2]}
    head = body(
        {**age, "parameters": {"binary_data_size": len(ages)}},
        {**plan, "parameters": {"binary_data_size": len(plans)}},
    )
    expected = [{"age": 30, "plan": "a"}, {"age": None, "plan": "b"}]
    assert read(head + ages + plans, str(len(head))) == expected
    mixed = body({**age, "parameters": {"binary_data_size": len(ages)}}, PLAN)
    assert read(mixed + ages, str(len(mixed))) == expected
    for length in (0, len(head) - 1, len(head) + 1, len(head + ages + plans) + 1):
        with pytest.raises(ProtocolError):
            read(head + ages + plans, str(length))
    with pytest.raises(ProtocolError, match="goes past the body"):
        read(head + ages, str(len(head)))
    with pytest.raises(ProtocolError, match="1 bytes of the body belong to no input"):
        read(head + ages + plans + b"x", str(len(head)))


@pytest.mark.parametrize("header", ["", "-1", "1.5", "x", "²", "9" * 5000])
def test_a_length_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(ProtocolError, match="Inference-Header-Content-Length"):
        read(body(AGE, PLAN), header)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no inference request"),
        (b"[]", "no inference request"),
        (b"\xff", "no inference request"),
        (b'{"inputs": []}', "no inference request"),
        (b'{"inputs": ' + b"[" * 100_000, "no inference request"),
        (body({**AGE, "data": []}), "0 values are not the shape"),
        (body({**AGE, "shape": [-1]}), "no inference request"),
        (body({**AGE, "name": "other"}), "no input 'other': choose from age, plan"),
        (body(AGE, AGE), "given twice"),
        (body(AGE, {**PLAN, "shape": [1], "data": ["a"]}), "has 1 rows and 'age' has 2"),
        (body({**AGE, "data": None}), "needs either data or binary_data_size"),
        (body({**AGE, "parameters": {"binary_data_size": 0}}), "needs either data or"),
        (body({**AGE, "parameters": {"shared_memory_region": "r"}}), "shared memory"),
        (
            body({**AGE, "data": None, "parameters": {"binary_data_size": "8"}}),
            "goes past the body",
        ),
        (
            body({**AGE, "data": None, "parameters": {"binary_data_size": True}}),
            "goes past the body",
        ),
    ],
)
def test_what_is_no_request_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        read(content)


def answer(request: Request, answers: list[Output]) -> tuple[dict[str, Any], bytes]:
    content, length = encode(request, answers, {"model_name": "m"})
    return json.loads(content[:length]), content[length:]


def test_answers_of_each_task() -> None:
    binary = outputs(np.array([0.2, 0.8]), contract(), 0.5)
    assert [o.name for o in binary] == ["prediction", "probability"]
    assert binary[0].values.tolist() == ["no", "yes"]
    np.testing.assert_allclose(binary[1].values, [[0.8, 0.2], [0.2, 0.8]])
    assert outputs(np.array([0.5]), contract(), 0.5)[0].values.tolist() == ["no"]
    several = outputs(np.array([[0.1, 0.2, 0.7]]), contract("multiclass"), 0.5)
    assert several[0].values.tolist() == ["maybe"]
    assert several[1].values.shape == (1, 3)
    (number,) = outputs(np.array([1.5]), contract("regression"), 0.5)
    assert (number.name, number.datatype, number.values.tolist()) == ("prediction", "FP64", [1.5])


ANSWERS = outputs(np.array([0.25, 0.75]), contract(), 0.5)
INPUTS = [msgspec.convert(AGE, protocol.Input)]


def test_outputs_stand_in_the_json_as_rows_after_rows() -> None:
    content, rest = answer(Request(INPUTS, id="42"), ANSWERS)
    assert content == {
        "model_name": "m",
        "id": "42",
        "outputs": [
            {"name": "prediction", "datatype": "BYTES", "shape": [2], "data": ["no", "yes"]},
            {
                "name": "probability",
                "datatype": "FP64",
                "shape": [2, 2],
                "data": [0.75, 0.25, 0.25, 0.75],
            },
        ],
    }
    assert rest == b""


def test_outputs_stand_behind_the_json_where_asked() -> None:
    everything = Request(INPUTS, parameters={"binary_data_output": True})
    content, rest = answer(everything, ANSWERS)
    assert "id" not in content
    sizes = [output["parameters"]["binary_data_size"] for output in content["outputs"]]
    assert all("data" not in output for output in content["outputs"])
    assert sizes == [4 + 2 + 4 + 3, 4 * 8]
    assert rest[: sizes[0]] == b"\2\0\0\0no\3\0\0\0yes"
    np.testing.assert_array_equal(np.frombuffer(rest[sizes[0] :]), [0.75, 0.25, 0.25, 0.75])

    one = protocol.Wanted("probability", {"binary_data": True})
    other = protocol.Wanted("prediction")
    content, rest = answer(Request(INPUTS, outputs=[one, other]), ANSWERS)
    assert [output["name"] for output in content["outputs"]] == ["probability", "prediction"]
    assert len(rest) == 32
    as_json = protocol.Wanted("probability", {"binary_data": False})
    content, rest = answer(msgspec.structs.replace(everything, outputs=[as_json]), ANSWERS)
    assert len(content["outputs"]) == 1
    assert rest == b""


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (protocol.Wanted("score"), "no output 'score'"),
        (protocol.Wanted("prediction", {"classification": 2}), "classification"),
    ],
)
def test_an_output_that_is_none_is_refused(wanted: protocol.Wanted, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        answer(Request(INPUTS, outputs=[wanted]), ANSWERS)
