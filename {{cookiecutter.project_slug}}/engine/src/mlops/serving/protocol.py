"""Requests and answers of the Open Inference Protocol v2, as rows of the contract and back.

Tensors stand in the JSON, or as bytes behind it (Triton's extension binary_tensor_data).
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from ..contract import Contract
from ..runtime.intervals import Intervals
from .tensors import Input, Output, ProtocolError, count, values

EXTENSIONS = ("binary_tensor_data",)


class Wanted(msgspec.Struct, frozen=True):
    """One output that a request asks for."""

    name: str
    parameters: dict[str, Any] = {}


class Request(msgspec.Struct, frozen=True):
    """An inference request; `outputs` empty asks for every output."""

    inputs: Annotated[list[Input], msgspec.Meta(min_length=1)]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[Wanted] = []


def decode(body: bytes, header: str | None) -> tuple[Request, list[bytes | None]]:
    """Return the request and the bytes of each input that comes as bytes.

    `header` is the value of Inference-Header-Content-Length: how long the JSON part is. Raises
    ProtocolError.
    """
    length = len(body)
    if header is not None:
        digits = header.isascii() and header.isdigit() and len(header) < 19
        if not digits or int(header) > length:
            raise ProtocolError("Inference-Header-Content-Length is no length within the body")
        length = int(header)
    try:
        request = msgspec.json.decode(body[:length], type=Request)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"the body is no inference request: {error}") from error
    except RecursionError as error:
        raise ProtocolError("the body is no inference request: it is nested too deep") from error
    return request, list(_split(request.inputs, body, length))


def _split(inputs: Sequence[Input], body: bytes, start: int) -> Iterator[bytes | None]:
    for given in inputs:
        if "shared_memory_region" in given.parameters:
            raise ProtocolError(f"input {given.name!r}: shared memory is not served: send the data")
        size = given.parameters.get("binary_data_size")
        if (size is None) == (given.data is None):
            raise ProtocolError(f"input {given.name!r} needs either data or binary_data_size")
        if size is None:
            yield None
            continue
        if type(size) is not int or not 0 <= size <= len(body) - start:
            raise ProtocolError(f"input {given.name!r}: binary_data_size goes past the body")
        yield body[start : start + size]
        start += size
    if start != len(body):
        raise ProtocolError(
            f"{len(body) - start} bytes of the body belong to no input: give every binary input "
            "its binary_data_size"
        )


def rows(
    request: Request,
    binary: Sequence[bytes | None],
    contract: Contract,
    names: Sequence[str],
    ignored: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return the rows as /predict takes them, of the contract's columns `names`.

    Inputs that are `ignored` may be there, and hold what they like. Only what JSON cannot say is
    refused here; the values are for the row schema to judge. Raises ProtocolError.
    """
    columns: dict[str, list[Any]] = {}
    number = count(request.inputs[0])
    for given, raw in zip(request.inputs, binary, strict=True):
        if given.name not in names and given.name not in ignored:
            raise ProtocolError(f"there is no input {given.name!r}: choose from {', '.join(names)}")
        if given.name in columns:
            raise ProtocolError(f"input {given.name!r} is given twice")
        if count(given) != number:
            raise ProtocolError(
                f"input {given.name!r} has {count(given)} rows and "
                f"{request.inputs[0].name!r} has {number}: give each the same"
            )
        needed = given.name in names
        columns[given.name] = (
            values(given, raw, contract.columns[given.name]) if needed else [None] * number
        )
    columns = {name: column for name, column in columns.items() if name in names}
    each = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in each]


def outputs(
    predictions: np.ndarray,
    contract: Contract,
    threshold: float,
    intervals: Intervals | None = None,
    codes: np.ndarray | None = None,
    actions: tuple[str, ...] = (),
    acted: np.ndarray | None = None,
) -> list[Output]:
    """Return the answer as tensors: what is decided, and for classes how probable each is.

    With `intervals`, also [low, high] of each row, or whether each label is in its set; `codes` are
    those of the column that they differ by. `actions` are what may be done, `acted` the number of
    each row's.
    """
    around: list[Output] = []
    if intervals is not None and contract.task == "regression":
        around = [Output("interval", "FP64", intervals.around(predictions, contract, codes))]
    elif intervals is not None:
        among = intervals.sets(predictions, contract, threshold, codes)
        around = [Output("set", "BOOL", among)]
    if contract.task == "regression":
        return [Output("prediction", "FP64", predictions), *around]
    if contract.task == "binary":
        decided = (predictions > threshold).astype(np.int64)
        predictions = np.column_stack([1 - predictions, predictions])
    else:
        decided = predictions.argmax(axis=1)
    labels = np.array(contract.labels, dtype=object)
    if acted is not None:
        around.insert(0, Output("action", "BYTES", np.array(actions, dtype=object)[acted]))
    return [
        Output("prediction", "BYTES", labels[decided]),
        Output("probability", "FP64", predictions),
        *around,
    ]


def encode(request: Request, answers: Sequence[Output], about: dict[str, Any]) -> tuple[bytes, int]:
    """Return the body of the answer and the length of its JSON part.

    `about` is what the JSON holds beside the outputs. Raises ProtocolError for an output that
    the model does not have.
    """
    known = {answer.name: answer for answer in answers}
    default = request.parameters.get("binary_data_output") is True
    parts: list[bytes] = []
    written = []
    for wanted in request.outputs or [Wanted(name) for name in known]:
        if wanted.name not in known:
            raise ProtocolError(f"there is no output {wanted.name!r}: choose from {list(known)}")
        if "classification" in wanted.parameters:
            raise ProtocolError("the classification extension is not served: ask for probability")
        answer = known[wanted.name]
        tensor: dict[str, Any] = {
            "name": answer.name,
            "datatype": answer.datatype,
            "shape": list(answer.values.shape),
        }
        if wanted.parameters.get("binary_data", default) is True:
            parts.append(answer.binary())
            tensor["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            tensor["data"] = answer.values.ravel().tolist()
        written.append(tensor)
    named = about if request.id is None else {**about, "id": request.id}
    head = msgspec.json.encode({**named, "outputs": written})
    return b"".join([head, *parts]), len(head)


def schema() -> dict[str, Any]:
    """Return the JSON schema of a request; it refers to nothing outside itself."""
    (whole,), parts = msgspec.json.schema_components([Request])
    return dict(_inlined(whole, parts))


def _inlined(schema: Any, parts: dict[str, Any]) -> Any:
    """Return a schema with its parts in the places that refer to them."""
    if isinstance(schema, list):
        return [_inlined(part, parts) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(parts[schema["$ref"].rpartition("/")[2]], parts)
    return {name: _inlined(part, parts) for name, part in schema.items()}
